//! The deadline of a turn: how long a guest may compute between two waits at its door. Only time in which the guest
//! runs counts, not time in which it is suspended, whatever for.

use crate::limits::Exceeded;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::Engine;

/// How often a running guest is looked at. A deadline is this exact.
const TICK: Duration = Duration::from_millis(100);
/// A tick in the unit of deadlines.
const TICK_MS: u32 = 100;
/// The thread that counts calls nothing deep.
const COUNTER_STACK_BYTES: usize = 64 << 10;

/// What the guest has used of its turn.
#[derive(Debug)]
pub(crate) struct Turn {
    used_ticks: u32,
    limit_ms: u32,
}

impl Turn {
    pub(crate) fn new(limit_ms: u32) -> Self {
        Self { used_ticks: 0, limit_ms }
    }

    /// The guest has asked its door.
    pub(crate) fn begin(&mut self) {
        self.used_ticks = 0;
    }

    /// The guest was found running at a tick.
    pub(crate) fn count(&mut self) -> Result<(), Exceeded> {
        self.used_ticks = self.used_ticks.saturating_add(1);
        // The first tick after the beginning may come at once, and is not counted.
        if (self.used_ticks - 1).saturating_mul(TICK_MS) < self.limit_ms {
            Ok(())
        } else {
            Err(Exceeded::Turn { limit_ms: self.limit_ms })
        }
    }
}

/// Advances the engine's epoch while the guest runs. It costs nothing while the guest is suspended: the thread then
/// sleeps until it is woken.
#[derive(Clone)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicBool,
    asleep: AtomicBool,
}

impl Ticker {
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let counter = shared.clone();
        let builder = std::thread::Builder::new().name("turns".into()).stack_size(COUNTER_STACK_BYTES);
        let thread = builder.spawn(move || counter.count(&engine))?.thread().clone();
        Ok(Self { shared, thread })
    }

    /// Counts while the future is polled.
    pub(crate) fn attend<F: Future + Unpin>(&self, future: F) -> Attended<F> {
        Attended { future, ticker: self.clone() }
    }

    fn enter(&self) {
        self.shared.running.store(true, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }

    fn leave(&self) {
        self.shared.running.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn count(&self, engine: &Engine) {
        loop {
            std::thread::park_timeout(TICK);
            if self.running.load(Ordering::SeqCst) {
                engine.increment_epoch();
                continue;
            }
            self.asleep.store(true, Ordering::SeqCst);
            // It may have begun to run before it could see that we sleep.
            if self.running.load(Ordering::SeqCst) {
                self.asleep.store(false, Ordering::SeqCst);
            }
            while self.asleep.load(Ordering::SeqCst) {
                std::thread::park();
            }
        }
    }
}

/// A future whose polls are counted as running.
pub(crate) struct Attended<F> {
    future: F,
    ticker: Ticker,
}

impl<F: Future + Unpin> Future for Attended<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.ticker.enter();
        let poll = Pin::new(&mut self.future).poll(context);
        self.ticker.leave();
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_after_its_limit_and_begins_anew_at_the_door() {
        let mut turn = Turn::new(300);
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(turn.count(), Ok(()));
            }
            turn.begin();
        }
        for _ in 0..3 {
            assert_eq!(turn.count(), Ok(()));
        }
        assert_eq!(turn.count(), Err(Exceeded::Turn { limit_ms: 300 }));
    }
}
