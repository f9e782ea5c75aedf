//! What the whole-system tests and the benchmarks share: where things are, and a node of their own.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

pub mod faults;
pub mod machine;
pub mod node;
pub mod person;
pub mod processes;
pub mod seed;
pub mod terminal;
mod watchdog;

use std::path::{Path, PathBuf};

/// The checkout's own folder.
pub fn checkout() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where the binaries under test are: `$LATCH_BINARIES`, which `cargo xtask` sets, or the folder that this program was built into.
pub fn binaries() -> PathBuf {
    std::env::var_os("LATCH_BINARIES").map_or_else(|| checkout().join("target/debug"), PathBuf::from)
}

/// An app's package, as `cargo xtask build` makes it.
pub fn package(name: &str) -> PathBuf {
    checkout().join("target/apps").join(format!("{name}.latch"))
}

/// Waits for something that the node does by itself and tells nobody of.
///
/// # Panics
/// Long after it should have happened: a test that waits for ever tells nothing.
pub fn until(what: &str, mut happened: impl FnMut() -> bool) {
    const LOOKS: usize = 3_000;
    for _ in 0..LOOKS {
        if happened() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what}");
}
