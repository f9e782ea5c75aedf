//! A guest that misbehaves as its first argument says, over the bare door: nothing of the SDK or of the vat library
//! stands between it and the sandbox. Some of its ways are well behaved, to compare with.

mod ways;

#[allow(missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../../kernel/vat/wit", world: "app" });
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exit", code] => std::process::exit(code.parse().expect("a number")),
        ["return", code] => ExitCode::from(code.parse::<u8>().expect("a number")),
        [way] => match ways::find(way) {
            Some(misbehave) => misbehave(),
            None => {
                eprintln!("no such way: {way}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("one way, please");
            ExitCode::FAILURE
        }
    }
}
