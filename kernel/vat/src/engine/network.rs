//! The engine's view of a link: its traits for networks, connections and messages.

use super::call::Call;
use super::fault::Fault;
use super::frame::Message;
use super::ledger::Finish;
use super::state::LinkState;
use super::traffic::Received;
use capnp::any_pointer;
use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_capnp::message;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{Connection, IncomingMessage, OutgoingMessage, VatNetwork};
use std::future::poll_fn;
use std::rc::Rc;

/// The first segment of a message, in words. The engine asks for 1,024 for each call; most calls need a tenth.
const SEGMENT_WORDS: u32 = 128;

/// A network of two vats.
pub(super) struct Network {
    state: Rc<LinkState>,
    side: Side,
    accepted: bool,
}

impl Network {
    pub(super) fn new(state: Rc<LinkState>, side: Side) -> Network {
        Network { state, side, accepted: false }
    }

    fn connection(&self) -> Box<dyn Connection<Side>> {
        Box::new(Link { state: self.state.clone(), side: self.side })
    }
}

impl VatNetwork<Side> for Network {
    fn connect(&mut self, side: Side) -> Option<Box<dyn Connection<Side>>> {
        if side == self.side { None } else { Some(self.connection()) }
    }

    fn accept(&mut self) -> Promise<Box<dyn Connection<Side>>, capnp::Error> {
        if std::mem::replace(&mut self.accepted, true) {
            Promise::from_future(std::future::pending())
        } else {
            Promise::ok(self.connection())
        }
    }

    /// The driver ends the link itself.
    fn drive_until_shutdown(&mut self) -> Promise<(), capnp::Error> {
        Promise::from_future(std::future::pending())
    }
}

struct Link {
    state: Rc<LinkState>,
    side: Side,
}

impl Connection<Side> for Link {
    fn get_peer_vat_id(&self) -> Side {
        match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    fn new_outgoing_message(&mut self, first_segment_words: u32) -> Box<dyn OutgoingMessage> {
        let allocator = HeapAllocator::new().first_segment_words(first_segment_words.clamp(1, SEGMENT_WORDS));
        Box::new(Outgoing { message: Builder::new(allocator), state: self.state.clone() })
    }

    fn receive_incoming_message(&mut self) -> Promise<Option<Box<dyn IncomingMessage>>, capnp::Error> {
        let state = self.state.clone();
        Promise::from_future(async move {
            let received = poll_fn(|context| state.poll_receive(context)).await?;
            Ok(Some(match received {
                Received::Message(message, call) => Box::new(Incoming { message, call, state }),
                Received::Finish(finish) => Box::new(Injected::new(finish)) as Box<dyn IncomingMessage>,
            }))
        })
    }

    /// The engine gives the connection up: because the link has ended, or for something that only it could see.
    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), capnp::Error> {
        if let Err(error) = result {
            self.state.fault(&Fault::from(error));
        }
        Promise::ok(())
    }
}

/// A message that came in. Whoever looks at its body leaves the call in the link's probe: so the guard finds out which
/// call it was called with.
struct Incoming {
    message: Message,
    call: Option<Rc<Call>>,
    state: Rc<LinkState>,
}

impl IncomingMessage for Incoming {
    fn get_body(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        if self.call.is_some() {
            self.state.set_probe(self.call.clone());
        }
        self.message.reader.get_root()
    }
}

/// A message that is given to the engine late.
struct Injected {
    message: Builder<HeapAllocator>,
}

impl Injected {
    fn new(finish: Finish) -> Injected {
        let mut message = Builder::new(HeapAllocator::new().first_segment_words(8));
        let mut builder = message.init_root::<message::Builder<'_>>().init_finish();
        builder.set_question_id(finish.question);
        builder.set_release_result_caps(finish.release_results);
        Injected { message }
    }
}

impl IncomingMessage for Injected {
    fn get_body(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.message.get_root_as_reader()
    }
}

struct Outgoing {
    message: Builder<HeapAllocator>,
    state: Rc<LinkState>,
}

impl OutgoingMessage for Outgoing {
    fn get_body(&mut self) -> capnp::Result<any_pointer::Builder<'_>> {
        self.message.get_root()
    }

    fn get_body_as_reader(&self) -> capnp::Result<any_pointer::Reader<'_>> {
        self.message.get_root_as_reader()
    }

    fn send(self: Box<Self>) -> (Promise<(), capnp::Error>, Rc<Builder<HeapAllocator>>) {
        let Outgoing { message, state } = *self;
        let message = Rc::new(message);
        state.send(&message);
        (Promise::ok(()), message)
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.message
    }

    fn size_in_words(&self) -> usize {
        self.message.size_in_words()
    }
}
