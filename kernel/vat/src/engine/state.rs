//! What the parts of one link share.

use super::call::Call;
use super::fault::Fault;
use super::frame::FrameReader;
use super::ledger::{Finish, Ledger, Verdict};
use super::outgoing::Outgoing;
use super::permits::Permits;
use crate::bounds::Bounds;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::link::{Ended, Tables};
use crate::meter::{Meter, UsageReport};
use crate::transport::Transport;
use crate::words::EndReason;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::{message, return_};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// One link.
pub(crate) struct LinkState {
    pub(crate) transport: RefCell<Box<dyn Transport>>,
    pub(crate) gate: RefCell<Gate>,
    pub(crate) meter: RefCell<Meter>,
    pub(crate) bounds: Bounds,
    pub(crate) clock: Rc<dyn Clock>,
    pub(crate) permits: Permits,
    reader: RefCell<FrameReader>,
    ledger: RefCell<Ledger>,
    outgoing: RefCell<Outgoing>,
    /// Finishes that the engine is to get before what comes next.
    finishes: RefCell<VecDeque<Finish>>,
    ended: Cell<bool>,
    ending: RefCell<Option<(EndReason, String)>>,
    driver: RefCell<Option<Waker>>,
    /// Who waits for the next message.
    receiver: RefCell<Option<Waker>>,
    /// The other end takes nothing more; what it sent before is still read.
    deaf: Cell<bool>,
    /// The call whose message was looked at last.
    probe: Cell<Option<Rc<Call>>>,
    /// Messages that may still be read in this turn.
    turn_left: Cell<usize>,
    paused: Cell<bool>,
}

/// Messages of one link that are read before others of the thread get their turn.
const TURN_MESSAGES: usize = 32;

