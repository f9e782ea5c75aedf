//! What can be done wrong on a link, to the powerbox and to a granted folder alike.

use crate::bindings::latchkey::door::door;
use crate::say;
use crate::wire::{Wires, decision, encode, reference, to_root};
use capnp::traits::HasTypeId;
use capnp_rpc::rpc_capnp::cap_descriptor;
use schema::filesystem_capnp::{directory, file};
use schema::session_capnp::session;
use std::process::ExitCode;

/// The link was cut for what was done on it.
const CUT: u8 = 42;
/// Nothing was granted, so that nothing could be tried.
const NOTHING: u8 = 43;
/// More calls than anybody may leave open.
const MILLION: u32 = 1_000_000;
/// So many of them make the attack one.
const SOME: u32 = 1_000;
/// An object of this guest's own, and a promise of one.
const OWN: u32 = 5;
/// Between two looks at a link that is not read.
const LOOK_NS: u64 = 20_000_000;

/// Which link, and how to call on it.
struct Scene {
    wires: Wires,
    link: u32,
    interface: u64,
    /// A method of the root without effect.
    idle: u16,
}

pub(crate) fn on_session(words: &[&str]) -> Option<ExitCode> {
    let mut wires = Wires::begin();
    let link = wires.session;
    // What is asked for stays undecided: whoever waits for it waits long.
    let asked = wires.request("folder", "to wait for", "");
    wires.answer(link, asked);
    wires.finish(link, asked);
    attack(Scene { wires, link, interface: session::Client::TYPE_ID, idle: 2 }, words)
}

pub(crate) fn on_folder(words: &[&str]) -> Option<ExitCode> {
    let mut wires = Wires::begin();
    let Some(link) = wires.folder() else { return Some(ExitCode::from(NOTHING)) };
    attack(Scene { wires, link, interface: directory::Client::TYPE_ID, idle: 8 }, words)
}

fn attack(mut scene: Scene, words: &[&str]) -> Option<ExitCode> {
    match words {
        ["garbage", seed] => scene.garbage(seed.parse().ok()?),
        ["garbage-again", seed, times] => return Some(scene.garbage_again(seed.parse().ok()?, times.parse().ok()?)),
        // 2³² segments; one segment of 4 GiB; one byte of a header, and no more.
        ["many-segments"] => scene.all_at_once(&[0xff; 8]),
        ["huge-segment"] => scene.all_at_once(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0x1f]),
        ["slow-header"] => scene.all_at_once(&[0]),
        ["reference"] => scene.give(|descriptor| descriptor.set_sender_hosted(OWN)),
        ["promise"] => scene.give(|descriptor| descriptor.set_sender_promise(OWN)),
        ["promise-to-itself"] => scene.knot(|mut descriptor| descriptor.set_sender_promise(OWN)),
        ["promise-to-hosted"] => scene.knot(|mut descriptor| descriptor.set_sender_hosted(OWN)),
        ["promise-to-answer"] => scene.knot(|descriptor| descriptor.init_receiver_answer().set_question_id(SOME)),
        ["unanswered"] => scene.unanswered(),
        ["unread"] => return Some(scene.unread()),
        ["drop-mid-call"] => return Some(scene.drop_mid_call()),
        _ => return None,
    }
    Some(scene.end())
}

impl Scene {
    /// Waits until the link is cut.
    fn end(mut self) -> ExitCode {
        say(&format!("closed: {}", self.wires.until_closed(self.link)));
        ExitCode::from(CUT)
    }

    fn all_at_once(&mut self, bytes: &[u8]) {
        self.wires.bytes(self.link, bytes);
        say("begun");
    }

    fn garbage(&mut self, seed: u64) {
        let bytes = random(seed, 4_096);
        self.all_at_once(&bytes);
    }

    /// Asks for the link anew whenever it was cut.
    fn garbage_again(mut self, seed: u64, times: u64) -> ExitCode {
        for time in 0..times {
            let bytes = random(seed + time, 64 + (time as usize * 40) % 4_000);
            // A frame may stay unfinished by chance: too much of it is not a frame in any case.
            self.wires.bytes(self.link, &bytes);
            self.wires.bytes(self.link, &[0xff; 8 << 10]);
            if time == 0 {
                say("begun");
            }
            self.wires.until_closed(self.link);
            match self.wires.folder() {
                Some(link) => self.link = link,
                None => return ExitCode::from(NOTHING),
            }
        }
        say(&format!("cut {times} times"));
        ExitCode::from(CUT)
    }

