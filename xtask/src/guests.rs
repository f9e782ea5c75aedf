//! The WebAssembly guests: every app as a signed package, by `latch build` itself, and the hostile guest of the tests.

use crate::{run, toolchain};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of the checkout that `latch build` makes a package of.
const PACKAGES: &[&str] = &["apps/hello", "apps/search", "tests/guests/hostile", "tests/guests/probe", "tests/guests/network", "tests/guests/bench"];

/// Builds all packages with the `latch` in the folder of the binaries; gives the paths of the packages.
///
/// # Errors
/// Where there is no tool chain, or a guest does not compile.
pub(crate) fn build(root: &Path, binaries: &Path) -> Result<Vec<PathBuf>, String> {
    let toolchain = toolchain::ensure(root)?;
    eprintln!("guests: {}", toolchain.describe());
    let latch = binaries.join("latch");
    PACKAGES.iter().map(|folder| package(root, &latch, folder)).collect()
}

fn package(root: &Path, latch: &Path, folder: &str) -> Result<PathBuf, String> {
    run::check(Command::new(latch).arg("build").arg(folder).current_dir(root))?;
    let name = Path::new(folder).file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(root.join(folder).join(format!("{name}.latch")))
}
