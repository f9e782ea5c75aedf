//! A compiler for WebAssembly guests (`wasm32-wasip1`): the installed one, rustup's, or one unpacked from Debian's
//! packages below `target`, in this order. Nothing but the second changes the system.

mod unpack;
/// The command's own file: `latch build` and set-up look for the same compiler.
#[path = "../../powerbox/shell/src/author/wasm.rs"]
mod wasm;

use crate::run;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wasm::{TARGET, is_installed};

/// How guests are compiled on this machine. `latch build` looks for the same two by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The ordinary cargo: its compiler has the target's standard library.
    Installed,
    /// This program in place of cargo; it compiles the standard library from source once for each target folder.
    Unpacked(PathBuf),
}

impl Toolchain {
    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Installed => format!("the installed compiler has {TARGET}"),
            Self::Unpacked(cargo) => format!("{TARGET} by {}", cargo.display()),
        }
    }
}

/// Finds a tool chain or makes one.
///
/// # Errors
/// Says in words what was tried and what a person can do.
pub(crate) fn ensure(root: &Path) -> Result<Toolchain, String> {
    if is_installed() {
        return Ok(Toolchain::Installed);
    }
    let folder = root.join("target/wasm-toolchain");
    if let Some(toolchain) = unpacked(&folder) {
        return Ok(toolchain);
    }
    let mut tried = Vec::new();
    match add_by_rustup() {
        Ok(()) => return Ok(Toolchain::Installed),
        Err(error) => tried.push(error),
    }
    match unpack::from_debian(&folder) {
        Ok(()) => match unpacked(&folder) {
            Some(toolchain) => return Ok(toolchain),
            None => tried.push(format!("the compiler unpacked into {} does not run", folder.display())),
        },
        Err(error) => tried.push(error),
    }
    Err(format!(
        "no compiler for {TARGET}, which apps are built with:\n  {}\nInstall it with `rustup target add {TARGET}` where \
         that can be fetched, then run this again.",
        tried.join("\n  ")
    ))
}

/// What an earlier run unpacked, if its compiler runs.
fn unpacked(folder: &Path) -> Option<Toolchain> {
    let cargo = folder.join(unpack::CARGO);
    let runs = |program: PathBuf| {
        let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    (cargo.is_file() && runs(folder.join(unpack::RUSTC))).then_some(Toolchain::Unpacked(cargo))
}

fn add_by_rustup() -> Result<(), String> {
    if !run::exists("rustup") {
        return Err("there is no rustup that could fetch it".into());
    }
    eprintln!("adding {TARGET} with rustup");
    run::check_quietly(Command::new("rustup").args(["target", "add", TARGET]))
        .map_err(|error| format!("rustup could not fetch it: {}", last_line(&error)))?;
    if is_installed() { Ok(()) } else { Err("rustup added it, but rustc does not have it".into()) }
}

/// The last line that says something: where tools put their reason.
fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or(text)
}
