//! A terminal with a command on it, made by `script` (util-linux).

#![expect(clippy::expect_used, reason = "a test without its terminal has failed")]

use crate::node::Node;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// `latch` on a terminal of its own.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    /// One so wide that no line of these tests is broken.
    #[must_use]
    pub fn run(node: &Node, words: &str) -> Self {
        Self::of(node, 400, words)
    }

    /// One of so many columns.
    ///
    /// # Panics
    /// Where there is no `script`.
    #[must_use]
    pub fn of(node: &Node, columns: u16, words: &str) -> Self {
        let latch = crate::binaries().join("latch");
        // The shell gives its place to it: one that stays has an end of its own after an interrupt.
        let command = format!("stty cols {columns}; exec {} {words}", latch.display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).env("LATCH_STATE", node.state());
        script.current_dir(node.scratch());
        let spawned = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("`script` of util-linux makes a terminal");
        let keyboard = child.stdin.take().expect("its input is a pipe");
        let screen = child.stdout.take().expect("its output is a pipe");
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Reads until this is on the screen, and forgets all before it.
    ///
    /// # Panics
    /// Where it ends before that.
    pub fn wait_for(&mut self, words: &str) -> String {
        while !self.shown.contains(words) {
            assert!(self.read() > 0, "it ended before {words:?} was shown:\n{}", self.shown);
        }
        let end = self.shown.find(words).expect("it was found") + words.len();
        self.shown.drain(..end).collect()
    }

    /// Types.
    ///
    /// # Panics
    /// Where nobody is there to take it.
    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Reads to the end: the rest of the screen, and the exit code.
    ///
    /// # Panics
    /// Where it cannot be waited for.
    pub fn end(mut self) -> (String, Option<i32>) {
        while self.read() > 0 {}
        let code = self.child.wait().expect("it ends").code();
        (self.shown, code)
    }

    fn read(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let count = self.screen.read(&mut bytes).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count
    }
}
