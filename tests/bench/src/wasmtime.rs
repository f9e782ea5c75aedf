//! Plain `wasmtime run` of a component that was compiled before.

use std::path::PathBuf;
use std::process::Command;

/// wasmtime as it is released, by the name that `cargo xtask bench` knows it by.
pub(crate) const RELEASED: &str = "wasmtime";
/// The same, built with only the parts that are used here.
pub(crate) const LEAN: &str = "wasmtime-lean";

const PROGRAM: &str = "wasmtime";

/// wasmtime, and the component of `tests/guests/plain` compiled by it.
pub(crate) struct Wasmtime {
    program: PathBuf,
    folder: tempfile::TempDir,
    /// `wasmtime 48.0.8`
    pub(crate) version: String,
}

impl Wasmtime {
    /// Finds the one of that name in `$LATCH_PEERS`, or any on the path, and compiles.
    pub(crate) fn prepare(name: &str) -> Result<Self, String> {
        let program = std::env::var_os("LATCH_PEERS")
            .map(|peers| PathBuf::from(peers).join(name).join("bin").join(PROGRAM))
            .unwrap_or_else(|| PathBuf::from(PROGRAM));
        let output = Command::new(&program).arg("--version").output();
        let output =
            output.map_err(|error| format!("cannot run wasmtime ({error}); `cargo xtask bench` installs it"))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let wasmtime = Self { program, folder, version };
        let component = crate::component::of(&crate::machine::package("plain"))?;
        let mut compile = Command::new(&wasmtime.program);
        let output = compile.arg("compile").arg(component.path()).arg("-o").arg(wasmtime.compiled()).output();
        let output = output.map_err(|error| format!("cannot run wasmtime: {error}"))?;
        if output.status.success() {
            Ok(wasmtime)
        } else {
            Err(format!("wasmtime could not compile: {}", String::from_utf8_lossy(&output.stderr)))
        }
    }

    /// `wasmtime run` of the compiled component.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["run", "--allow-precompiled"]).arg(self.compiled());
        command
    }

    fn compiled(&self) -> PathBuf {
        self.folder.path().join("plain.cwasm")
    }
}
