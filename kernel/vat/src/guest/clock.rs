//! Timers: the loop waits at the door no longer than the earliest one.

use super::executor::Guest;
use super::shared::Shared;
use crate::clock::Clock;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

/// Who waits for which time. The number tells apart those that wait for the same.
#[derive(Default)]
pub(super) struct Timers {
    waiting: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next: Cell<u64>,
}

impl Timers {
    /// How long until the earliest is due; nothing where nobody waits.
    pub(super) fn until_next(&self) -> Option<Duration> {
        let waiting = self.waiting.borrow();
        waiting.first_key_value().map(|((at, _), _)| at.saturating_duration_since(Instant::now()))
    }

    /// Wakes whoever is due.
    pub(super) fn fire(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(entry) = waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            entry.remove().wake();
        }
    }
}

/// Ends when its time is over. Dropping it forgets the timer.
pub struct Sleep {
    shared: Rc<Shared>,
    at: Instant,
    key: Option<(Instant, u64)>,
}

impl Sleep {
    pub(super) fn new(shared: Rc<Shared>, time: Duration) -> Sleep {
        let now = Instant::now();
        // a time that no clock reaches is a century
        let at = now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(100 * 365 * 86_400));
        Sleep { shared, at, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let this = &mut *self;
        let timers = &this.shared.timers;
        let key = *this.key.get_or_insert_with(|| {
            timers.next.set(timers.next.get() + 1);
            (this.at, timers.next.get())
        });
        timers.waiting.borrow_mut().insert(key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.timers.waiting.borrow_mut().remove(&key);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sleep").field("at", &self.at).finish()
    }
}

/// Time as a guest knows it, for the engine.
#[derive(Debug)]
pub struct GuestClock {
    guest: Guest,
    start: Instant,
}

impl GuestClock {
    /// Its nanoseconds count from now.
    #[must_use]
    pub fn new(guest: Guest) -> GuestClock {
        GuestClock { guest, start: Instant::now() }
    }
}

impl Clock for GuestClock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration_ns: u64) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(self.guest.sleep(Duration::from_nanos(duration_ns)))
    }
}
