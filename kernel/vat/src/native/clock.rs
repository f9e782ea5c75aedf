//! The machine's time.

use crate::clock::Clock;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The machine's clocks, and tokio's timers.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that counts from now.
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        // 584 years
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration_ns: u64) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(tokio::time::sleep(Duration::from_nanos(duration_ns)))
    }

    /// A task that wakes itself is run up to sixty times before the runtime looks at its sockets again; one that yields
    /// is woken after that.
    fn wake_after_others(&self, waker: &Waker) {
        let first = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(waker));
        debug_assert!(first.is_pending(), "yielding takes one turn of others");
    }
}
