//! A session that is read no faster than makes sense. What is not read is not parsed, not answered and not held: whoever
//! sends more finds its own end full, and pays for that with its own time only.
//!
//! It is the reading that is paced, and not the calls: one who asks and takes back what it asked costs as much as one
//! who waits for its answers.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use vat::{Clock, Transport};

use crate::pace::{Pace, Rate};

/// What an app may send on its session. A question with its words takes about 300 bytes and its app reads on when a person
/// has decided: an app that asks for all that a package can announce (64), with the longest words, and waits for each, sends
/// 64 KiB. Sixteen times that may come at once; then 65 KB in a second, which is 200 questions, or 400 times the list of what
/// it holds.
pub(crate) const OF_AN_APP: Rate = Rate { at_once: 1 << 20, period_us: 15 };

/// What a service may send on its session. It reports 10,000 busy links every five seconds, with three methods each (300
/// bytes in all), and asks for a slice of 1,000 budgets a second (250 bytes each): about 0.85 MB in a second, and 1 MB may
/// come. After a powerbox that was away it tells the end of as many links as it remembers
/// (`LAST_REPORTS_LIMIT`) at once, which is 4 MB.
pub(crate) const OF_A_SERVICE: Rate = Rate { at_once: 8 << 20, period_us: 1 };

/// A transport that is read at a rate, in bytes.
pub(crate) struct Paced<T> {
    inner: T,
    clock: Rc<dyn Clock>,
    rate: Rate,
    pace: Pace,
    /// While what was read last is more than may be had by now.
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Is told of the first pause.
    on_pause: Option<Box<dyn FnOnce()>>,
}

impl<T: Transport> Paced<T> {
    /// That transport at that rate. The first time that it has to wait, somebody is told.
    pub(crate) fn new(inner: T, rate: Rate, clock: Rc<dyn Clock>, on_pause: impl FnOnce() + 'static) -> Self {
        Self { inner, clock, rate, pace: Pace::default(), pause: None, on_pause: Some(Box::new(on_pause)) }
    }
}

impl<T: Transport> Transport for Paced<T> {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let read = ready!(self.inner.poll_read(context, buffer))?;
        let pause_us = self.pace.pause_us(self.rate, read as u64, self.clock.now_ns() / 1_000);
        if pause_us > 0 {
            self.pause = Some(self.clock.sleep(pause_us * 1_000));
            self.on_pause.take().into_iter().for_each(|tell| tell());
        }
        Poll::Ready(Ok(read))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(context, pieces)
    }

    fn is_hung_up(&self) -> bool {
        self.inner.is_hung_up()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::task::Waker;
    use vat::testing::{ManualClock, SharedClock, pair};

    const RATE: Rate = Rate { at_once: 1_000, period_us: 1_000 };

    /// How much can be read now.
    fn read(paced: &mut Paced<impl Transport>) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut total = 0;
        while let Poll::Ready(read) = paced.poll_read(&mut context, &mut [0; 100]) {
            total += read.unwrap();
        }
        total
    }

    #[test]
    fn who_sends_without_end_is_read_at_the_rate_and_who_does_not_at_once() {
        let (mut there, here) = pair(1 << 20);
        let clock = ManualClock::at_ms(0);
        let told = Rc::new(Cell::new(0));
        let on_pause = {
            let told = told.clone();
            move || told.set(told.get() + 1)
        };
        let mut paced = Paced::new(here, RATE, Rc::new(SharedClock(clock.clone())), on_pause);
        let mut send = |bytes: usize| {
            let sent = there.poll_write(&mut Context::from_waker(Waker::noop()), &[IoSlice::new(&vec![7; bytes])]);
            assert!(matches!(sent, Poll::Ready(Ok(count)) if count == bytes));
        };
        send(900);
        assert_eq!((read(&mut paced), told.get()), (900, 0));
        clock.advance_ms(1_000);
        send(100_000);
        let mut all = read(&mut paced);
        assert_eq!(all, 1_100, "what may be had at once, and what was in the same piece");
        for _ in 0..10_000 {
            clock.advance_ms(1);
            all += read(&mut paced);
        }
        assert!((11_000..=11_200).contains(&all), "{all} bytes in ten seconds of one a millisecond");
        assert_eq!(told.get(), 1);
    }
}
