//! What the parts of one link share.

use super::call::Call;
use super::fault::Fault;
use super::frame::FrameReader;
use super::ledger::{Finish, Ledger};
use super::outgoing::Outgoing;
use super::permits::{Admitted, Permits};
use crate::bounds::Bounds;
use crate::clock::Clock;
use crate::door::Lease;
use crate::gate::Gate;
use crate::link::{Ended, Tables, Work};
use crate::meter::{Meter, UsageReport};
use crate::transport::Transport;
use crate::words::{EndReason, Method};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What stands before the reason in the words that everything on an ended link ends with.
const ENDED: &str = "the link has ended (";

/// One link.
pub(crate) struct LinkState {
    pub(crate) transport: RefCell<Box<dyn Transport>>,
    pub(crate) gate: RefCell<Gate>,
    pub(crate) meter: RefCell<Meter>,
    pub(crate) bounds: Bounds,
    pub(crate) clock: Rc<dyn Clock>,
    pub(crate) permits: Permits,
    pub(crate) work: Work,
    pub(super) reader: RefCell<FrameReader>,
    pub(super) ledger: RefCell<Ledger>,
    pub(super) outgoing: RefCell<Outgoing>,
    /// Finishes that the engine is to get before what comes next.
    pub(super) finishes: RefCell<VecDeque<Finish>>,
    pub(super) ended: Cell<bool>,
    ending: RefCell<Option<(EndReason, String)>>,
    driver: RefCell<Option<Waker>>,
    /// Who waits for the next message.
    pub(super) receiver: RefCell<Option<Waker>>,
    /// The other end takes nothing more; what it sent before is still read.
    pub(super) deaf: Cell<bool>,
    /// Who asks for more of the budgets when a slice runs low.
    renewer: RefCell<Option<Waker>>,
    /// The call whose message was looked at last.
    pub(super) probe: Cell<Option<Rc<Call>>>,
    /// Messages that may still be read in this turn.
    pub(super) turn_left: Cell<usize>,
    pub(super) paused: Cell<bool>,
}

/// Messages of one link that are read before others of the thread get their turn: with a handler that answers at once they
/// take 40 µs, about what a call between two processes takes anyway. With 32, a neighbour of a flood waited three times as
/// long in the middle and four times at the worst hundredth; with 4, service and flooder wake each other so often that the
/// system's scheduler lets the neighbour wait for a whole time slice now and then.
const TURN_MESSAGES: usize = 8;

