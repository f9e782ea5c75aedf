//! Messages of a link on their way: each is looked at, counted and bounded before the engine gets it, or the peer.

use super::call::Call;
use super::fault::Fault;
use super::frame::Message;
use super::ledger::{Finish, Verdict};
use super::outgoing::Outgoing;
use super::state::LinkState;
use crate::words::EndReason;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::{message, return_};
use std::rc::Rc;
use std::task::{Context, Poll};

/// What the engine is given.
pub(super) enum Received {
    Message(Message, Option<Rc<Call>>),
    Finish(Finish),
}

/// What becomes of a message that is to go out.
enum Sending {
    Now,
    /// It waits for the budget of bytes, of which it costs so much.
    Held(u64),
    Not,
}

impl LinkState {
    // --- what comes in ---

    /// The next message for the engine.
    pub(super) fn poll_receive(&self, context: &mut Context<'_>) -> Poll<capnp::Result<Received>> {
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
                Ok(Verdict::Abort(reason)) => self.given_up(&reason),
                Err(fault) => self.fault(&fault),
            }
        }
    }

    fn look_at(&self, message: &Message) -> Result<Verdict, Fault> {
        let root: message::Reader<'_> = message.reader.get_root()?;
        if let Ok(message::Return(Ok(result))) = root.which()
            && let Ok(return_::Results(_)) = result.which()
            && let Err(refusal) = self.pay(|gate| gate.carry_now(message.size_bytes as u64))
        {
            self.end(EndReason::Exhausted, refusal.to_string());
            return Ok(Verdict::Done);
        }
        self.ledger.borrow_mut().incoming(root, message.size_bytes, self.clock.now_ns())
    }

    /// Notes which call a message belongs to that is being looked at.
    pub(super) fn set_probe(&self, call: Option<Rc<Call>>) {
        self.probe.set(call);
    }

    /// The call whose message was looked at last.
    pub(super) fn take_probe(&self) -> Option<Rc<Call>> {
        self.probe.take()
    }

    // --- what goes out ---

    /// Sends a message at the end of the turn.
    pub(super) fn send(&self, message: &Rc<Builder<HeapAllocator>>) {
        let size_bytes = message.size_in_words() * 8;
        let sent = message.get_root_as_reader().map_err(Fault::from).and_then(|root| self.try_send(root, size_bytes));
        match sent {
            Ok(Sending::Now) => self.outgoing.borrow_mut().push(message),
            Ok(Sending::Held(cost_bytes)) => self.outgoing.borrow_mut().hold(message, cost_bytes),
            Ok(Sending::Not) => {}
            Err(fault) => self.fault(&fault),
        }
        // a call may wait for a reference out of this result
        self.permits.wake_first();
        self.wake_driver();
    }

    /// Whether the message is to be sent.
    fn try_send(&self, root: message::Reader<'_>, size_bytes: usize) -> Result<Sending, Fault> {
        if self.ended.get() {
            // the last word, so that the other end knows why
            let is_last = matches!(root.which(), Ok(message::Abort(_)));
            return Ok(if is_last { Sending::Now } else { Sending::Not });
        }
        if self.deaf.get() {
            return Ok(Sending::Not);
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
        let cost_bytes = if counts { size_bytes as u64 } else { 0 };
        let is_held = self.outgoing.borrow().is_holding()
            || match self.pay(|gate| gate.carry(cost_bytes)) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(refusal)) => {
                    self.end(EndReason::Exhausted, refusal.to_string());
                    return Ok(Sending::Not);
                }
                Poll::Pending => true,
            };
        if let Some(finish) = self.ledger.borrow_mut().outgoing(root, size_bytes)? {
            self.finishes.borrow_mut().push_back(finish);
            self.wake_receiver();
        }
        self.meter.borrow_mut().bytes_out(size_bytes);
        let kept_bytes = self.outgoing.borrow().kept_bytes() + size_bytes;
        if kept_bytes > self.bounds.outgoing_bytes {
            return Err(Fault::Bound("bytes that it has not read", self.bounds.outgoing_bytes));
        }
        Ok(if is_held { Sending::Held(cost_bytes) } else { Sending::Now })
    }

    /// Writes what waits.
    pub(super) fn flush(&self, context: &mut Context<'_>) {
        let mut outgoing = self.outgoing.borrow_mut();
        let kept_bytes = outgoing.kept_bytes();
        if outgoing.waiting_bytes() == 0 {
            return;
        }
        let flushed = outgoing.poll_flush(context, &mut **self.transport.borrow_mut());
        let soft = self.bounds.outgoing_soft_bytes;
        let has_room = kept_bytes > soft && outgoing.kept_bytes() <= soft;
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
    pub(super) fn begun_frame(&self) -> Option<u64> {
        self.reader.borrow().begun_frame()
    }

    /// How many bytes were written when some wait, if some do.
    pub(super) fn stuck_at_bytes(&self) -> Option<u64> {
        let outgoing = self.outgoing.borrow();
        (outgoing.waiting_bytes() > 0).then(|| outgoing.written_total_bytes())
    }

    /// Whether the other end takes nothing more: when all that it sent was read, the link has ended.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    /// Whether output leaves room for what handlers will say.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.borrow().kept_bytes() <= self.bounds.outgoing_soft_bytes
    }
}
