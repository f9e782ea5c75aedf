//! Asking the powerbox for more than anybody wants to hear.

use crate::bindings::latchkey::door::door;
use crate::say;
use crate::wire::{Wires, decided, to_root};
use capnp::traits::HasTypeId;
use schema::session_capnp::{Decision, session};
use std::process::ExitCode;
use std::time::Duration;

/// How often.
const TIMES: usize = 10_000;
/// Answers that are waited for at once.
const DEEP: usize = 64;
/// The session's method that tells what is held.
const LIST: u16 = 2;
/// Words that would steer a terminal: a title, a cleared screen, an answer typed for the person, text turned around;
/// by C0 and by C1 controls; and a line that looks like the system's own.
const ESCAPES: &str =
    "harmless\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\u{1b}[6n\u{90}\u{202e}gnitirw\u{2066}\u{200b}\r\nlatch: granted";

pub(crate) fn ask(how: &[&str]) -> Option<ExitCode> {
    match how {
        ["again"] => Some(many(|_| "folder".to_owned())),
        ["anything"] => Some(many(|time| format!("label-{time}"))),
        ["all", count] => {
            let count: usize = count.parse().ok()?;
            Some(all(count))
        }
        ["escapes"] => Some(escapes()),
        ["escapes-as-label"] => Some(many(|_| ESCAPES.to_owned())),
        ["panic-with-escapes"] => panic!("{ESCAPES}"),
        ["print-escapes"] => {
            say(ESCAPES);
            eprintln!("{ESCAPES}");
            Some(ExitCode::SUCCESS)
        }
        ["without-end"] => Some(without_end(DEEP)),
        ["and-takes-back"] => Some(without_end(0)),
        ["never-at-its-door"] => Some(never_at_its_door()),
        _ => None,
    }
}

/// Asks many times and tells how often it heard what.
fn many(label: impl Fn(usize) -> String) -> ExitCode {
    let mut wires = Wires::begin();
    let session = wires.session;
    let mut heard: Vec<Option<Decision>> = Vec::new();
    let mut asked = std::collections::VecDeque::new();
    for time in 0..TIMES {
        asked.push_back(wires.request(&label(time), "please", ""));
        if time == DEEP {
            say("begun");
        }
        if asked.len() == DEEP {
            heard.extend(asked.pop_front().map(|question| answer(&mut wires, session, question)));
        }
    }
    while let Some(question) = asked.pop_front() {
        heard.push(answer(&mut wires, session, question));
    }
    for decision in [Decision::Pending, Decision::Unannounced, Decision::Granted] {
        say(&format!("{decision:?} {}", heard.iter().filter(|one| **one == Some(decision)).count()));
    }
    ExitCode::SUCCESS
}

fn answer(wires: &mut Wires, session: u32, question: u32) -> Option<Decision> {
    let message = wires.answer(session, question)?;
    wires.finish(session, question);
    decided(&message)
}

/// Asks what it holds on and on, as fast as it goes: so many answers it waits for at once, and those of a question that it
/// takes back at once not at all.
fn without_end(deep: usize) -> ExitCode {
    let mut wires = Wires::begin();
    let session = wires.session;
    let mut asked = std::collections::VecDeque::new();
    say("begun");
    loop {
        let question = wires.question();
        wires.message(session, |message| {
            to_root(&mut message.init_call(), question, session::Client::TYPE_ID, LIST);
        });
        asked.push_back(question);
        if asked.len() <= deep {
            continue;
        }
        let Some(first) = asked.pop_front() else { continue };
        if deep > 0 && wires.answer(session, first).is_none() || !wires.finish(session, first) {
            return ExitCode::FAILURE;
        }
        // What came meanwhile is not wanted any more.
        while deep == 0 && wires.next(session).is_some() {}
    }
}

/// Asks for everything that its package announces: `label-0`, `label-1`, …
fn all(count: usize) -> ExitCode {
    let mut wires = Wires::begin();
    let session = wires.session;
    let answers: Vec<Option<Decision>> = (0..count)
        .map(|number| {
            let question = wires.request(&format!("label-{number}"), "one more", "");
            answer(&mut wires, session, question)
        })
        .collect();
    let pending = answers.iter().filter(|one| **one == Some(Decision::Pending)).count();
    say(&format!("{pending} of {count} were taken"));
    wires.until_closed(session);
    ExitCode::SUCCESS
}

/// Asks once, with words that would steer a terminal, and waits.
fn escapes() -> ExitCode {
    let mut wires = Wires::begin();
    let session = wires.session;
    let question = wires.request("folder", ESCAPES, ESCAPES);
    answer(&mut wires, session, question);
    say("begun");
    wires.until_closed(session);
    ExitCode::SUCCESS
}

/// Has its folder delivered over and over, by letting go of each link that it never looked at. Nothing is ever taken
/// at its door but what came at first.
fn never_at_its_door() -> ExitCode {
    let mut wires = Wires::begin();
    let session = wires.session;
    let mut next = session + 1;
    say("begun");
    for _ in 0..TIMES {
        let question = wires.request("folder", "once more", "");
        wires.finish(session, question);
        // Suspended, but not at its door: links are taken for it meanwhile.
        // Not so fast that it is its session which waits.
        std::thread::sleep(Duration::from_millis(2));
        if !door::closed(next) {
            door::close(next);
            next += 1;
        }
    }
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}
