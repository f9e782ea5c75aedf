//! Debian's own Rust for the web, unpacked into a folder and not installed: compiler, source of the standard library,
//! and a C library for WASI. The folder can be moved; it needs the cargo and the linker of the ordinary tool chain.

use crate::run;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Takes the place of `cargo`, in the folder.
pub(super) const CARGO: &str = "cargo-wasm";
/// Takes the place of `rustc`, in the folder.
pub(super) const RUSTC: &str = "rustc";

/// Packages that are asked for by name.
const PACKAGES: &[&str] = &["rustc-web", "libstd-rust-web-dev", "rust-web-src", "wasi-libc"];
/// Libraries that are part of any Debian that compiles C, and must be the system's own: its loader goes with them.
const OF_THE_SYSTEM: &[&str] = &["libc6", "libgcc-s1"];

/// Finds its own folder, so that the whole can be moved.
const RUSTC_SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
set -- "$here/root/usr/bin/rustc" "$@"
LD_LIBRARY_PATH=$(echo "$here"/root/usr/lib/*-linux-gnu):$(echo "$here"/root/lib/*-linux-gnu) exec "$@"
"#;

/// `build-std` is of an unstable cargo: the bootstrap variable lets the stable one do it. The linker comes with the
/// ordinary tool chain.
const CARGO_SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
linker=$(echo "$(rustc --print sysroot)"/lib/rustlib/*-linux-gnu/bin/rust-lld)
[ -x "$linker" ] || linker=wasm-ld
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_WASIP1_LINKER="$linker" RUSTC="$here/rustc"
verb=$1
shift
exec "${CARGO:-cargo}" "$verb" -Z build-std=std,panic_abort --target wasm32-wasip1 "$@"
"#;

/// Unpacks everything into `folder`, which appears only when it is complete.
pub(super) fn from_debian(folder: &Path) -> Result<(), String> {
    for program in ["apt-get", "apt-cache", "dpkg"] {
        if !run::exists(program) {
            return Err(format!("this is no Debian whose packages could be unpacked: `{program}` is missing"));
        }
    }
    let packages = closure(PACKAGES)?;
    eprintln!("unpacking Debian's compiler for WebAssembly into {} (700 MB)", folder.display());
    let making = folder.with_extension("making");
    remove(&making)?;
    let archives = making.join("archives");
    create(&archives)?;
    let mut download = Command::new("apt-get");
    // The archives' folder need not be open to apt's own user.
    download.args(["download", "-qq", "-o", "APT::Sandbox::User=root"]).args(&packages).current_dir(&archives);
    run::check_quietly(&mut download)?;
    for archive in entries(&archives)? {
        run::check_quietly(Command::new("dpkg").arg("-x").arg(archive).arg(making.join("root")))?;
    }
    remove(&archives)?;
    arrange(&making)?;
    remove(folder)?;
    fs::rename(&making, folder).map_err(|error| format!("cannot rename {}: {error}", making.display()))
}

/// Puts the parts where compiler and cargo look for them, and writes the two programs.
fn arrange(folder: &Path) -> Result<(), String> {
    let rustlib = folder.join("root/usr/lib/rustlib");
    let sources = entries(&folder.join("root/usr/src"))?;
    let names = sources.iter().filter_map(|path| path.file_name()?.to_str());
    let name = names.into_iter().find(|name| name.starts_with("rustc-")).ok_or("rust-web-src holds no source")?;
    let source = Path::new("../../../src").join(name);
    create(&rustlib.join("src"))?;
    link(&source, &rustlib.join("src/rust"))?;
    create(&rustlib.join("wasm32-wasip1/lib"))?;
    // crt1-command.o and libc.a
    link(Path::new("../../../wasm32-wasi"), &rustlib.join("wasm32-wasip1/lib/self-contained"))?;
    write_program(&folder.join(RUSTC), RUSTC_SCRIPT)?;
    write_program(&folder.join(CARGO), CARGO_SCRIPT)
}

/// The packages and the libraries among their dependencies.
fn closure(packages: &[&str]) -> Result<BTreeSet<String>, String> {
    let mut waiting: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    let mut found = BTreeSet::new();
    while let Some(package) = waiting.pop() {
        if found.contains(&package) {
            continue;
        }
        waiting.extend(depends(&package)?.into_iter().filter(|name| is_library(name)));
        found.insert(package);
    }
    Ok(found)
}

/// Whether a dependency is a library that programs run with, and not part of the system anyway. Names that no package has,
/// only provides, stand in angle brackets.
fn is_library(name: &str) -> bool {
    name.starts_with("lib") && !name.ends_with("-dev") && !OF_THE_SYSTEM.contains(&name)
}

fn depends(package: &str) -> Result<Vec<String>, String> {
    let ask = || {
        let output = Command::new("apt-cache").args(["depends", package]).output();
        output.map_err(|error| format!("cannot run `apt-cache`: {error}"))
    };
    let mut output = ask()?;
    if !output.status.success() {
        run::check_quietly(Command::new("apt-get").args(["update", "-qq"]))
            .map_err(|_| format!("Debian's package lists are missing and cannot be fetched (`{package}` is wanted): `apt-get update` as root brings them"))?;
        output = ask()?;
    }
    if !output.status.success() {
        return Err(format!("this Debian has no package `{package}`"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.trim_start_matches([' ', '|']).strip_prefix("Depends: "));
    Ok(names.map(str::to_owned).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let listed = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    Ok(listed.flatten().map(|entry| entry.path()).collect())
}

fn create(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// A link that replaces one which the package may have brought.
fn link(to: &Path, at: &Path) -> Result<(), String> {
    if at.symlink_metadata().is_ok() {
        fs::remove_file(at).map_err(|error| format!("cannot replace {}: {error}", at.display()))?;
    }
    symlink(to, at).map_err(|error| format!("cannot link {}: {error}", at.display()))
}

fn write_program(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}