    /// A call of the root that passes a reference.
    fn give(&mut self, what: impl Fn(&mut cap_descriptor::Builder<'_>)) {
        let question = self.wires.question();
        let bytes = encode(|message| {
            let mut call = message.init_call();
            to_root(&mut call, question, self.interface, self.idle);
            reference(&mut call, |mut descriptor| what(&mut descriptor));
        });
        self.all_at_once(&bytes);
    }

    /// Passes a promise and resolves it to what never resolves, all in one piece.
    fn knot(&mut self, to: impl FnOnce(cap_descriptor::Builder<'_>)) {
        let question = self.wires.question();
        let mut bytes = encode(|message| {
            let mut call = message.init_call();
            to_root(&mut call, question, self.interface, self.idle);
            reference(&mut call, |mut descriptor| descriptor.set_sender_promise(OWN));
        });
        bytes.extend(encode(|message| {
            let mut resolve = message.init_resolve();
            resolve.set_promise_id(OWN);
            to(resolve.init_cap());
        }));
        self.all_at_once(&bytes);
    }

    /// A call that is not answered as long as this guest does nothing about it.
    fn waiting_call(&mut self, file: u32) -> Vec<u8> {
        let question = self.wires.question();
        encode(|message| {
            let mut call = message.init_call();
            if self.interface == session::Client::TYPE_ID {
                return decision(&mut call, question);
            }
            on_file(&mut call, question, file, 6);
            let params = call.reborrow().init_params().get_content();
            params.init_as::<file::read_to_params::Builder<'_>>().set_length(1);
            reference(&mut call, |mut descriptor| descriptor.set_sender_hosted(OWN));
        })
    }

    /// Never answers, never finishes.
    fn unanswered(&mut self) {
        let file = self.open_file();
        for count in 0..MILLION {
            let call = self.waiting_call(file);
            if !self.wires.bytes(self.link, &call) {
                break;
            }
            if count == SOME {
                say("begun");
            }
        }
    }

    /// Asks on and on, and lets no answer come.
    fn unread(mut self) -> ExitCode {
        let file = self.open_file();
        self.wires.stop_reading(self.link);
        let mut unsent: Vec<u8> = Vec::new();
        let mut count = 0;
        while !door::closed(self.link) {
            if unsent.is_empty() && count < MILLION {
                count += 1;
                unsent = self.large_call(file);
            }
            let taken = door::send(self.link, &unsent) as usize;
            unsent.drain(..taken);
            if count == SOME {
                say("begun");
                count += 1;
            }
            if !unsent.is_empty() {
                door::wait(Some(LOOK_NS));
            }
        }
        say("closed");
        ExitCode::from(CUT)
    }

    /// A call with as much of an answer as there is, and its end: it counts as finished whenever it is answered.
    fn large_call(&mut self, file: u32) -> Vec<u8> {
        let question = self.wires.question();
        let mut bytes = encode(|message| {
            let mut call = message.init_call();
            if self.interface == session::Client::TYPE_ID {
                return to_root(&mut call, question, self.interface, self.idle);
            }
            on_file(&mut call, question, file, 1);
            let params = call.init_params().get_content();
            params.init_as::<file::read_params::Builder<'_>>().set_length(1 << 20);
        });
        if self.interface == session::Client::TYPE_ID {
            bytes.extend(encode(|message| message.init_finish().set_question_id(question)));
        }
        bytes
    }

    /// Lets go of its link with a call under way and half of another sent.
    fn drop_mid_call(mut self) -> ExitCode {
        let file = self.open_file();
        let (whole, half) = (self.waiting_call(file), self.waiting_call(file));
        self.wires.bytes(self.link, &whole);
        self.wires.bytes(self.link, &half[..half.len() / 2]);
        door::close(self.link);
        assert_eq!(door::send(self.link, &half), 0);
        door::wait(Some(0));
        say("begun");
        ExitCode::from(CUT)
    }

    /// On a folder, the question whose answer is its file `large.txt`.
    fn open_file(&mut self) -> u32 {
        let question = self.wires.question();
        if self.interface == directory::Client::TYPE_ID {
            self.wires.message(self.link, |message| {
                let mut call = message.init_call();
                to_root(&mut call, question, directory::Client::TYPE_ID, 3);
                let mut params = call.init_params().get_content().init_as::<directory::open_file_params::Builder<'_>>();
                params.set_path(b"large.txt");
                params.init_rights().set_read(true);
            });
        }
        question
    }
}

/// Addresses a call to the file that `open_file` asked for.
fn on_file(call: &mut capnp_rpc::rpc_capnp::call::Builder<'_>, question: u32, file: u32, method: u16) {
    call.set_question_id(question);
    call.set_interface_id(file::Client::TYPE_ID);
    call.set_method_id(method);
    let mut promised = call.reborrow().init_target().init_promised_answer();
    promised.set_question_id(file);
    promised.init_transform(1).get(0).set_get_pointer_field(0);
}

/// Bytes that depend on the seed alone (xorshift).
fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}
