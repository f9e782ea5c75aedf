//! `cargo xtask bench`: builds everything for release, gets the programs that it is measured against, and measures.

use crate::{build, run, setup};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What to measure, and how to say it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the rows with these names, or whose names begin so
    rows: Vec<String>,
    /// One line of JSON a row on standard output
    #[arg(long)]
    json: bool,
    /// Each row under ten seconds
    #[arg(long)]
    quick: bool,
}

/// A program that something is measured against, built from its own release.
struct Peer {
    program: &'static str,
    package: &'static str,
    version: &'static str,
    /// The parts that a row uses, and no more: it starts faster without the others.
    features: &'static str,
}

const PEERS: &[Peer] = &[Peer {
    program: "wasmtime",
    package: "wasmtime-cli",
    version: "48.0.8",
    features: "run,component-model,compile",
}];

/// Measures. A missed aim is no error; a row that cannot be measured is.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<(), String> {
    setup::building(root)?;
    let binaries = build::all(root, build::Profile::Release)?;
    run::check(run::cargo(root).args(["build", "--quiet", "--release", "--package", "bench"]))?;
    let program = binaries.join("latch-bench");
    let peers = root.join("target/peers");
    for peer in needed(&program, &arguments.rows)? {
        peer.ensure(root, &peers)?;
    }
    let mut command = Command::new(program);
    command.args(&arguments.rows).env("LATCH_BINARIES", &binaries).env("LATCH_PEERS", peers.join("bin"));
    for (wanted, word) in [(arguments.json, "--json"), (arguments.quick, "--quick")] {
        if wanted {
            command.arg(word);
        }
    }
    run::check(&mut command)
}

/// The peers of the rows that will run.
fn needed(program: &Path, rows: &[String]) -> Result<Vec<&'static Peer>, String> {
    let output = Command::new(program)
        .arg("--peers")
        .args(rows)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(PEERS.iter().filter(|peer| names.lines().any(|name| name == peer.program)).collect())
}

impl Peer {
    /// Installs it below `target/peers`, once for each version.
    fn ensure(&self, root: &Path, folder: &Path) -> Result<(), String> {
        if self.is_there(&folder.join("bin").join(self.program)) {
            return Ok(());
        }
        eprintln!("installing {} {} into {} (some minutes, once)", self.package, self.version, folder.display());
        let mut command = run::cargo(root);
        command.args(["install", self.package, "--version", self.version, "--locked", "--force"]);
        command.args(["--no-default-features", "--features", self.features]).arg("--root").arg(folder);
        command.env("CARGO_TARGET_DIR", root.join("target/peers/build"));
        run::check(&mut command)
    }

    fn is_there(&self, program: &PathBuf) -> bool {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(self.version))
    }
}
