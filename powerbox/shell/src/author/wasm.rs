//! What apps are compiled for, and whether this machine can. The set-up of the checkout (`xtask`) has this file too, so
//! that both look for the same; it uses the standard library only.

use std::process::{Command, Stdio};

/// The target of every app.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// Whether the compiler that cargo would use has the target's standard library.
pub(crate) fn is_installed() -> bool {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output();
    let Ok(output) = output else { return false };
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}
