//! A peer that speaks by raw messages, never through a library that would stop it.

use super::keeper::KEEPER;
use capnp::message::{Builder, HeapAllocator, ReaderOptions, TypedReader};
use capnp::private::capability::ClientHook;
use capnp::serialize::OwnedSegments;
use capnp::traits::ImbueMut;
use capnp_rpc::rpc_capnp::{cap_descriptor, message, payload};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::{Context, Poll, Waker};
use vat::Transport;
use vat::testing::MemoryEnd;

/// A reference as it stands in a message.
#[derive(Clone, Copy, Debug)]
pub enum Reference {
    Hosted(u32),
    Promise(u32),
    Theirs(u32),
    Answer(u32),
    ThirdParty,
}

impl Reference {
    pub fn write(self, mut builder: cap_descriptor::Builder<'_>) {
        match self {
            Reference::Hosted(id) => builder.set_sender_hosted(id),
            Reference::Promise(id) => builder.set_sender_promise(id),
            Reference::Theirs(id) => builder.set_receiver_hosted(id),
            Reference::Answer(question) => builder.init_receiver_answer().set_question_id(question),
            Reference::ThirdParty => builder.init_third_party_hosted().set_vine_id(1),
        }
    }
}

/// Writes a payload whose root is the first of these references.
pub fn write_payload(mut payload: payload::Builder<'_>, references: &[Reference]) {
    let mut table = payload.reborrow().init_cap_table(references.len() as u32);
    for (index, reference) in references.iter().enumerate() {
        reference.write(table.reborrow().get(index as u32));
    }
    if !references.is_empty() {
        // a pointer to the table's first entry, whatever stands there
        let mut hooks: Vec<Option<Box<dyn ClientHook>>> = Vec::new();
        let broken = capnp_rpc::new_broken_cap(capnp::Error::failed(String::new()));
        let mut content = payload.reborrow().get_content();
        content.imbue_mut(&mut hooks);
        content.set_as_capability(broken.hook);
    }
}

pub type Received = TypedReader<OwnedSegments, message::Owned>;

/// The peer.
pub struct Raw {
    end: MemoryEnd,
    unsent: VecDeque<u8>,
    received: Vec<u8>,
}

impl Raw {
    pub fn new(end: MemoryEnd) -> Raw {
        Raw { end, unsent: VecDeque::new(), received: Vec::new() }
    }

    /// Sends bytes, as far as the link takes them now. Whether all went.
    pub fn bytes(&mut self, bytes: &[u8]) -> bool {
        self.unsent.extend(bytes);
        self.push()
    }

    /// Sends what the link did not take before.
    pub fn push(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        while !self.unsent.is_empty() {
            let (first, second) = self.unsent.as_slices();
            match self.end.poll_write(&mut context, &[IoSlice::new(first), IoSlice::new(second)]) {
                Poll::Ready(Ok(count)) => drop(self.unsent.drain(..count)),
                Poll::Ready(Err(_)) | Poll::Pending => return false,
            }
        }
        true
    }

    pub fn send(&mut self, fill: impl FnOnce(message::Builder<'_>)) -> bool {
        let mut builder = Builder::new(HeapAllocator::new());
        fill(builder.init_root());
        self.bytes(&capnp::serialize::write_message_to_words(&builder))
    }

    pub fn bootstrap(&mut self, question: u32) -> bool {
        self.send(|message| message.init_bootstrap().set_question_id(question))
    }

    /// Calls a method of an object of theirs.
    pub fn call(&mut self, question: u32, object: u32, method: u16, given: &[Reference]) -> bool {
        self.send(|message| {
            let mut call = message.init_call();
            call.set_question_id(question);
            call.set_interface_id(KEEPER);
            call.set_method_id(method);
            call.reborrow().init_target().set_imported_cap(object);
            write_payload(call.init_params(), given);
        })
    }

    /// Calls a method of what a call will return.
    pub fn call_result(&mut self, question: u32, of: u32, method: u16, given: &[Reference]) -> bool {
        self.send(|message| {
            let mut call = message.init_call();
            call.set_question_id(question);
            call.set_interface_id(KEEPER);
            call.set_method_id(method);
            call.reborrow().init_target().init_promised_answer().set_question_id(of);
            write_payload(call.init_params(), given);
        })
    }

    pub fn finish(&mut self, question: u32, release_results: bool) -> bool {
        self.send(|message| {
            let mut finish = message.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(release_results);
        })
    }

    pub fn release(&mut self, object: u32, count: u32) -> bool {
        self.send(|message| {
            let mut release = message.init_release();
            release.set_id(object);
            release.set_reference_count(count);
        })
    }

    pub fn resolve(&mut self, promise: u32, to: Reference) -> bool {
        self.send(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(promise);
            to.write(resolve.init_cap());
        })
    }

    /// Answers a call of theirs.
    pub fn answer(&mut self, question: u32, given: &[Reference]) -> bool {
        self.send(|message| {
            let mut result = message.init_return();
            result.set_answer_id(question);
            write_payload(result.init_results(), given);
        })
    }

    /// Reads what has come.
    pub fn read(&mut self) -> Vec<Received> {
        let mut context = Context::from_waker(Waker::noop());
        let mut buffer = vec![0; 1 << 20];
        while let Poll::Ready(Ok(count @ 1..)) = self.end.poll_read(&mut context, &mut buffer) {
            self.received.extend_from_slice(&buffer[..count]);
        }
        let mut messages = Vec::new();
        let mut rest = &self.received[..];
        while let Ok(Some(message)) = capnp::serialize::try_read_message(&mut rest, ReaderOptions::new()) {
            messages.push(message.into_typed());
            let kept = rest.to_vec();
            self.received = kept;
            rest = &self.received[..];
        }
        messages
    }

    pub fn is_closed(&self) -> bool {
        self.end.is_hung_up()
    }
}
