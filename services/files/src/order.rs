//! The order of calls on one object. Calls arrive in order, and their work may go to different threads: what changes
//! the object waits for all before it and lets none pass, what only looks shares. So a caller may send
//! `append`, `append`, `read` without waiting in between and finds what it expects.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// One object's queue: first come, first served.
#[derive(Clone, Debug, Default)]
pub struct Order(Arc<RwLock<()>>);

/// Held while a call works; it goes to the thread that does, because work outlives a call that is cancelled.
#[derive(Debug)]
pub struct Looking {
    _held: OwnedRwLockReadGuard<()>,
}

/// The same for a call that changes something.
#[derive(Debug)]
pub struct Changing {
    _held: OwnedRwLockWriteGuard<()>,
}

impl Order {
    /// Waits until every change that came before is done.
    pub async fn look(&self) -> Looking {
        Looking { _held: self.0.clone().read_owned().await }
    }

    /// Waits until everything that came before is done.
    pub async fn change(&self) -> Changing {
        Changing { _held: self.0.clone().write_owned().await }
    }
}
