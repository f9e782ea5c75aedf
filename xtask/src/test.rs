//! `cargo xtask test`: everything that `.ci/run` runs. Prints how long each part took.

use crate::{build, run, setup};
use std::path::Path;

/// Packages that are WebAssembly guests or would unify the compiler into the sandbox.
const APART: &[&str] = &["compile-service"];

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
