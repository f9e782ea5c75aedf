//! Who may run a handler: first come, first served, so many at once.

use super::call::Call;
use crate::bounds::Bounds;
use crate::gate::Refusal;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A call's place in the queue.
pub(crate) struct Ticket {
    /// The call's; one of this end's own has that of the call before it.
    number: u64,
    call: Option<Rc<Call>>,
    waker: RefCell<Option<Waker>>,
    gone: Cell<bool>,
}

/// The permits of one link.
pub(crate) struct Permits {
    running_limit: usize,
    running_limit_bytes: usize,
    running: Cell<usize>,
    running_bytes: Cell<usize>,
    queue: RefCell<VecDeque<Rc<Ticket>>>,
}

/// The right to run, to be given back.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) size_bytes: usize,
    /// Whether the call may start, now that it is its turn: what the gate said.
    pub(crate) admitted: Result<(), Refusal>,
}

/// What the gate says to a call whose turn it is. Pending: it waits where it is, and all others behind it.
pub(crate) type Admitted = Poll<Result<(), Refusal>>;

impl Permits {
    pub(crate) fn new(bounds: &Bounds) -> Permits {
        Permits {
            running_limit: bounds.running,
            running_limit_bytes: bounds.running_bytes,
            running: Cell::new(0),
            running_bytes: Cell::new(0),
            queue: RefCell::default(),
        }
    }

    /// A place in the queue, by the order in which calls were read. They mostly come here in that order; but a call of
    /// what another call returns comes when that has returned, and others may wait for a reference out of its own result
    /// by then. Behind them it would wait for them, and they for it.
    pub(crate) fn queue(&self, call: Option<Rc<Call>>) -> Rc<Ticket> {
        let mut queue = self.queue.borrow_mut();
        let last = queue.back().map_or(0, |ticket| ticket.number);
        let number = call.as_ref().map_or(last, |call| call.number);
        let ticket = Rc::new(Ticket { number, call, waker: RefCell::new(None), gone: Cell::new(false) });
        let mut at = queue.len();
        while at > 0 && queue[at - 1].number > number {
            at -= 1;
        }
        queue.insert(at, ticket.clone());
        ticket
    }

    /// Starts at once where nobody waits, there is room, and the gate has an answer.
    pub(crate) fn try_start(&self, call: Option<&Rc<Call>>, admit: impl FnOnce() -> Admitted) -> Option<Permit> {
        if self.queue.borrow().is_empty() { self.take(call, admit) } else { None }
    }

    /// Starts the call with that ticket, if it is its turn; else its waker is called when it may be.
    pub(crate) fn poll_start(
        &self,
        ticket: &Rc<Ticket>,
        waker: &Waker,
        admit: impl FnOnce() -> Admitted,
    ) -> Option<Permit> {
        self.drop_gone();
        let first = self.queue.borrow().front().is_some_and(|front| Rc::ptr_eq(front, ticket));
        if first && let Some(permit) = self.take(ticket.call.as_ref(), admit) {
            self.queue.borrow_mut().pop_front();
            self.wake_first();
            return Some(permit);
        }
        *ticket.waker.borrow_mut() = Some(waker.clone());
        None
    }

    fn take(&self, call: Option<&Rc<Call>>, admit: impl FnOnce() -> Admitted) -> Option<Permit> {
        let size_bytes = call.map_or(0, |call| call.size_bytes);
        let (running, running_bytes) = (self.running.get(), self.running_bytes.get());
        let fits = running < self.running_limit
            && (running == 0 || running_bytes + size_bytes <= self.running_limit_bytes)
            && call.is_none_or(|call| call.is_settled());
        if !fits {
            return None;
        }
        let Poll::Ready(admitted) = admit() else { return None };
        self.running.set(running + 1);
        self.running_bytes.set(running_bytes + size_bytes);
        Some(Permit { size_bytes, admitted })
    }

    /// The handler is done.
    pub(crate) fn give_back(&self, permit: &Permit) {
        self.running.set(self.running.get() - 1);
        self.running_bytes.set(self.running_bytes.get() - permit.size_bytes);
        self.wake_first();
    }

