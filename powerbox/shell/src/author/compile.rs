//! Compiles an app with cargo for WebAssembly.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::checkout::Checkout;
use super::wasm::{TARGET, is_installed};
use crate::failure::{Doing as _, Failure, Outcome};

/// Small, and as fast as they get; said here so that an app's own manifest need not.
const PROFILE: &[&str] = &[
    "profile.guest.inherits=\"release\"",
    "profile.guest.opt-level=3",
    "profile.guest.lto=true",
    "profile.guest.codegen-units=1",
    "profile.guest.panic=\"abort\"",
    "profile.guest.strip=true",
    "profile.guest.debug=false",
];

/// The core module of the app in that folder.
///
/// # Errors
/// There is no compiler for apps, or the app does not compile: the compiler has said why.
pub(super) fn module(folder: &Path) -> Outcome<Vec<u8>> {
    let manifest = folder.join("Cargo.toml");
    let manifest = fs::canonicalize(&manifest).map_err(|_| {
        Failure::new(format!("there is no Cargo.toml in {}", folder.display()))
            .next("run it in an app's folder; `latch new NAME` makes one\nor give what is built already: --component FILE.wasm")
    })?;
    let checkout = Checkout::find()?;
    let mut command = cargo(&checkout)?;
    command
        .args(["--profile", "guest", "--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(&manifest);
    PROFILE.iter().for_each(|setting| {
        command.args(["--config", setting]);
    });
    if let Some(target) = checkout.target() {
        command.arg("--target-dir").arg(target);
    }
    let path = run(&mut command, &manifest)?;
    fs::read(&path).doing(|| format!("cannot read {}", path.display()))
}

/// `cargo build` for the target, by the installed compiler or the one that set-up unpacked.
fn cargo(checkout: &Checkout) -> Outcome<Command> {
    let mut command = if is_installed() {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["build", "--target", TARGET]);
        command
    } else if let Some(unpacked) = checkout.unpacked_cargo() {
        let mut command = Command::new(unpacked);
        command.arg("build");
        command
    } else {
        return Err(Failure::new(format!("there is no compiler for {TARGET} here, which apps are built with")).next(
            format!(
                "rustup target add {TARGET}\nor, where that cannot be fetched: cargo xtask setup, in {}",
                checkout.root.display()
            ),
        ));
    };
    // Flags for the machine's own programs are not meant for guests.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    Ok(command)
}

/// One of cargo's messages; the others have other fields.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    executable: Option<PathBuf>,
}

/// Runs it and gives the program that it made for this manifest.
fn run(command: &mut Command, manifest: &Path) -> Outcome<PathBuf> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::new("cannot run cargo").because(error).next("install Rust: https://rustup.rs"))?;
    let mut programs = Vec::new();
    for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
        let line = line.doing(|| "cannot read what cargo says".into())?;
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        let own = message.reason == "compiler-artifact" && message.manifest_path.as_deref() == Some(manifest);
        programs.extend(message.executable.filter(|_| own));
    }
    let status = child.wait().doing(|| "cannot wait for cargo".into())?;
    if !status.success() {
        return Err(Failure::new("the app does not compile").next("mend what the compiler says above"));
    }
    match programs.as_slice() {
        [program] => Ok(program.clone()),
        [] => Err(Failure::new(format!("{} makes no program", manifest.display())).next("an app has a src/main.rs")),
        _ => Err(Failure::new(format!("{} makes more than one program", manifest.display()))
            .next("give the one that is the app: --component FILE.wasm")),
    }
}
