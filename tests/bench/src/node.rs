//! A whole node in a temporary state, driven through the `latch` command as a person would.

use rustix::process::Pid;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long something that a node does by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running node; it goes with its handle.
pub(crate) struct Node {
    folder: tempfile::TempDir,
}

impl Node {
    pub(crate) fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let node = Self { folder };
        node.run(["up"])?;
        Ok(node)
    }

    /// Gives it keys, without which its store cannot be used.
    pub(crate) fn make_keys(&self) -> Result<(), String> {
        let file = self.beside("passphrase");
        let private = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file);
        let written = private.and_then(|mut file| file.write_all(b"a passphrase that is no secret\n"));
        written.map_err(|error| format!("no passphrase: {error}"))?;
        self.run([OsStr::new("keys"), OsStr::new("create"), OsStr::new("--passphrase-file"), file.as_os_str()])?;
        Ok(())
    }

    /// Installs a package and trusts its author.
    pub(crate) fn install(&self, package: &Path) -> Result<(), String> {
        self.run([OsStr::new("install"), OsStr::new("--trust"), package.as_os_str()]).map(|_| ())
    }

    /// `latch` with these words, for this node.
    pub(crate) fn latch<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Command {
        let mut command = Command::new(crate::machine::binaries().join("latch"));
        command.env("LATCH_STATE", self.state()).args(words);
        command
    }

    /// Where the node keeps its state.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A path beside the state, on the same disk. It goes with the node.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process of an image of which the node has one.
    pub(crate) fn process(&self, image: &str) -> Result<Pid, String> {
        let status: Value = serde_json::from_str(&self.run(["status", "--json"])?)
            .map_err(|error| format!("status is not JSON: {error}"))?;
        let found = status["processes"].as_array().into_iter().flatten().find(|process| process["image"] == image);
        let pid = found.and_then(|process| process["pid"].as_i64()).and_then(|pid| i32::try_from(pid).ok());
        pid.and_then(Pid::from_raw).ok_or_else(|| format!("status names no {image}"))
    }

    /// Runs `latch` to its end, which must be success; what it printed.
    pub(crate) fn run<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Result<String, String> {
        let mut command = self.latch(words);
        let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run latch: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(self.with_log(&format!("{command:?}: {}: {said}", output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asks again and again until it is so.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> Result<bool, String>) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self)? {
            if Instant::now() > deadline {
                return Err(self.with_log(&format!("{what} did not come")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Memory of all of the node's processes, in bytes: what several share is counted once in all.
    pub(crate) fn bytes(&self) -> Result<u64, String> {
        self.processes()?.into_iter().map(crate::memory::share_bytes).sum()
    }

    /// The kernel, everything that it started, and the parent that watches it.
    fn processes(&self) -> Result<Vec<Pid>, String> {
        let powerbox = self.process("powerbox")?;
        let kernel = crate::memory::parent(powerbox).ok_or("the powerbox has no parent")?;
        let supervisor = crate::memory::parent(kernel).filter(|parent| *parent != Pid::INIT);
        let mut all = crate::memory::children(kernel);
        all.push(kernel);
        all.extend(supervisor.filter(|supervisor| is_latch(*supervisor)));
        Ok(all)
    }

    fn with_log(&self, why: &str) -> String {
        let log = std::fs::read_to_string(self.state().join("kernel.log")).unwrap_or_default();
        if log.is_empty() { why.to_owned() } else { format!("{why}\nthe kernel's log:\n{log}") }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.run(["down"]) {
            eprintln!("a node did not stop: {error}");
        }
    }
}

fn is_latch(process: Pid) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{}/comm", process.as_raw_nonzero())).unwrap_or_default();
    name.trim_end() == "latch"
}
