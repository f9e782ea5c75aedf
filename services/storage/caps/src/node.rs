//! Nodes of a store: their ids, keys and places.

use crate::Principal;
use crate::decode::{DecodeError, Decoder};
use crate::entropy::{Entropy, NoEntropy, draw};
use crate::principal::hexadecimal;
use std::fmt;
use zeroize::Zeroizing;

/// A path has at most so many nodes, its own and the root's included. With 16 bytes each, one takes at most 1 KiB in
/// each link of a chain. What lies deeper belongs to a capability for something above it.
pub const PATH_LIMIT_NODES: usize = 64;

/// A node: 16 random bytes, given at its making. They say nothing about names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 16]);

impl NodeId {
    /// In the place of the parent of the root node, which has none. No node has this id.
    pub const NONE: NodeId = NodeId([0; 16]);

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<NodeId, DecodeError> {
        Ok(NodeId(decoder.array()?))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, formatter)
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its content is bytes.
    File,
    /// Its content is a [directory](crate::directory).
    Directory,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::File => 1,
            Kind::Directory => 2,
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Kind, DecodeError> {
        match decoder.byte()? {
            1 => Ok(Kind::File),
            2 => Ok(Kind::Directory),
            _ => Err(DecodeError::BadValue("kind")),
        }
    }
}

/// The key of one generation of one node. It opens the node's content and, of a directory, the keys of what is in it. It
/// is overwritten when it is dropped.
#[derive(Clone)]
pub struct NodeKey(Zeroizing<[u8; 32]>);

impl NodeKey {
    /// A new key.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<NodeKey, NoEntropy> {
        Ok(NodeKey::from_bytes(draw(entropy)?))
    }

    /// A key that is known.
    pub fn from_bytes(bytes: [u8; 32]) -> NodeKey {
        NodeKey(Zeroizing::new(bytes))
    }

    /// The key itself. Whoever has it can read the node.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NodeKey(…)")
    }
}

/// Where a node is: the ids from the root node to itself. Ids and not names, because names are nothing that a host
/// should learn, and because a node keeps its id when it is renamed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Path(Vec<NodeId>);

/// Why there is no such path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It has no node, not even the root's.
    Empty,
    /// It has more than [`PATH_LIMIT_NODES`].
    TooDeep,
    /// One of its ids is [`NodeId::NONE`].
    NoNode,
}

impl Path {
    /// A path of these nodes, the root node first.
    pub fn new(nodes: &[NodeId]) -> Result<Path, PathError> {
        match nodes {
            [] => Err(PathError::Empty),
            _ if nodes.len() > PATH_LIMIT_NODES => Err(PathError::TooDeep),
            _ if nodes.contains(&NodeId::NONE) => Err(PathError::NoNode),
            _ => Ok(Path(nodes.to_vec())),
        }
    }

    /// What is in this directory under that id.
    pub fn child(&self, node: NodeId) -> Result<Path, PathError> {
        Path::new(&[self.0.as_slice(), &[node]].concat())
    }

    /// The nodes, the root node first.
    pub fn nodes(&self) -> &[NodeId] {
        &self.0
    }

    /// The node at the end of the path.
    pub fn node(&self) -> NodeId {
        self.0.last().copied().unwrap_or(NodeId::NONE)
    }

    /// The directory that the node is in; [`NodeId::NONE`] for the root node.
    pub fn parent(&self) -> NodeId {
        self.0.iter().rev().nth(1).copied().unwrap_or(NodeId::NONE)
    }

    /// Whether `other` is this node or below it.
    pub fn covers(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        // at most PATH_LIMIT_NODES, by construction
        bytes.push(self.0.len() as u8);
        self.0.iter().for_each(|node| bytes.extend(node.0));
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Path, DecodeError> {
        let count = usize::from(decoder.byte()?);
        if count > PATH_LIMIT_NODES {
            return Err(DecodeError::BadValue("path"));
        }
        let nodes = (0..count).map(|_| NodeId::decode(decoder)).collect::<Result<Vec<_>, _>>()?;
        Path::new(&nodes).map_err(|_| DecodeError::BadValue("path"))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|node| write!(formatter, "/{node:?}"))
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::Empty => formatter.write_str("a path has at least the root node"),
            PathError::TooDeep => write!(formatter, "a path has at most {PATH_LIMIT_NODES} nodes"),
            PathError::NoNode => formatter.write_str("no node has the id of zeros"),
        }
    }
}

impl std::error::Error for PathError {}

/// A node that can be read: which one it is, and its key. The owner of a store has it of the root node; others have it by
/// opening a readcap, by finding their entry in a sealed node, or through the directory that the node is in.
#[derive(Clone, Debug)]
pub struct Readable {
    /// The store.
    pub root: Principal,
    /// The node, and where it is.
    pub path: Path,
    /// How often the node's key was changed: 1, 2, …
    pub generation: u32,
    /// The key of this generation.
    pub key: NodeKey,
    /// Until when whoever gave it wants it to be used, in milliseconds since 1970, or [`NEVER_MS`](crate::NEVER_MS). What
    /// is derived from it has no later one.
    pub expires_ms: u64,
}
