//! Verifying sealed nodes, and opening what was verified.

use super::attributes::Attributes;
use super::content::{Place, Sectors};
use super::metadata::{Metadata, Undecoded};
use super::seal::{act, entry_bound};
use super::{NodeError, OpenError, SECTOR_BYTES};
use crate::node::{Kind, Path, Readable};
use crate::reader::{Purpose, SealedKey, open_key};
use crate::sign::{Signed, is_signed};
use crate::{Act, NEVER_MS, NodeId, Principal, PublicKey, ReaderSecret, writecap};
use std::borrow::Cow;

const SEEN_CONTEXT: &str = "latchkey 2026 sealed node: metadata that was seen";

/// What to remember of metadata that was accepted, so that nothing older is accepted after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The node's version.
    pub version: u64,
    /// The generation of its key.
    pub generation: u32,
    /// Hash of the whole metadata.
    pub digest: [u8; 32],
}

/// What the caller knows, and holds the metadata against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The store.
    pub root: &'a Principal,
    /// Where the caller knows the node to be: by the directories that lead there, or by a readcap.
    pub path: &'a Path,
    /// Where the node was before, if that is elsewhere: who moved it must be allowed to write at both places.
    pub moved_from: Option<&'a Path>,
    /// What was accepted before of this node; none: it is the first time.
    pub seen: Option<&'a Seen>,
    /// The time at which it is judged, in milliseconds since 1970: now for who takes a new version in. For what was taken in
    /// before, it is the time of that, for a writecap may have expired since.
    pub now_ms: u64,
}

/// Metadata that was verified. Only [`verify`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub(super) metadata: Metadata,
    path: Path,
    seen: Seen,
}

/// Content, or a part of it, that is what was signed.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    verified: &'a Verified,
    first: u64,
    sealed: Cow<'a, [u8]>,
}

/// Verifies a node's metadata without any key.
pub fn verify(bytes: &[u8], expected: &Expected<'_>) -> Result<Verified, NodeError> {
    let (metadata, signature) = Metadata::decode(bytes).map_err(|error| match error {
        Undecoded::Metadata(error) => NodeError::Malformed(error),
        Undecoded::Chain(error) => NodeError::Chain(error),
    })?;
    if metadata.root != *expected.root {
        return Err(NodeError::OtherRoot);
    }
    if metadata.node != expected.path.node() {
        return Err(NodeError::OtherNode);
    }
    let body = bytes.strip_suffix(&signature).unwrap_or_default();
    if !is_signed(&metadata.signer, Signed::Node, body, &signature) {
        return Err(NodeError::Forged);
    }
    check_authority(&metadata, expected)?;
    if metadata.parent != expected.path.parent() {
        return Err(NodeError::Elsewhere(metadata.parent));
    }
    let seen = Seen {
        version: metadata.version,
        generation: metadata.generation,
        digest: blake3::derive_key(SEEN_CONTEXT, bytes),
    };
    expected.seen.map_or(Ok(()), |before| check_seen(before, &seen))?;
    Ok(Verified { metadata, path: expected.path.clone(), seen })
}

fn check_authority(metadata: &Metadata, expected: &Expected<'_>) -> Result<(), NodeError> {
    if metadata.is_by_root() {
        return Ok(());
    }
    let chain = metadata.chain.as_ref().ok_or(NodeError::NoAuthority)?;
    let act = if expected.moved_from.is_some() { Act::Write } else { act(metadata.version) };
    for path in [Some(expected.path), expected.moved_from].into_iter().flatten() {
        let authority = writecap::verify(chain, expected.root, path, act, expected.now_ms)?;
        if authority.holder != metadata.signer {
            return Err(NodeError::OtherHolder);
        }
    }
    Ok(())
}

fn check_seen(before: &Seen, found: &Seen) -> Result<(), NodeError> {
    if found.version < before.version {
        return Err(NodeError::RolledBack { seen: before.version, found: found.version });
    }
    if found.version == before.version && found.digest != before.digest {
        return Err(NodeError::Conflict);
    }
    if found.generation < before.generation {
        return Err(NodeError::KeyRolledBack);
    }
    Ok(())
}

