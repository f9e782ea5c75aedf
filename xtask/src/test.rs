//! `cargo xtask test`: everything that `.ci/run` runs. Prints how long each part took.

use crate::{build, run, setup};
use std::path::Path;

/// Packages that are WebAssembly guests or would unify the compiler into the sandbox.
const APART: &[&str] = &["compile-service"];

/// The tests of one program take three minutes at most on a slow machine: longer than this is a hang, of which something is to be
/// seen before whoever runs all of them gives up.
const LIMIT_S: u32 = 1_200;

/// Sets up, builds, and runs the tests of every crate and of the whole.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    run::timed("all", || parts(root, arguments))
}

fn parts(root: &Path, arguments: &[String]) -> Result<(), String> {
    run::timed("set-up", || setup::all(root))?;
    let with_tpm_stack = setup::has_tpm_stack();
    let binaries = run::timed("build", || build::all(root, build::Profile::Dev))?;
    run::timed("tests", || {
        let mut command = run::cargo(root);
        command.args(["test", "--workspace"]).env("LATCH_BINARIES", &binaries);
        if std::env::var_os("LATCH_CRASH_ROUNDS").is_none() {
            command.env("LATCH_TEST_LIMIT_S", LIMIT_S.to_string());
        }
        APART.iter().for_each(|package| {
            command.args(["--exclude", package]);
        });
        if with_tpm_stack {
            command.args(["--features", "keys-service/tss"]);
        }
        if !arguments.is_empty() {
            command.arg("--").args(arguments);
        }
        run::check(&mut command)
    })
}
