//! Time, as the library needs it, and the turn of others. Both are given by whoever runs the vat, so that tests decide what
//! time it is.

use std::future::Future;
use std::pin::Pin;
use std::task::Waker;

/// Where the library learns the time, and gives others on its thread their turn.
pub trait Clock: 'static {
    /// Nanoseconds since some moment; never goes back.
    fn now_ns(&self) -> u64;

    /// Milliseconds since 1970-01-01T00:00:00Z, as the machine knows it.
    fn wall_ms(&self) -> u64;

    /// Is ready after that many nanoseconds, not before.
    fn sleep(&self, duration_ns: u64) -> Pin<Box<dyn Future<Output = ()>>>;

    /// Wakes when whatever else this thread has to do had its turn: where it can, also what it has yet to learn of, such
    /// as bytes that came for another link meanwhile.
    fn wake_after_others(&self, waker: &Waker) {
        waker.wake_by_ref();
    }
}
