//! Runs an app natively, without a node: against folders in memory that a test made, with a session that gives what the
//! test said, on one thread. The links between are real ones.
//!
//! ```
//! use sdk::testing::{Node, Tree};
//! use sdk::{Folder, ask};
//!
//! let tree = Tree::new().file("a.txt", "one");
//! let code = Node::new().grant("folder", &tree).run(async {
//!     let folder: Folder = ask("folder", "to test").read().await?;
//!     assert_eq!(folder.read("a.txt").await?, b"one");
//!     Ok::<(), sdk::Error>(())
//! });
//! assert_eq!(code, 0);
//! ```

mod directory;
mod door;
mod session;
mod stored;
mod tree;

pub use tree::Tree;

use crate::run::{Outcome, run_at};
use door::{Control, MemoryDoor};
use std::future::Future;
use vat::EndReason;

/// A node in miniature: what an app that it runs is granted, and what happens to it.
#[derive(Default)]
pub struct Node {
    control: Control,
}

impl Node {
    /// A node that grants nothing: every request is refused as not announced.
    #[must_use]
    pub fn new() -> Node {
        Node::default()
    }

    /// Grants a folder to whoever asks under that label, with the rights it asks for: as a folder of the host or as a
    /// directory of the store, whichever is asked for.
    #[must_use]
    pub fn grant(self, label: &str, tree: &Tree) -> Node {
        self.control.offers.borrow_mut().insert(label.to_owned(), Some(tree.clone()));
        self
    }

    /// Denies what is asked for under that label.
    #[must_use]
    pub fn deny(self, label: &str) -> Node {
        self.control.offers.borrow_mut().insert(label.to_owned(), None);
        self
    }

    /// Does this when nothing else can happen: when the app waits, and every answer is given. Several are done one
    /// after the other, each at such a moment.
    #[must_use]
    pub fn then(self, step: impl FnOnce(&Hand<'_>) + 'static) -> Node {
        self.control.steps.borrow_mut().push_back(Box::new(step));
        self
    }

    /// Does this once that many calls have reached the folders, before the next is looked at.
    #[must_use]
    pub fn after_calls(self, calls: u64, step: impl FnOnce(&Hand<'_>) + 'static) -> Node {
        self.control.at_calls.borrow_mut().insert(calls, Box::new(step));
        self
    }

    /// Runs an app and returns its exit code.
    pub fn run<F>(self, main: F) -> u8
    where
        F: Future + 'static,
        F::Output: Outcome + 'static,
    {
        run_at(Box::new(MemoryDoor::new(self.control)), main)
    }
}

/// What a test does to a running app.
pub struct Hand<'a> {
    door: &'a door::Links,
}

impl Hand<'_> {
    /// Takes back what was granted under a label, as a person does.
    pub fn revoke(&self, label: &str, detail: &str) {
        self.door.end(label, EndReason::Revoked, detail, true);
    }

    /// The same, and the app learns that the link is gone before it learns why.
    pub fn revoke_and_tell_later(&self, label: &str, detail: &str) {
        self.door.end(label, EndReason::Revoked, detail, false);
    }

    /// Restarts what serves a label: its link ends, and another one comes.
    pub fn restart(&self, label: &str) {
        self.door.end(label, EndReason::Restarted, "", true);
        self.door.reopen(label);
    }

    /// Restarts the powerbox: the session's link ends, and another one comes. What was granted goes on.
    pub fn restart_session(&self) {
        self.door.restart_session();
    }

    /// Tells the app to stop.
    pub fn stop(&self) {
        self.door.stop();
    }
}
