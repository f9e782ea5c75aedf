//! Where something is: by names inside, by ids outside.

use caps::{NEVER_MS, NodeId, NodeKey, Path, Readable, Signer};

use super::OutsideError;
use crate::store::{Node, Store};

/// A node that was found by its names.
pub(super) struct Located {
    pub(super) node: Node,
    /// The directory that it is in, and its name there; nothing for the root.
    pub(super) parent: Option<(Node, Vec<u8>)>,
    /// Its path outside.
    pub(super) path: Path,
}

impl Located {
    /// Follows the names from the root on.
    pub(super) fn find(store: &Store, root: &Node, names: &[&[u8]]) -> Result<Located, OutsideError> {
        let mut located = Located { node: root.clone(), parent: None, path: Path::new(&[id(root)])? };
        for name in names {
            let node = store.find(&located.node, name)?;
            let path = located.path.child(id(&node))?;
            located = Located { node, parent: Some((located.node, name.to_vec())), path };
        }
        Ok(located)
    }

    /// What it is read with, in the store of that signer.
    pub(super) fn readable(&self, signer: &dyn Signer) -> Result<Readable, OutsideError> {
        readable(&self.node, self.path.clone(), signer)
    }
}

/// What a node at that place is read with.
pub(super) fn readable(node: &Node, path: Path, signer: &dyn Signer) -> Result<Readable, OutsideError> {
    let outside = node.outside_key()?;
    Ok(Readable {
        root: signer.public_key().principal(),
        path,
        generation: outside.generation,
        key: NodeKey::from_bytes(*outside.key),
        expires_ms: NEVER_MS,
    })
}

/// What a node is known by outside.
pub(super) fn id(node: &Node) -> NodeId {
    NodeId(node.identifier())
}
