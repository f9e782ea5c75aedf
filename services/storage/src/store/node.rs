//! Nodes: directories and files that somebody has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::format::Id;
use super::keys::{NodeKeys, Secret};
use super::metadata::Known;
use super::shared::Shared;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
}

/// A directory or a file, as of now or of a snapshot. It stays the same one when it is renamed. While a clone lives, a
/// file that was removed can be read and written.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<OpenNode>);

pub(crate) struct OpenNode {
    pub(crate) id: Id,
    pub(crate) kind: Kind,
    /// The home that things made in it have; zeros: each is its own.
    pub(crate) home: Id,
    /// The sequence of the snapshot; nothing: as of now.
    pub(crate) as_of: Option<u64>,
    /// They change when keys are exchanged.
    keys: Mutex<NodeKeys>,
    /// Those that it will have, while they are being exchanged.
    next: Mutex<Option<NodeKeys>>,
    /// The metadata that was read or written last, and by which frame: it need not be opened again while it is the newest.
    known: Mutex<Option<(u64, Known)>>,
    pub(crate) shared: Weak<Shared>,
}

impl Node {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether it belongs to a snapshot.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        self.0.as_of.is_some()
    }

    pub(crate) fn id(&self) -> Id {
        self.0.id
    }

    /// The newest sequence that it shows.
    pub(crate) fn shows(&self) -> u64 {
        self.0.as_of.unwrap_or(u64::MAX)
    }

    pub(crate) fn keys(&self) -> NodeKeys {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These keys are about to take the place of those that it has; nothing: they did, or will not.
    pub(crate) fn expect_keys(&self, keys: Option<NodeKeys>) {
        *self.0.next.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The key of a generation: the one that it has, or is about to have.
    pub(crate) fn key_of(&self, generation: u32) -> Option<Secret> {
        let next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut keys = next.into_iter().chain([self.keys()]);
        keys.find(|keys| keys.generation == generation).map(|keys| keys.key)
    }

    /// The metadata of that frame, if it is what was kept.
    pub(crate) fn kept(&self, sequence: u64) -> Option<Known> {
        let kept = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(kept, _)| *kept == sequence).map(|(_, known)| known.clone())
    }

    pub(crate) fn keep(&self, sequence: u64, known: &Known) {
        *self.0.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((sequence, known.clone()));
    }

    pub(crate) fn set_keys(&self, keys: NodeKeys) {
        *self.0.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        *self.0.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.expect_keys(None);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the keys.
        write!(out, "{:?} {}", self.0.kind, hex(&self.0.id))
    }
}

/// An id for people.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is open as of now, and which of it has no name any more.
#[derive(Default)]
pub(crate) struct OpenNodes {
    by_id: HashMap<Id, Weak<OpenNode>>,
}

impl OpenNodes {
    /// The node if it is open, else one with these keys.
    pub(crate) fn get_or_open(
        &mut self,
        shared: &Weak<Shared>,
        (id, kind, home): (Id, Kind, Id),
        keys: NodeKeys,
        as_of: Option<u64>,
    ) -> Node {
        let open = |keys| {
            let (keys, next, known) = (Mutex::new(keys), Mutex::default(), Mutex::default());
            Arc::new(OpenNode { id, kind, home, as_of, keys, next, known, shared: shared.clone() })
        };
        if as_of.is_some() {
            return Node(open(keys));
        }
        if let Some(node) = self.by_id.get(&id).and_then(Weak::upgrade) {
            return Node(node);
        }
        let node = open(keys);
        self.by_id.insert(id, Arc::downgrade(&node));
        Node(node)
    }

    pub(crate) fn get(&self, id: &Id) -> Option<Node> {
        self.by_id.get(id).and_then(Weak::upgrade).map(Node)
    }

    fn forget(&mut self, id: &Id) -> bool {
        let dead = self.by_id.get(id).is_some_and(|node| node.strong_count() == 0);
        if dead {
            self.by_id.remove(id);
        }
        dead
    }
}

impl Drop for OpenNode {
    fn drop(&mut self) {
        if self.as_of.is_none()
            && let Some(shared) = self.shared.upgrade()
            && shared.nodes.lock().unwrap_or_else(PoisonError::into_inner).forget(&self.id)
        {
            shared.closed(self);
        }
    }
}