impl Verified {
    /// The store.
    pub fn root(&self) -> Principal {
        self.metadata.root
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.metadata.node
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.metadata.kind
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.metadata.version
    }

    /// How often its key was changed: 1, 2, …
    pub fn generation(&self) -> u32 {
        self.metadata.generation
    }

    /// Plain bytes.
    pub fn size_bytes(&self) -> u64 {
        self.metadata.size_bytes
    }

    /// Bytes of the sealed content.
    pub fn sealed_bytes(&self) -> u64 {
        self.metadata.sealed_bytes()
    }

    /// Sectors of the content.
    pub fn sectors(&self) -> u64 {
        self.metadata.sectors()
    }

    /// BLAKE3 over the sealed content.
    pub fn content(&self) -> &[u8; 32] {
        &self.metadata.content
    }

    /// Who signed it.
    pub fn signer(&self) -> PublicKey {
        self.metadata.signer
    }

    /// The node's key, sealed to each reader. Which is whose is not to be seen.
    pub fn readers(&self) -> &[SealedKey] {
        &self.metadata.readers
    }

    /// What to remember, for the next time.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// The node's key, if this reader is one of its readers: tries at most [`READER_LIMIT`](super::READER_LIMIT) entries.
    pub fn find_key(&self, reader: &ReaderSecret) -> Option<Readable> {
        let Metadata { root, node, generation, .. } = &self.metadata;
        let bound = entry_bound(root, *node, *generation);
        let key = self.metadata.readers.iter().find_map(|entry| open_key(entry, reader, Purpose::Entry, &bound))?;
        Some(Readable { root: *root, path: self.path.clone(), generation: *generation, key, expires_ms: NEVER_MS })
    }

    /// What the node has beside its content.
    pub fn attributes(&self, readable: &Readable) -> Result<Attributes, OpenError> {
        let sectors = self.sectors_for(readable)?;
        sectors.open_attributes(&self.metadata.attributes).ok_or(OpenError::Attributes)
    }

    /// What opens sectors, for the key of this very node and generation.
    pub(super) fn sectors_for(&self, readable: &Readable) -> Result<Sectors, OpenError> {
        let metadata = &self.metadata;
        let is_for = (readable.root, readable.path.node(), readable.generation);
        if is_for != (metadata.root, metadata.node, metadata.generation) {
            return Err(OpenError::OtherKey);
        }
        Ok(Sectors::new(&Place::of(metadata), &readable.key))
    }

    /// Checks that these bytes are the whole sealed content.
    pub fn check_content<'a>(&'a self, sealed: &'a [u8]) -> Result<Told<'a>, NodeError> {
        if sealed.len() as u64 != self.sealed_bytes() {
            return Err(NodeError::OtherLength);
        }
        if *blake3::hash(sealed).as_bytes() != self.metadata.content {
            return Err(NodeError::OtherContent);
        }
        Ok(Told { verified: self, first: 0, sealed: Cow::Borrowed(sealed) })
    }

    pub(super) fn checked(&self, first: u64, sealed: Vec<u8>) -> Told<'_> {
        Told { verified: self, first, sealed: Cow::Owned(sealed) }
    }
}

impl Told<'_> {
    /// The sealed bytes.
    pub fn sealed(&self) -> &[u8] {
        &self.sealed
    }

    /// The plain bytes.
    pub fn open(&self, readable: &Readable) -> Result<Vec<u8>, OpenError> {
        let sectors = self.verified.sectors_for(readable)?;
        let mut plain = Vec::with_capacity(self.sealed.len());
        for (sector, sealed) in (self.first..).zip(self.sealed.chunks(SECTOR_BYTES)) {
            plain.extend(sectors.open(sector, sealed).ok_or(OpenError::Sector(sector))?);
        }
        Ok(plain)
    }
}

impl Place {
    fn of(metadata: &Metadata) -> Place {
        Place {
            root: metadata.root,
            node: metadata.node,
            kind: metadata.kind,
            version: metadata.version,
            generation: metadata.generation,
            salt: metadata.salt,
        }
    }
}