/// What the engine is given.
pub(crate) enum Received {
    Message(super::frame::Message, Option<Rc<Call>>),
    Finish(Finish),
}

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
            reader: RefCell::default(),
            ledger: RefCell::new(Ledger::new(bounds)),
            outgoing: RefCell::default(),
            finishes: RefCell::default(),
            ended: Cell::new(false),
            ending: RefCell::new(None),
            driver: RefCell::new(None),
            receiver: RefCell::new(None),
            deaf: Cell::new(false),
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
        capnp::Error::disconnected(format!("the link has ended ({name}){colon}{detail}"))
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

    // --- the driver ---

    pub(crate) fn set_driver(&self, waker: Waker) {
        *self.driver.borrow_mut() = Some(waker);
    }

    fn wake_driver(&self) {
        if let Some(waker) = &*self.driver.borrow() {
            waker.wake_by_ref();
        }
    }

    fn wake_receiver(&self) {
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

    // --- what comes in ---

    /// The next message for the engine.
    pub(crate) fn poll_receive(&self, context: &mut Context<'_>) -> Poll<capnp::Result<Received>> {
        loop {
            if self.ended.get() {
                return Poll::Ready(Err(self.end_error()));
            }
            if let Some(finish) = self.finishes.borrow_mut().pop_front() {
                return Poll::Ready(Ok(Received::Finish(finish)));
            }
            if self.turn_left.get() == 0 {
                self.paused.set(true);
                *self.receiver.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            }
            let next = {
                let mut transport = self.transport.borrow_mut();
                self.reader.borrow_mut().poll_next(context, &mut **transport, &self.bounds)
            };
            let message = match next {
                Poll::Pending => {
                    *self.receiver.borrow_mut() = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some(message))) => message,
                Poll::Ready(Ok(None)) => {
                    self.end(EndReason::Closed, String::new());
                    continue;
                }
                Poll::Ready(Err(fault)) => {
                    self.fault(&fault);
                    continue;
                }
            };
            self.turn_left.set(self.turn_left.get() - 1);
            self.meter.borrow_mut().bytes_in(message.size_bytes);
            match self.look_at(&message) {
                Ok(Verdict::Pass) => return Poll::Ready(Ok(Received::Message(message, None))),
                Ok(Verdict::Call(call)) => return Poll::Ready(Ok(Received::Message(message, Some(call)))),
                Ok(Verdict::Done) => {}
                Ok(Verdict::Abort(reason)) => self.end(EndReason::Closed, format!("the other end gave up: {reason}")),
                Err(fault) => self.fault(&fault),
            }
        }
    }

    fn look_at(&self, message: &super::frame::Message) -> Result<Verdict, Fault> {
        let root: message::Reader<'_> = message.reader.get_root()?;
        let carry = |size_bytes: usize| self.gate.borrow_mut().carry(size_bytes as u64);
        if let Ok(message::Return(Ok(result))) = root.which()
            && let Ok(return_::Results(_)) = result.which()
            && let Err(refusal) = carry(message.size_bytes)
        {
            self.end(EndReason::Exhausted, refusal.to_string());
            return Ok(Verdict::Done);
        }
        self.ledger.borrow_mut().incoming(root, message.size_bytes, self.clock.now_ns(), carry)
    }

    /// Notes which call a message belongs to that is being looked at.
    pub(crate) fn set_probe(&self, call: Option<Rc<Call>>) {
        self.probe.set(call);
    }

    /// The call whose message was looked at last.
    pub(crate) fn take_probe(&self) -> Option<Rc<Call>> {
        self.probe.take()
    }

    // --- what goes out ---

    /// Sends a message at the end of the turn.
    pub(crate) fn send(&self, message: &Rc<Builder<HeapAllocator>>) {
        let size_bytes = message.size_in_words() * 8;
        let sent = message.get_root_as_reader().map_err(Fault::from).and_then(|root| self.try_send(root, size_bytes));
        match sent {
            Ok(true) => self.outgoing.borrow_mut().push(message),
            Ok(false) => {}
            Err(fault) => self.fault(&fault),
        }
        self.wake_driver();
    }

    /// Whether the message is to be sent.
    fn try_send(&self, root: message::Reader<'_>, size_bytes: usize) -> Result<bool, Fault> {
        if self.ended.get() {
            // the last word, so that the other end knows why
            return Ok(matches!(root.which(), Ok(message::Abort(_))));
        }
        if self.deaf.get() {
            return Ok(false);
        }
        if size_bytes > self.bounds.message_bytes {
            return Err(Fault::OwnMessage(size_bytes));
        }
        let counts = match root.which()? {
            message::Call(_) => true,
            message::Return(result) => {
                let result = result?;
                let is_root = self.ledger.borrow().is_root(result.get_answer_id());
                !is_root && matches!(result.which()?, return_::Results(_))
            }
            _ => false,
        };
        if counts && let Err(refusal) = self.gate.borrow_mut().carry(size_bytes as u64) {
            self.end(EndReason::Exhausted, refusal.to_string());
            return Ok(false);
        }
        if let Some(finish) = self.ledger.borrow_mut().outgoing(root, size_bytes)? {
            self.finishes.borrow_mut().push_back(finish);
            self.wake_receiver();
        }
        self.meter.borrow_mut().bytes_out(size_bytes);
        let waiting_bytes = self.outgoing.borrow().waiting_bytes() + size_bytes;
        if waiting_bytes > self.bounds.outgoing_bytes {
            return Err(Fault::Bound("bytes that it has not read", self.bounds.outgoing_bytes));
        }
        Ok(true)
    }

    /// Writes what waits.
    pub(crate) fn flush(&self, context: &mut Context<'_>) {
        let mut outgoing = self.outgoing.borrow_mut();
        let waited_bytes = outgoing.waiting_bytes();
        if waited_bytes == 0 {
            return;
        }
        let flushed = outgoing.poll_flush(context, &mut **self.transport.borrow_mut());
        let soft = self.bounds.outgoing_soft_bytes;
        let has_room = waited_bytes > soft && outgoing.waiting_bytes() <= soft;
        drop(outgoing);
        if let Poll::Ready(Err(_)) = flushed {
            self.deaf.set(true);
            *self.outgoing.borrow_mut() = Outgoing::default();
        }
        if has_room {
            self.permits.wake_first();
        }
    }

    /// The number of the frame that was begun and is not all there, if there is one.
    pub(crate) fn begun_frame(&self) -> Option<u64> {
        self.reader.borrow().begun_frame()
    }

    /// How many bytes were written when some wait, if some do.
    pub(crate) fn stuck_at_bytes(&self) -> Option<u64> {
        let outgoing = self.outgoing.borrow();
        (outgoing.waiting_bytes() > 0).then(|| outgoing.written_total_bytes())
    }

    /// Whether the other end takes nothing more: when all that it sent was read, the link has ended.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    /// Whether output leaves room for what handlers will say.
    pub(crate) fn has_room(&self) -> bool {
        self.outgoing.borrow().waiting_bytes() <= self.bounds.outgoing_soft_bytes
    }
}
