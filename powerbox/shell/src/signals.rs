//! The signals by which a person tells a command to end, where it has something to tidy up first.

use std::io::IsTerminal as _;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Doing as _, Failure, Outcome};
use crate::output;

/// What a shell adds to a signal's number.
const EXIT_SIGNAL_BASE: i32 = 128;

/// Ctrl-C, an order to end, and the end of the terminal. From when this is made they do not end the process by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn watch() -> Outcome<Self> {
        let watch = |kind| signal(kind).doing(|| "cannot watch for signals".to_owned());
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
        })
    }

    /// The next one that comes.
    pub(crate) async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.interrupt.recv() => {
                output::interrupted();
                SignalKind::interrupt()
            }
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        }
    }
}

/// What a shell shows for who was ended by this signal.
pub(crate) fn exit_code(signal: i32) -> u8 {
    u8::try_from(EXIT_SIGNAL_BASE.saturating_add(signal)).unwrap_or(u8::MAX)
}

/// Does what shows somebody else's words to its end. On a terminal a signal ends it here, and not the process: their
/// colours are not left.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    if std::io::stdout().is_terminal() { unless_told_to_end(work).await } else { work.await }
}

/// Does it to its end, or until a signal comes; what the work holds is dropped then, and its result is a failure with the
/// code that shells have for that signal.
pub(crate) async fn unless_told_to_end<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let mut signals = Signals::watch()?;
    tokio::select! {
        done = work => done,
        signal = signals.next() => {
            Err(Failure::new("ended before it was done").because("told to").code(exit_code(signal.as_raw_value())))
        }
    }
}
