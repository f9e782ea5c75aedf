//! What the project needs of the machine. On Debian and Ubuntu as root it is installed; elsewhere it is named.

use crate::{run, toolchain};
use std::path::Path;
use std::process::Command;

/// A program that must be there, and the Debian packages that bring it.
struct Need {
    program: &'static str,
    packages: &'static [&'static str],
    reason: &'static str,
}

const C_COMPILER: Need = Need { program: "cc", packages: &["gcc", "libc6-dev"], reason: "some crates build C code" };
const CAPNP: Need = Need {
    program: "capnp",
    packages: &["capnproto", "libcapnp-dev"],
    reason: "the generated code is compared with the schemas",
};

const SOFTWARE_TPM: Need = Need {
    program: "swtpm",
    packages: &["swtpm"],
    reason: "the tests of keys in a TPM use one in software, and are not run without it",
};

/// The stack of the Trusted Computing Group, and what finds it when crates are built.
const TPM_STACK: &str = "tss2-esys tss2-mu tss2-sys tss2-tctildr";
const TPM_STACK_PACKAGES: [&str; 2] = ["libtss2-dev", "pkg-config"];

/// Everything that `build`, `test` and `demo` need.
pub(crate) fn all(root: &Path) -> Result<(), String> {
    building(root)?;
    schema_compiler()?;
    // Where it is missing, those tests say by name that they are not run.
    provide(&SOFTWARE_TPM).unwrap_or_else(|missing| eprintln!("{missing}"));
    Ok(())
}

/// Whether the tests that hold our use of a TPM against its makers' own stack can be built: it is installed where it may be.
pub(crate) fn has_tpm_stack() -> bool {
    let is_there = || run::check_quietly(Command::new("pkg-config").arg("--exists").args(TPM_STACK.split(' '))).is_ok();
    if is_there() || (may_install() && install(&TPM_STACK_PACKAGES).is_ok() && is_there()) {
        return true;
    }
    let packages = TPM_STACK_PACKAGES.join(" ");
    eprintln!(
        "the tests of `keys-service` against the TPM software stack are not built: it is not installed (Debian and Ubuntu: apt-get install {packages})"
    );
    false
}

/// What building the binaries needs.
pub(crate) fn native() -> Result<(), String> {
    provide(&C_COMPILER)
}

/// What building the binaries and the apps needs.
pub(crate) fn building(root: &Path) -> Result<(), String> {
    native()?;
    toolchain::ensure(root).map(|_| ())
}

/// The schema compiler.
pub(crate) fn schema_compiler() -> Result<(), String> {
    provide(&CAPNP)
}

fn provide(need: &Need) -> Result<(), String> {
    if run::exists(need.program) {
        return Ok(());
    }
    let packages = need.packages.join(" ");
    if !may_install() {
        return Err(format!(
            "`{}` is missing ({}). Install it (Debian and Ubuntu: apt-get install {packages}) and run this again.",
            need.program, need.reason
        ));
    }
    eprintln!("installing {packages}");
    install(need.packages)
}

/// Installs Debian packages; the package lists are fetched where the first try does not find them.
fn install(packages: &[&str]) -> Result<(), String> {
    let apt = |words: &[&str]| {
        run::check_quietly(Command::new("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
    apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))
}

/// Whether this is a machine where we may and can install packages.
fn may_install() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    root && run::exists("apt-get")
}
