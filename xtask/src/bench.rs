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
    /// Each row under ten seconds; those of the store, which is filled first, under half a minute
    #[arg(long)]
    quick: bool,
}

/// A program that something is measured against, built from its own release.
struct Peer {
    /// What the rows call it; it lies in a folder of that name.
    name: &'static str,
    program: &'static str,
    package: &'static str,
    version: &'static str,
    /// Only these parts of it; as it is released where there are none.
    features: Option<&'static str>,
}

const WASMTIME_VERSION: &str = "48.0.8";

const PEERS: &[Peer] = &[
    Peer { name: "wasmtime", program: "wasmtime", package: "wasmtime-cli", version: WASMTIME_VERSION, features: None },
    // It starts faster without what the rows do not use.
    Peer {
        name: "wasmtime-lean",
        program: "wasmtime",
        package: "wasmtime-cli",
        version: WASMTIME_VERSION,
        features: Some("run,component-model,compile"),
    },
];

/// Measures. A missed aim is no error; a row that cannot be measured is.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<(), String> {
    setup::native()?;
    run::check(run::cargo(root).args(["build", "--quiet", "--release", "--package", "bench"]))?;
    let program = root.join("target").join(build::Profile::Release.folder()).join("latch-bench");
    let needs = Needs::of(&program, &arguments.rows)?;
    let binaries = if needs.guests {
        setup::building(root)?;
        build::all(root, build::Profile::Release)?
    } else {
        build::node(root, build::Profile::Release)?
    };
    let peers = root.join("target/peers");
    for peer in needs.peers {
        peer.ensure(root, &peers)?;
    }
    let mut command = Command::new(program);
    command.args(&arguments.rows).env("LATCH_BINARIES", &binaries).env("LATCH_PEERS", &peers);
    for (wanted, word) in [(arguments.json, "--json"), (arguments.quick, "--quick")] {
        if wanted {
            command.arg(word);
        }
    }
    run::check(&mut command)
}

/// What the rows that will run need beside a node.
struct Needs {
    peers: Vec<&'static Peer>,
    /// Apps, and what runs them.
    guests: bool,
}

/// What the rows call apps.
const GUESTS: &str = "guests";

impl Needs {
    fn of(program: &Path, rows: &[String]) -> Result<Self, String> {
        let output = Command::new(program)
            .arg("--needs")
            .args(rows)
            .output()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let names = String::from_utf8_lossy(&output.stdout).into_owned();
        let named = |wanted: &str| names.lines().any(|name| name == wanted);
        Ok(Self { peers: PEERS.iter().filter(|peer| named(peer.name)).collect(), guests: named(GUESTS) })
    }
}

impl Peer {
    /// Installs it into its folder below `target/peers`, once for each version.
    fn ensure(&self, root: &Path, peers: &Path) -> Result<(), String> {
        let folder = peers.join(self.name);
        if self.is_there(&folder.join("bin").join(self.program)) {
            return Ok(());
        }
        eprintln!("installing {} {} into {} (some minutes, once)", self.package, self.version, folder.display());
        let mut command = run::cargo(root);
        command.args(["install", self.package, "--version", self.version, "--locked", "--force"]);
        if let Some(features) = self.features {
            command.args(["--no-default-features", "--features", features]);
        }
        command.arg("--root").arg(&folder).env("CARGO_TARGET_DIR", peers.join("build"));
        run::check(&mut command)
    }

    fn is_there(&self, program: &PathBuf) -> bool {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(self.version))
    }
}
