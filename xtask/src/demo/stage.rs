//! Where the demo plays: a node in a temporary folder, and commands shown as they are typed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The stage. Dropping it stops the node and removes everything.
pub(crate) struct Stage {
    /// The checkout: the folder of ours that is searched.
    pub(crate) root: PathBuf,
    binaries: PathBuf,
    packages: PathBuf,
    folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new(root: &Path, binaries: &Path, packages: &Path) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        Ok(Self {
            root: root.to_path_buf(),
            binaries: binaries.to_path_buf(),
            packages: packages.to_path_buf(),
            folder,
        })
    }

    /// A folder for the story's own files.
    pub(crate) fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Path of an app's package.
    pub(crate) fn package(&self, name: &str) -> String {
        self.packages.join(format!("{name}.latch")).display().to_string()
    }

    /// The teller's words.
    pub(crate) fn say(&self, words: &str) {
        println!("\n# {words}");
    }

    /// Types a command, shows what it prints, and gives it. It must succeed.
    pub(crate) fn latch(&self, words: &[&str]) -> Result<String, String> {
        let output = self.shown(words)?;
        let printed = text(&output.stdout);
        if output.status.success() {
            Ok(printed)
        } else {
            Err(format!("`latch {}`: {}", words.join(" "), output.status))
        }
    }

    /// The same for a command that reads this.
    pub(crate) fn latch_reading(&self, input: &str, words: &[&str]) -> Result<String, String> {
        print!("$ echo {input:?} | ");
        println!("latch {}", words.join(" "));
        let mut command = self.command(words);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut app = started.map_err(|error| format!("latch: {error}"))?;
        if let Some(mut stdin) = app.stdin.take() {
            std::io::Write::write_all(&mut stdin, input.as_bytes()).map_err(|error| format!("latch: {error}"))?;
        }
        let output = app.wait_with_output().map_err(|error| format!("latch: {error}"))?;
        print!("{}{}", text(&output.stdout), text(&output.stderr));
        self.must(output.status.success(), &format!("`latch {}` succeeds", words.join(" ")))?;
        Ok(text(&output.stdout))
    }

    /// Types a command that must be refused, with a message that has this word.
    pub(crate) fn refused(&self, words: &[&str], word: &str) -> Result<(), String> {
        let output = self.shown(words)?;
        self.must(output.status.code() == Some(1), &format!("`latch {}` is refused", words.join(" ")))?;
        self.must(text(&output.stderr).contains(word), &format!("the refusal speaks of {word:?}"))
    }

    /// What a listing holds, for the demo's own checks; not shown.
    pub(crate) fn json(&self, words: &[&str]) -> Result<serde_json::Value, String> {
        let output = self.command(words).arg("--json").output().map_err(|error| format!("latch: {error}"))?;
        serde_json::from_slice(&output.stdout).map_err(|error| format!("`latch {} --json`: {error}", words.join(" ")))
    }

    /// Starts a command with its output in pipes.
    pub(crate) fn start(&self, words: &[&str]) -> Result<Child, String> {
        show(words);
        let mut command = self.command(words);
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        started.map_err(|error| format!("latch: {error}"))
    }

    /// Fails the demo where something is not as told.
    pub(crate) fn must(&self, holds: bool, what: &str) -> Result<(), String> {
        if holds { Ok(()) } else { Err(format!("not as told: {what}")) }
    }

    /// The process number of the node's kernel, which holds the lock of the state.
    pub(crate) fn kernel(&self) -> Result<String, String> {
        let processes = std::fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
        let state = self.folder.path().join("state");
        let is_ours = |process: &std::fs::DirEntry| {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
            let is_kernel = words.first().is_some_and(|word| word.ends_with(b"latch-kernel"));
            is_kernel && words.contains(&state.as_os_str().as_encoded_bytes())
        };
        let kernel = processes.flatten().find(is_ours).ok_or("the node's kernel is not to be found")?;
        Ok(kernel.file_name().to_string_lossy().into_owned())
    }

    /// Whether these bytes stand in any file of the node's state.
    pub(crate) fn anywhere_in_state(&self, bytes: &[u8]) -> Result<bool, String> {
        let mut folders = vec![self.folder.path().join("state")];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    // sockets and what is gone meanwhile hold nothing
                    let content = std::fs::read(&path).unwrap_or_default();
                    if content.windows(bytes.len()).any(|window| window == bytes) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    fn shown(&self, words: &[&str]) -> Result<Output, String> {
        show(words);
        let output = self.command(words).output().map_err(|error| format!("latch: {error}"))?;
        print!("{}{}", text(&output.stdout), text(&output.stderr));
        Ok(output)
    }

    /// A command of this stage's node, not shown.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.join("latch"));
        command.args(words).env("LATCH_STATE", self.folder.path().join("state")).stdin(Stdio::null());
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // the story's own `down` came first where all went well; then this finds no node
        let _ = self.command(&["down"]).output();
    }
}

fn show(words: &[&str]) {
    println!("$ latch {}", words.join(" "));
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