impl LinkState {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        gate: Gate,
        bounds: Bounds,
        clock: Rc<dyn Clock>,
    ) -> Rc<LinkState> {
        Rc::new(LinkState {
            transport: RefCell::new(transport),
            gate: RefCell::new(gate),
            meter: RefCell::default(),
            bounds,
            clock,
            permits: Permits::new(&bounds),
            work: Work::default(),
            reader: RefCell::default(),
            ledger: RefCell::new(Ledger::new(bounds)),
            outgoing: RefCell::default(),
            finishes: RefCell::default(),
            ended: Cell::new(false),
            ending: RefCell::new(None),
            driver: RefCell::new(None),
            receiver: RefCell::new(None),
            deaf: Cell::new(false),
            renewer: RefCell::new(None),
            probe: Cell::new(None),
            turn_left: Cell::new(TURN_MESSAGES),
            paused: Cell::new(false),
        })
    }

    // --- the end ---

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether the link was cut or its other end is gone. It counts as ended from then on.
    pub(crate) fn is_hung_up(&self) -> bool {
        let hung_up = self.transport.borrow().is_hung_up();
        if hung_up {
            self.end(EndReason::Closed, String::new());
        }
        hung_up
    }

    /// The first end counts.
    pub(crate) fn end(&self, reason: EndReason, detail: String) {
        if !self.ended.replace(true) {
            *self.ending.borrow_mut() = Some((reason, detail));
        }
        self.wake_receiver();
        self.wake_driver();
    }

    pub(crate) fn fault(&self, fault: &Fault) {
        self.end(EndReason::Misbehaved, fault.to_string());
    }

    /// The error that everything on an ended link ends with.
    pub(crate) fn end_error(&self) -> capnp::Error {
        let ending = self.ending.borrow();
        let (reason, detail) = ending.as_ref().map_or((EndReason::Closed, ""), |(reason, detail)| (*reason, detail));
        let name = crate::words::reason_name(reason);
        let colon = if detail.is_empty() { "" } else { ": " };
        capnp::Error::disconnected(format!("{ENDED}{name}){colon}{detail}"))
    }

    /// The other end gave up, with these last words. That a budget is used up is its word to give; every other reason for
    /// which an app loses something is the node's, and comes to the door.
    pub(super) fn given_up(&self, words: &str) {
        let used_up = crate::words::reason_name(EndReason::Exhausted);
        let told = words.split_once(ENDED).and_then(|(_, rest)| rest.strip_prefix(used_up)?.strip_prefix("): "));
        match told {
            Some(detail) => self.end(EndReason::Exhausted, detail.to_owned()),
            None => self.end(EndReason::Closed, format!("the other end gave up: {words}")),
        }
    }

    pub(crate) fn ended(&self) -> Ended {
        let (reason, detail) = self.ending.borrow().clone().unwrap_or((EndReason::Closed, String::new()));
        Ended { reason, detail, usage: self.usage() }
    }

    pub(crate) fn usage(&self) -> UsageReport {
        let mut report = self.meter.borrow_mut().take();
        (report.unused_calls, report.unused_bytes) = self.gate.borrow().unused();
        report
    }

    pub(crate) fn tables(&self) -> Tables {
        self.ledger.borrow().tables()
    }

    // --- the budgets ---

    /// Whether a call may start now that it is its turn.
    pub(super) fn admit(&self, method: Method, call: Option<&Rc<Call>>) -> Admitted {
        if !self.has_room() {
            return Poll::Pending;
        }
        self.pay(|gate| {
            let now_ms = if gate.expires() { self.clock.wall_ms() } else { 0 };
            gate.admit(now_ms, method, call.map_or(0, |call| call.size_bytes as u64))
        })
    }

    /// Uses of the budgets, and has more asked for where little is left.
    pub(super) fn pay<R>(&self, pay: impl FnOnce(&mut Gate) -> R) -> R {
        let mut gate = self.gate.borrow_mut();
        let paid = pay(&mut gate);
        if gate.is_low()
            && let Some(renewer) = self.renewer.borrow_mut().take()
        {
            renewer.wake();
        }
        paid
    }

    /// What to ask for of each budget, as soon as there is something.
    pub(crate) fn poll_low(&self, context: &mut Context<'_>) -> Poll<(Lease, Lease)> {
        let gate = self.gate.borrow();
        if gate.is_low() {
            return Poll::Ready(gate.wants());
        }
        *self.renewer.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }

    /// What was answered. Who waited for it goes on.
    pub(crate) fn renew(&self, calls: Lease, bytes: Lease) {
        self.pay(|gate| gate.renew(calls, bytes));
        let released = self.outgoing.borrow_mut().release(|bytes| self.pay(|gate| gate.carry(bytes)));
        if let Err(refusal) = released {
            self.end(EndReason::Exhausted, refusal.to_string());
        }
        self.permits.wake_first();
        self.wake_driver();
    }

    // --- the driver ---

    pub(crate) fn set_driver(&self, waker: Waker) {
        *self.driver.borrow_mut() = Some(waker);
    }

    pub(super) fn wake_driver(&self) {
        if let Some(waker) = &*self.driver.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wake_receiver(&self) {
        if let Some(waker) = self.receiver.borrow_mut().take() {
            waker.wake();
        }
    }

    /// A new turn begins: messages are read again.
    pub(crate) fn begin_turn(&self) {
        self.turn_left.set(TURN_MESSAGES);
        if self.paused.replace(false) {
            self.wake_receiver();
        }
    }

    /// Whether the turn ended with messages left to read.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.get()
    }
}