    /// The call will not start.
    pub(crate) fn leave(&self, ticket: &Ticket) {
        ticket.gone.set(true);
        self.wake_first();
    }

    fn drop_gone(&self) {
        let mut queue = self.queue.borrow_mut();
        while queue.front().is_some_and(|ticket| ticket.gone.get()) {
            queue.pop_front();
        }
    }

    /// Something changed: the first in the queue that is still wanted looks again.
    pub(crate) fn wake_first(&self) {
        self.drop_gone();
        let first = self.queue.borrow().front().cloned();
        if let Some(waker) = first.and_then(|ticket| ticket.waker.borrow_mut().take()) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Peer;

    fn permits(running: usize, running_bytes: usize) -> Permits {
        Permits::new(&Bounds { running, running_bytes, ..Bounds::for_peer(Peer::App) })
    }

    fn admit() -> Admitted {
        Poll::Ready(Ok(()))
    }

    fn call(size_bytes: usize) -> Option<Rc<Call>> {
        Some(Rc::new(Call { size_bytes, ..Call::default() }))
    }

    #[test]
    fn a_call_that_left_from_the_middle_does_not_swallow_the_wake_up_of_the_next() {
        struct Flag(std::sync::atomic::AtomicBool);
        impl std::task::Wake for Flag {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let permits = permits(1, 1_000);
        let running = permits.try_start(None, admit).unwrap();
        let (first, left, last) = (permits.queue(None), permits.queue(None), permits.queue(None));
        let flag = std::sync::Arc::new(Flag(false.into()));
        let waker = Waker::from(flag.clone());
        for ticket in [&first, &left] {
            assert!(permits.poll_start(ticket, Waker::noop(), admit).is_none());
        }
        assert!(permits.poll_start(&last, &waker, admit).is_none());
        permits.leave(&left);
        permits.give_back(&running);
        let running = permits.poll_start(&first, Waker::noop(), admit).unwrap();
        permits.give_back(&running);
        assert!(flag.0.load(std::sync::atomic::Ordering::SeqCst), "the last was not woken");
        assert!(permits.poll_start(&last, &waker, admit).is_some());
    }

    #[test]
    fn calls_start_in_order_and_no_more_than_allowed() {
        let permits = permits(2, 1_000);
        let first = permits.try_start(None, admit).unwrap();
        let _second = permits.try_start(None, admit).unwrap();
        assert!(permits.try_start(None, admit).is_none());
        let (third, fourth) = (permits.queue(None), permits.queue(None));
        permits.give_back(&first);
        assert!(permits.try_start(None, admit).is_none(), "nobody passes those who wait");
        assert!(permits.poll_start(&fourth, Waker::noop(), admit).is_none(), "not even one who waits");
        assert!(permits.poll_start(&third, Waker::noop(), admit).is_some());
        assert!(permits.poll_start(&fourth, Waker::noop(), admit).is_none());
    }

    #[test]
    fn one_large_call_runs_alone_rather_than_never() {
        let permits = permits(10, 100);
        let large = call(500);
        let permit = permits.try_start(large.as_ref(), admit).unwrap();
        assert!(permits.try_start(call(1).as_ref(), admit).is_none());
        permits.give_back(&permit);
        assert!(permits.try_start(call(100).as_ref(), admit).is_some());
    }

    #[test]
    fn who_leaves_holds_nobody_up() {
        let permits = permits(1, 100);
        let running = permits.try_start(None, admit).unwrap();
        let (gone, next) = (permits.queue(None), permits.queue(None));
        permits.leave(&gone);
        permits.give_back(&running);
        assert!(permits.poll_start(&next, Waker::noop(), admit).is_some());
    }

    #[test]
    fn a_call_waits_until_what_it_is_given_is_settled() {
        let permits = permits(10, 1_000);
        let giving = Rc::new(Call::default());
        let using = Rc::new(Call { given: vec![giving.clone()], ..Call::default() });
        assert!(permits.try_start(Some(&using), admit).is_none());
        giving.set_returned();
        assert!(permits.try_start(Some(&using), admit).is_some());
    }
}
