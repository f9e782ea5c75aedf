//! A node in a temporary state folder, driven through the `latch` command as a person would.

use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A running node. Dropping it stops the node and removes its state.
pub struct Node {
    folder: tempfile::TempDir,
    up: Vec<OsString>,
    state: PathBuf,
    /// As whom everything runs, where not as who runs the tests.
    user: Option<u32>,
    /// The limit of descriptors, hard, where there is one.
    descriptors: Option<u32>,
}

impl Node {
    /// Starts a node on an empty state.
    ///
    /// # Panics
    /// Where it does not come up: nothing of a test makes sense then.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same with options of `latch up`, which are made from the folder for the test's own files.
    ///
    /// # Panics
    /// Where it does not come up.
    #[must_use]
    pub fn start_with(options: impl FnOnce(&Path) -> Vec<OsString>) -> Self {
        let mut node = Self::prepare_in(&std::env::temp_dir());
        node.up.extend(options(node.folder.path()));
        node.up();
        node
    }

    /// A node that was not started yet, with all that is its own below this place.
    ///
    /// # Panics
    /// Where there is no room for a folder.
    #[must_use]
    pub fn prepare_in(place: &Path) -> Self {
        let folder = tempfile::tempdir_in(place).expect("a temporary folder");
        let state = folder.path().join("state");
        Self { folder, up: vec!["up".into()], state, user: None, descriptors: None }
    }

    /// Keeps its state somewhere else.
    #[must_use]
    pub fn with_state(mut self, state: PathBuf) -> Self {
        self.state = state;
        self
    }

    /// Runs node and commands as another user, who needs access to the scratch folder.
    #[must_use]
    pub fn with_user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Starts what it starts with so many descriptors, and no way to get more.
    #[must_use]
    pub fn with_descriptors(mut self, descriptors: u32) -> Self {
        self.descriptors = Some(descriptors);
        self
    }

    /// Starts the node again after it was stopped, as it was started first.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn up(&self) {
        crate::watchdog::watch(&self.state);
        self.expect(&self.up);
    }

    /// The node's state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// A folder for the test's own files, removed with the node.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// `latch` with these words, for this node, without a terminal.
    pub fn latch<Word: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = Word>) -> Command {
        let latch = crate::binaries().join("latch");
        let mut command = match self.descriptors {
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\"")).arg(latch);
                shell
            }
            None => Command::new(latch),
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
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
