//! A node with keys and something stored, and people with keys of their own and no node.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tests::node::Node;

/// A node whose keys are open.
pub(crate) fn node() -> Node {
    let node = Node::start();
    node.create_keys("a passphrase for tests");
    node
}

/// Stores a file.
pub(crate) fn put(node: &Node, place: &str, path: &str, content: &[u8]) {
    let local = node.scratch().join("local");
    std::fs::write(&local, content).unwrap();
    node.expect(["put", "--replace", local.to_str().unwrap(), place, path]);
}

/// Somebody with a folder of their own.
pub(crate) struct Person {
    folder: PathBuf,
}

impl Person {
    pub(crate) fn new(node: &Node, name: &str) -> Person {
        let folder = node.scratch().join(name);
        std::fs::create_dir(&folder).unwrap();
        Person { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `latch cap` where there is no node and no place for one.
    pub(crate) fn cap(&self, words: &[&str]) -> Output {
        let mut command = Command::new(tests::binaries().join("latch"));
        command.arg("cap").args(words).stdin(Stdio::null()).current_dir(&self.folder).env_clear();
        command.env("XDG_CONFIG_HOME", self.folder.join("config")).output().unwrap()
    }

    pub(crate) fn expect(&self, words: &[&str]) -> Vec<u8> {
        let output = self.cap(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let output = self.cap(words);
        assert_eq!(output.status.code(), Some(1), "{words:?} was not refused");
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        serde_json::from_slice(&self.expect(&[words, &["--json"]].concat())).unwrap()
    }

    /// The public half of their key, which is made at the first time.
    pub(crate) fn key(&self, kind: &str) -> String {
        self.json(&[kind])["public_key"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
