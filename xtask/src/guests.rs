//! The WebAssembly guests: every app as a signed package, by `latch build` itself, and the hostile guest of the tests.

use crate::{run, toolchain};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of the checkout that `latch build` makes a package of.
const PACKAGES: &[&str] = &[
    "apps/hello",
    "apps/search",
    "apps/notes",
    "tests/guests/hostile",
    "tests/guests/probe",
    "tests/guests/sockets",
    "tests/guests/bench",
    "tests/guests/plain",
    "tests/guests/append",
];

/// Where the packages go, below `target`.
const FOLDER: &str = "target/apps";

/// Builds all packages with the `latch` in the folder of the binaries; gives the folder of the packages.
///
/// # Errors
/// Where there is no tool chain, or a guest does not compile.
pub(crate) fn build(root: &Path, binaries: &Path) -> Result<PathBuf, String> {
    let toolchain = toolchain::ensure(root)?;
    eprintln!("guests: {}", toolchain.describe());
    let packages = root.join(FOLDER);
    std::fs::create_dir_all(&packages).map_err(|error| format!("cannot make {}: {error}", packages.display()))?;
    for folder in PACKAGES {
        let mut latch = Command::new(binaries.join("latch"));
        // A key of the checkout's own: a person's is not for test guests.
        latch.arg("build").arg(folder).arg("--out").arg(&packages).arg("--key").arg(packages.join("author.key"));
        // Standard output is for results: `cargo xtask bench --json` has nothing else there.
        run::check(latch.current_dir(root).stdout(std::io::stderr()))?;
    }
    Ok(packages)
}
