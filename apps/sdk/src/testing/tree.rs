//! Folders in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A folder in memory, to be granted to an app by a test. Clones are the same folder.
#[derive(Clone, Default)]
pub struct Tree {
    pub(super) nodes: Rc<RefCell<BTreeMap<Vec<u8>, Node>>>,
    pub(super) snapshots: Rc<RefCell<Vec<Kept>>>,
    pub(super) quota_bytes: Rc<Cell<Option<u64>>>,
}

/// A snapshot: how the tree was.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) id: u64,
    pub(super) label: String,
    /// Of which directory.
    pub(super) at: Vec<u8>,
    pub(super) tree: Tree,
}

/// What is at a path. The folder itself is not in the map.
#[derive(Clone)]
pub(super) enum Node {
    Folder,
    File(Rc<RefCell<Vec<u8>>>),
    Link,
    /// Something that cannot be read.
    Broken,
}

impl Tree {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Puts a file into it, with the folders on its way.
    #[must_use]
    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Tree {
        self.put(path.as_ref(), Node::File(Rc::new(RefCell::new(content.as_ref().to_vec()))))
    }

    /// Puts an empty folder into it, with the folders on its way.
    #[must_use]
    pub fn folder(self, path: impl AsRef<[u8]>) -> Tree {
        self.put(path.as_ref(), Node::Folder)
    }

    /// Puts a symbolic link into it that leads out.
    #[must_use]
    pub fn link(self, path: impl AsRef<[u8]>) -> Tree {
        self.put(path.as_ref(), Node::Link)
    }

    /// Puts a file into it that its owner must not read.
    #[must_use]
    pub fn unreadable(self, path: impl AsRef<[u8]>) -> Tree {
        self.put(path.as_ref(), Node::Broken)
    }

    /// A file's content now.
    #[must_use]
    pub fn content(&self, path: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        match self.nodes.borrow().get(path.as_ref()) {
            Some(Node::File(content)) => Some(content.borrow().clone()),
            _ => None,
        }
    }

    /// Bounds what is in it, as the quota of a grant does. It can be changed while an app runs.
    pub fn set_quota(&self, bytes: Option<u64>) {
        self.quota_bytes.set(bytes);
    }

    /// The labels of all snapshots that there are, the latest last.
    #[must_use]
    pub fn snapshot_labels(&self) -> Vec<String> {
        self.snapshots.borrow().iter().map(|kept| kept.label.clone()).collect()
    }

    /// A tree of its own with what is in this one now.
    pub(super) fn copy(&self) -> Tree {
        let copy = |node: &Node| match node {
            Node::File(content) => Node::File(Rc::new(RefCell::new(content.borrow().clone()))),
            other => other.clone(),
        };
        let nodes = self.nodes.borrow().iter().map(|(path, node)| (path.clone(), copy(node))).collect();
        Tree { nodes: Rc::new(RefCell::new(nodes)), ..Tree::default() }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let size = |node: &Node| if let Node::File(content) = node { content.borrow().len() as u64 } else { 0 };
        self.nodes.borrow().values().map(size).sum()
    }

    /// Whether so many more bytes fit.
    pub(super) fn check_quota(&self, more_bytes: usize) -> Result<(), capnp::Error> {
        match self.quota_bytes.get() {
            Some(quota) if more_bytes as u64 > quota.saturating_sub(self.used_bytes()) => {
                Err(capnp::Error::failed(format!("quota: {quota} bytes are all that is allowed")))
            }
            _ => Ok(()),
        }
    }

    fn put(self, path: &[u8], node: Node) -> Tree {
        let mut nodes = self.nodes.borrow_mut();
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            nodes.entry(path[..at].to_vec()).or_insert(Node::Folder);
        }
        nodes.insert(path.to_vec(), node);
        drop(nodes);
        self
    }
}
