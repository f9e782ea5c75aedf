//! Plain `wasmtime run` of a component that was compiled before.

use std::path::PathBuf;
use std::process::Command;

/// The command's name, as `cargo xtask bench` knows it.
pub(crate) const PROGRAM: &str = "wasmtime";

/// wasmtime, and the component of `tests/guests/plain` compiled by it.
pub(crate) struct Wasmtime {
    program: PathBuf,
    folder: tempfile::TempDir,
    /// `wasmtime 48.0.8`
    pub(crate) version: String,
}

impl Wasmtime {
    /// Finds it in `$LATCH_PEERS` or on the path, and compiles.
    pub(crate) fn prepare() -> Result<Self, String> {
        let program = std::env::var_os("LATCH_PEERS")
            .map(|peers| PathBuf::from(peers).join(PROGRAM))
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
