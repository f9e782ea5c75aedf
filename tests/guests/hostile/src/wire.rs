//! Links spoken by hand: messages are built one by one, and nothing here keeps a rule that a peer could rely on.

use crate::bindings::latchkey::door::door::{self, Carries, Event};
use capnp::message::{Builder, ReaderOptions};
use capnp_rpc::rpc_capnp::{call, cap_descriptor, message, return_};
use schema::session_capnp::{Decision, session};
use std::collections::{BTreeMap, BTreeSet};

/// Credit for what is read as it comes.
const CREDIT_BYTES: u32 = 1 << 20;

type Owned = capnp::message::Reader<capnp::serialize::OwnedSegments>;

/// The guest's door, and what came through it so far.
#[derive(Default)]
pub(crate) struct Wires {
    /// The link to the powerbox.
    pub(crate) session: u32,
    /// Links to granted objects that nobody has taken yet, oldest first.
    granted: Vec<u32>,
    received: BTreeMap<u32, Vec<u8>>,
    /// By link and question: those that nobody has waited for yet.
    answers: BTreeMap<(u32, u32), Owned>,
    closed: BTreeMap<u32, String>,
    /// Links that get no more credit.
    unread: BTreeSet<u32>,
    questions: u32,
}

impl Wires {
    /// Waits for the link to the powerbox, whose root is then asked for.
    pub(crate) fn begin() -> Self {
        let mut wires = Self::default();
        while wires.session == 0 {
            wires.turn();
        }
        let session = wires.session;
        wires.root(session);
        wires
    }

    /// Takes whatever comes next.
    pub(crate) fn turn(&mut self) {
        for event in door::wait(None) {
            match event {
                Event::Opened(delivery) => {
                    if !self.unread.contains(&delivery.link) {
                        door::open_window(delivery.link, CREDIT_BYTES);
                    }
                    match delivery.carries {
                        Carries::Session => self.session = delivery.link,
                        Carries::Grant => self.granted.push(delivery.link),
                    }
                }
                Event::Bytes(chunk) => {
                    if !self.unread.contains(&chunk.link) {
                        door::open_window(chunk.link, u32::try_from(chunk.bytes.len()).unwrap_or(0));
                    }
                    self.received.entry(chunk.link).or_default().extend(chunk.bytes);
                }
                Event::Closed(ending) => drop(self.closed.insert(ending.link, ending.reason)),
                Event::Stop => std::process::exit(0),
                Event::Room(_) | Event::Notice(_) => {}
            }
        }
    }

    /// From now on nothing is read of that link.
    pub(crate) fn stop_reading(&mut self, link: u32) {
        self.unread.insert(link);
    }

    pub(crate) fn is_closed(&self, link: u32) -> bool {
        self.closed.contains_key(&link)
    }

    /// Waits until the link is closed, and says why it was.
    pub(crate) fn until_closed(&mut self, link: u32) -> String {
        while !self.is_closed(link) {
            self.turn();
        }
        self.closed[&link].clone()
    }

    /// Sends all of it, or as much as goes before the link is closed. Whether all went.
    pub(crate) fn bytes(&mut self, link: u32, mut bytes: &[u8]) -> bool {
        loop {
            let taken = door::send(link, bytes) as usize;
            bytes = &bytes[taken..];
            if bytes.is_empty() || self.is_closed(link) {
                return bytes.is_empty();
            }
            self.turn();
        }
    }

