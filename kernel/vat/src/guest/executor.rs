//! The one loop of a guest.

use super::clock::Sleep;
use super::host::{Arrival, HostDoor};
use super::shared::Shared;
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// A guest's own handle: what arrives at its door, timers, and tasks beside its main one.
#[derive(Clone)]
pub struct Guest {
    shared: Rc<Shared>,
    spawner: LocalSpawner,
}

impl Guest {
    /// The next thing that came through the door. One task should ask; where two do, the last one to ask is woken.
    pub async fn next(&self) -> Arrival {
        std::future::poll_fn(|context| self.shared.poll_arrival(context)).await
    }

    /// Ends after that time.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep::new(self.shared.clone(), time)
    }

    /// Runs a task beside the main one, for as long as that runs.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        // the pool is gone only when `run` has returned: then nothing is to run any more
        let _ = self.spawner.spawn_local(task);
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Guest")
    }
}

/// Nothing can run, and nothing will ever happen again: the door said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("nothing can ever happen again: every task waits and the door has nothing left to bring")
    }
}

impl std::error::Error for Stalled {}

/// Runs `main`, and whatever it spawns, until it is done; its last output has been handed over then, as far as it was
/// taken at once.
///
/// # Errors
/// [`Stalled`] where `main` waits for what can never come.
pub fn run<T, F>(host: Box<dyn HostDoor>, main: impl FnOnce(Guest) -> F) -> Result<T, Stalled>
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    let mut pool = LocalPool::new();
    let shared = Shared::new(host);
    let guest = Guest { shared: shared.clone(), spawner: pool.spawner() };
    let result = Rc::new(RefCell::new(None));
    let put = result.clone();
    let main = main(guest.clone());
    guest.spawn(async move {
        let value = main.await;
        *put.borrow_mut() = Some(value);
    });
    loop {
        pool.run_until_stalled();
        let woken = shared.end_turn();
        if let Some(value) = result.borrow_mut().take() {
            return Ok(value);
        }
        if !woken && !shared.wait() {
            return Err(Stalled);
        }
    }
}
