//! A node in a temporary state folder, driven through the `latch` command as a person would.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A running node. Dropping it stops the node and removes its state.
pub struct Node {
    folder: tempfile::TempDir,
}

impl Node {
    /// Starts a node on an empty state.
    ///
    /// # Panics
    /// Where it does not come up: nothing of a test makes sense then.
    #[must_use]
    pub fn start() -> Self {
        let node = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        node.expect(["up"]);
        node
    }

    /// The node's state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A folder for the test's own files, removed with the node.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// `latch` with these words, for this node, without a terminal.
    pub fn latch<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Command {
        let mut command = Command::new(crate::binaries().join("latch"));
        command.env("LATCH_STATE", self.state()).args(words).stdin(Stdio::null());
        command
    }

    /// Runs `latch` to its end.
    ///
    /// # Panics
    /// Where the command cannot be run at all.
    pub fn run<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Output {
        self.latch(words).output().expect("latch runs")
    }

    /// Runs `latch` to its end, which must be success, and gives what it printed.
    ///
    /// # Panics
    /// Where it fails; the message has its standard error.
    pub fn expect<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> String {
        let mut command = self.latch(words);
        let output = command.output().expect("latch runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}\n{error}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `latch` to its end, which must be refusal (code 1), and gives what it said on standard error.
    ///
    /// # Panics
    /// Where it does not refuse.
    pub fn refused<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> String {
        let mut command = self.latch(words);
        let output = command.output().expect("latch runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?} was not refused\n{error}");
        error
    }

    /// The JSON that `latch … --json` prints.
    ///
    /// # Panics
    /// Where it fails or prints something else.
    pub fn json<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Value {
        let mut words: Vec<_> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        words.push("--json".into());
        let printed = self.expect(words);
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("not JSON ({error}): {printed}"))
    }

    /// Starts `latch` with its output in pipes.
    ///
    /// # Panics
    /// Where the command cannot be run at all.
    pub fn spawn<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Child {
        self.latch(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("latch runs")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let down = self.run(["down"]);
        if !down.status.success() && !std::thread::panicking() {
            panic!("the node did not stop: {}", String::from_utf8_lossy(&down.stderr));
        }
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.state().join("kernel.log")).unwrap_or_default();
            eprintln!("the kernel's log:\n{log}");
        }
    }
}
