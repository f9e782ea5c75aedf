//! Running an app.

use crate::context::Context;
use crate::error::{Error, ErrorKind};
use futures::future::{Either, select};
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;
use vat::guest::{HostDoor, Stalled, WasiDoor};

/// The exit code of an app that was refused what it needs, or from which it was taken back.
pub const EXIT_CUT: u8 = 3;

pub use vat::door::EXIT_STOPPED;

/// The exit code of an app that waits for what can never come.
pub const EXIT_STALLED: u8 = 70;

/// What an app's main future may end with.
pub trait Outcome {
    /// The exit code. An error was reported on standard error by then.
    fn report(self) -> u8;
}

impl Outcome for () {
    fn report(self) -> u8 {
        0
    }
}

/// An exit code of the app's own.
impl Outcome for u8 {
    fn report(self) -> u8 {
        self
    }
}

impl<T: Outcome, E: Report> Outcome for Result<T, E> {
    fn report(self) -> u8 {
        self.map_or_else(|error| error.report(), Outcome::report)
    }
}

/// An error that ends an app.
pub trait Report: Display {
    /// The exit code; the error is written on standard error.
    fn report(self) -> u8;
}

impl Report for Error {
    fn report(self) -> u8 {
        eprintln!("{}: {self}", name());
        self.exit_code()
    }
}

impl Report for String {
    fn report(self) -> u8 {
        eprintln!("{}: {self}", name());
        1
    }
}

/// What the app was started as.
fn name() -> String {
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or_else(|| "app".to_owned())
}

/// The arguments, without the app's own name.
#[must_use]
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// Runs an app: everything it waits for happens in here. To be called once, in `main`.
///
/// The exit code is 0 for success. An error is written on standard error with the app's name before it, and is
/// [`EXIT_CUT`] where it means that something was refused or taken back, [`EXIT_STOPPED`] where the app was stopped,
/// else 1. A `u8` from the future is the exit code itself.
///
/// An app that is told to stop is dropped where it stands, unless it has asked for [`stopping`].
pub fn run<F>(main: F) -> ExitCode
where
    F: Future + 'static,
    F::Output: Outcome + 'static,
{
    ExitCode::from(run_at(Box::new(WasiDoor), main))
}

/// The same at a door that is given.
pub(crate) fn run_at<F>(door: Box<dyn HostDoor>, main: F) -> u8
where
    F: Future + 'static,
    F::Output: Outcome + 'static,
{
    let ended = vat::guest::run(door, |guest| {
        let (context, entered) = Context::enter(guest.clone());
        async move {
            let _entered = entered;
            guest.spawn(context.clone().attend());
            let unminded = context.stop.until(|stop| (*stop && !context.minds_stop.get()).then_some(()));
            match select(pin!(main), pin!(unminded)).await {
                Either::Left((outcome, _)) => outcome.report(),
                Either::Right(_) => Report::report(Error::new(ErrorKind::Stopped, "", "")),
            }
        }
    });
    ended.unwrap_or_else(|stalled: Stalled| {
        eprintln!("{}: {stalled}", name());
        EXIT_STALLED
    })
}

/// Ends when the app is told to stop. From the first call on the app has to end itself then; it is given a little
/// time.
pub async fn stopping() {
    let context = Context::current();
    context.minds_stop.set(true);
    context.stop.until(|stop| stop.then_some(())).await;
}

/// Ends after that time. The clock is coarse: a few milliseconds more are usual.
pub async fn sleep(time: Duration) {
    Context::current().guest().sleep(time).await;
}

/// Runs a future beside the main one, for as long as that runs.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    Context::current().guest().spawn(task);
}
