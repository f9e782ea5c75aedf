//! The powerbox's process. What it does is in the library; see there.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    powerbox::start::run()
}