    pub(crate) fn message(&mut self, link: u32, fill: impl FnOnce(message::Builder<'_>)) -> bool {
        let bytes = encode(fill);
        self.bytes(link, &bytes)
    }

    pub(crate) fn question(&mut self) -> u32 {
        self.questions += 1;
        self.questions
    }

    /// Asks for the root of a link. It is object 0 there: the first that the other end hands out.
    pub(crate) fn root(&mut self, link: u32) {
        let question = self.question();
        self.message(link, |message| message.init_bootstrap().set_question_id(question));
        self.answer(link, question);
        self.finish(link, question);
    }

    pub(crate) fn finish(&mut self, link: u32, question: u32) -> bool {
        self.message(link, |message| {
            let mut finish = message.init_finish();
            finish.set_question_id(question);
            finish.set_release_result_caps(false);
        })
    }

    /// Waits for an answer and gives what it says; nothing where the link is closed first. Answers come in any order.
    pub(crate) fn answer(&mut self, link: u32, question: u32) -> Option<Owned> {
        loop {
            while let Some(message) = self.next(link) {
                if let Some(answered) = answered(&message) {
                    self.answers.insert((link, answered), message);
                }
            }
            if let Some(message) = self.answers.remove(&(link, question)) {
                return Some(message);
            }
            if self.is_closed(link) {
                return None;
            }
            self.turn();
        }
    }

    /// A message that has come whole.
    pub(crate) fn next(&mut self, link: u32) -> Option<Owned> {
        let received = self.received.get_mut(&link)?;
        let mut rest = &received[..];
        let message = capnp::serialize::try_read_message(&mut rest, ReaderOptions::new()).ok()??;
        let kept = rest.len();
        received.drain(..received.len() - kept);
        Some(message)
    }

    /// Asks the powerbox for the folder, without waiting for an answer.
    pub(crate) fn request(&mut self, label: &str, reason: &str, hint: &str) -> u32 {
        let question = self.question();
        let bytes = encode(|message| {
            let mut call = message.init_call();
            to_root(&mut call, question, <session::Client as capnp::traits::HasTypeId>::TYPE_ID, 0);
            let mut asked = call.init_params().get_content().init_as::<session::request_params::Builder<'_>>();
            asked.set_label(label);
            asked.set_reason(reason);
            let mut query = asked.reborrow().init_query();
            query.set_interface(<schema::filesystem_capnp::directory::Client as capnp::traits::HasTypeId>::TYPE_ID);
            query.set_hint(hint);
            asked.init_rights().set_read(true);
        });
        self.bytes(self.session, &bytes);
        question
    }

    /// Waits until the folder is granted, and for the link to it, whose root is then asked for.
    pub(crate) fn folder(&mut self) -> Option<u32> {
        let session = self.session;
        let asked = self.request("folder", "to misbehave with", "");
        self.answer(session, asked)?;
        self.finish(session, asked);
        let question = self.question();
        self.message(session, |message| decision(&mut message.init_call(), question));
        let message = self.answer(session, question)?;
        self.finish(session, question);
        if decided(&message) != Some(Decision::Granted) {
            return None;
        }
        while self.granted.is_empty() {
            self.turn();
        }
        let folder = self.granted.remove(0);
        self.root(folder);
        Some(folder)
    }
}

/// A message as it goes over a link.
pub(crate) fn encode(fill: impl FnOnce(message::Builder<'_>)) -> Vec<u8> {
    let mut builder = Builder::new_default();
    fill(builder.init_root());
    capnp::serialize::write_message_to_words(&builder)
}

/// Addresses a call to the root object.
pub(crate) fn to_root(call: &mut call::Builder<'_>, question: u32, interface: u64, method: u16) {
    call.set_question_id(question);
    call.set_interface_id(interface);
    call.set_method_id(method);
    call.reborrow().init_target().set_imported_cap(0);
}

/// A call that waits until the request for the folder is decided.
pub(crate) fn decision(call: &mut call::Builder<'_>, question: u32) {
    to_root(call, question, <session::Client as capnp::traits::HasTypeId>::TYPE_ID, 1);
    call.reborrow().init_params().get_content().init_as::<session::decision_params::Builder<'_>>().set_label("folder");
}

/// Which question a message answers, if it is an answer.
fn answered(message: &Owned) -> Option<u32> {
    match message.get_root::<message::Reader<'_>>().ok()?.which() {
        Ok(message::Return(Ok(answer))) => Some(answer.get_answer_id()),
        _ => None,
    }
}

/// What the powerbox's answer to `request` or `decision` says: both have it as their only field.
pub(crate) fn decided(message: &Owned) -> Option<Decision> {
    let Ok(message::Return(Ok(answer))) = message.get_root::<message::Reader<'_>>().ok()?.which() else { return None };
    let Ok(return_::Results(Ok(results))) = answer.which() else { return None };
    results.get_content().get_as::<session::decision_results::Reader<'_>>().ok()?.get_decision().ok()
}

/// A reference in the first call's table of them.
pub(crate) fn reference(call: &mut call::Builder<'_>, fill: impl FnOnce(cap_descriptor::Builder<'_>)) {
    fill(call.reborrow().get_params().expect("its own message").init_cap_table(1).get(0));
}
