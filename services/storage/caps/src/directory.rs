//! The content of a directory's node: what is in it, with each one's key wrapped under the directory's own. So whoever
//! has the key of a directory has those of all that is below it.

use crate::decode::{self, DecodeError, Decoder};
use crate::entropy::{Entropy, NoEntropy, draw};
use crate::node::{Kind, NodeId, NodeKey, Readable};
use crate::readcap::decode_generation;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::collections::HashSet;
use std::fmt;
use zeroize::Zeroizing;

const MARK: &[u8; 4] = b"LKdi";
const WRAP_CONTEXT: &str = "latchkey 2026 directory: the keys of what is in it";

/// Nonce (24), sealed key (32) and tag (16).
pub const WRAPPED_KEY_BYTES: usize = 24 + 32 + 16;

/// The longest name: NAME_MAX of Linux, as in every Directory.
pub const NAME_LIMIT_BYTES: usize = 255;

/// A directory has at most so many entries, and so at most 349 MiB of content.
pub const ENTRY_LIMIT: usize = 1 << 20;

/// Length of the name, name, kind, node, generation, wrapped key.
const ENTRY_LIMIT_BYTES: usize = 1 + NAME_LIMIT_BYTES + 1 + 16 + 4 + WRAPPED_KEY_BYTES;
/// Mark, format, number of entries, entries.
const DIRECTORY_LIMIT_BYTES: usize = 4 + 1 + 4 + ENTRY_LIMIT * ENTRY_LIMIT_BYTES;

/// The key of what is in a directory, sealed under the directory's key. It is of use for this directory, this node and
/// these generations of both only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Whose key it is.
    pub node: NodeId,
    /// The generation of that key.
    pub generation: u32,
    /// Nonce, sealed key and tag.
    pub sealed: [u8; WRAPPED_KEY_BYTES],
}

impl WrappedKey {
    /// Wraps the key of a node that is in this directory.
    pub fn wrap(
        directory: &Readable,
        node: NodeId,
        generation: u32,
        key: &NodeKey,
        entropy: &mut dyn Entropy,
    ) -> Result<WrappedKey, NoEntropy> {
        let nonce: [u8; 24] = draw(entropy)?;
        let aad = bound(directory, node, generation);
        let payload = Payload { msg: key.as_bytes(), aad: &aad };
        // sealing fails only where there is no memory for 48 bytes
        let sealed = cipher(directory).encrypt(&XNonce::from(nonce), payload).map_err(|_| NoEntropy)?;
        let sealed = [nonce.as_slice(), &sealed].concat().try_into().map_err(|_| NoEntropy)?;
        Ok(WrappedKey { node, generation, sealed })
    }

    pub(crate) fn unwrap(&self, directory: &Readable) -> Option<NodeKey> {
        let (nonce, sealed) = self.sealed.split_first_chunk::<24>()?;
        let aad = bound(directory, self.node, self.generation);
        let opened = cipher(directory).decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad }).ok()?;
        let opened = Zeroizing::new(opened);
        Some(NodeKey::from_bytes(opened.as_slice().try_into().ok()?))
    }
}

fn cipher(directory: &Readable) -> XChaCha20Poly1305 {
    let key = Zeroizing::new(blake3::derive_key(WRAP_CONTEXT, directory.key.as_bytes()));
    XChaCha20Poly1305::new(&Key::from(*key))
}

fn bound(directory: &Readable, node: NodeId, generation: u32) -> Vec<u8> {
    let mut bytes = directory.root.0.to_vec();
    bytes.extend(directory.path.node().0);
    bytes.extend(directory.generation.to_le_bytes());
    bytes.extend(node.0);
    bytes.extend(generation.to_le_bytes());
    bytes
}

/// One thing in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1 to [`NAME_LIMIT_BYTES`] bytes, without `/` and zero bytes, and neither `.` nor `..`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Which node it is, and its key.
    pub key: WrappedKey,
}

/// Why there is no such directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryError {
    /// This entry, in the order given, has a name that none may have, or one that another has.
    BadName(usize),
    /// This entry, in the order given, names no node, one that another names, or no generation.
    BadNode(usize),
    /// More than [`ENTRY_LIMIT`].
    TooMany,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::BadName(at) => write!(formatter, "entry {at} has a name that it cannot have"),
            DirectoryError::BadNode(at) => write!(formatter, "entry {at} has no node of its own"),
            DirectoryError::TooMany => write!(formatter, "a directory has at most {ENTRY_LIMIT} entries"),
        }
    }
}

impl std::error::Error for DirectoryError {}

/// The content of a directory with these entries, in any order.
pub fn encode(entries: &[Entry]) -> Result<Vec<u8>, DirectoryError> {
    let count = u32::try_from(entries.len()).ok().filter(|_| entries.len() <= ENTRY_LIMIT);
    let mut bytes = decode::begin(MARK);
    bytes.extend(count.ok_or(DirectoryError::TooMany)?.to_le_bytes());
    let mut sorted: Vec<(usize, &Entry)> = entries.iter().enumerate().collect();
    sorted.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    let mut before: &[u8] = &[];
    for (at, entry) in sorted {
        let length = u8::try_from(entry.name.len()).map_err(|_| DirectoryError::BadName(at))?;
        if !is_name(&entry.name) || entry.name == before {
            return Err(DirectoryError::BadName(at));
        }
        if entry.key.node == NodeId::NONE || entry.key.generation == 0 {
            return Err(DirectoryError::BadNode(at));
        }
        bytes.push(length);
        bytes.extend(&entry.name);
        bytes.push(entry.kind.code());
        bytes.extend(entry.key.node.0);
        bytes.extend(entry.key.generation.to_le_bytes());
        bytes.extend(entry.key.sealed);
        before = &entry.name;
    }
    let mut seen = HashSet::new();
    match entries.iter().position(|entry| !seen.insert(entry.key.node)) {
        Some(twice) => Err(DirectoryError::BadNode(twice)),
        None => Ok(bytes),
    }
}

/// The entries, in the order of their names' bytes. Reads what [`encode`] wrote, and nothing else.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let mut decoder = Decoder::begin(bytes, MARK, DIRECTORY_LIMIT_BYTES)?;
    let count = decoder.u32()?;
    if count as usize > ENTRY_LIMIT {
        return Err(DecodeError::BadValue("entries"));
    }
    let mut entries: Vec<Entry> = vec![];
    for _ in 0..count {
        let entry = decode_entry(&mut decoder)?;
        if entries.last().is_some_and(|before| before.name >= entry.name) {
            return Err(DecodeError::BadValue("name"));
        }
        entries.push(entry);
    }
    decoder.end()?;
    // Whoever goes down a tree would go to each of them twice, and at the next level four times.
    let mut nodes: Vec<NodeId> = entries.iter().map(|entry| entry.key.node).collect();
    nodes.sort_unstable();
    if nodes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(DecodeError::BadValue("node"));
    }
    Ok(entries)
}

fn decode_entry(decoder: &mut Decoder<'_>) -> Result<Entry, DecodeError> {
    let length = decoder.byte()?;
    let name = decoder.bytes(usize::from(length))?.to_vec();
    if !is_name(&name) {
        return Err(DecodeError::BadValue("name"));
    }
    let kind = Kind::decode(decoder)?;
    let node = NodeId::decode(decoder)?;
    if node == NodeId::NONE {
        return Err(DecodeError::BadValue("node"));
    }
    let generation = decode_generation(decoder)?;
    Ok(Entry { name, kind, key: WrappedKey { node, generation, sealed: decoder.array()? } })
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= NAME_LIMIT_BYTES
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
        && name != b"."
        && name != b".."
}
