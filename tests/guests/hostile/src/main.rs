//! A guest that misbehaves as its arguments say, over the bare door: nothing of the SDK or of the vat library
//! stands between it and the sandbox, and messages are made by hand. Some of its ways are well behaved, to compare with.
//!
//! - `exit N`, `return N`: ends with that code.
//! - a way of `ways`: what needs no more than a door.
//! - `session ATTACK …`, `folder ATTACK …`: one of `attacks`, on the link to the powerbox or to the granted folder. It
//!   says `begun` once the attack has left, and ends with code 42 where its link is cut for it.

mod asking;
mod attacks;
mod raw_output;
mod ways;
mod wire;

#[allow(missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../kernel/vat/wit", world: "app" });
}

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let known = match words.as_slice() {
        ["exit", code] => std::process::exit(code.parse().expect("a number")),
        ["return", code] => Some(ExitCode::from(code.parse::<u8>().expect("a number"))),
        ["session", attack @ ..] => attacks::on_session(attack),
        ["folder", attack @ ..] => attacks::on_folder(attack),
        ["ask", how @ ..] => asking::ask(how),
        [way] => ways::find(way).map(|misbehave| misbehave()),
        _ => None,
    };
    known.unwrap_or_else(|| {
        eprintln!("no such way: {words:?}");
        ExitCode::FAILURE
    })
}

/// A line that goes out at once.
pub(crate) fn say(line: &str) {
    println!("{line}");
    // Nobody reads it any more: then nobody misses it.
    let _ = std::io::stdout().flush();
}
