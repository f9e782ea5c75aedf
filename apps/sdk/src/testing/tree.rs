//! Folders in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A folder in memory, to be granted to an app by a test. Clones are the same folder.
#[derive(Clone, Default)]
pub struct Tree {
    pub(super) nodes: Rc<RefCell<BTreeMap<Vec<u8>, Node>>>,
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
