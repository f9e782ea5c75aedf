//! What a node is: its metadata, sealed under its own key.

use zeroize::Zeroizing;

use super::error::{Outcome, StoreError};
use super::format::{Id, ItemHead, ItemKind, Take};
use super::index::{NODE, Row, key};
use super::keys::{NodeKeys, Secret, metadata_key};
use super::log::Draft;
use super::node::{Kind, Node, hex};
use super::seal::Sealer;
use super::shared::{Shared, now_ns};

/// What is known of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Bytes; 0 for a directory.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    /// Whether it may be run.
    pub executable: bool,
    /// The same for as long as it exists, and another node's with a probability of 2^-64.
    pub identity: u64,
    /// Grows with every change.
    pub version: u64,
}

/// The keys that a node had before the last exchanges are kept, at most so many: an exchange writes nothing anew, so each
/// may have sealed something that is still there. 1,000 exchanges take 36 kB.
const OLDER_KEYS_LIMIT: usize = 1_000;

/// A node's metadata, as read.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) version: u64,
    pub(crate) home: Id,
    pub(crate) parent: Id,
    pub(crate) account: u64,
    pub(crate) directory: bool,
    pub(crate) size: u64,
    pub(crate) modified_ns: i64,
    pub(crate) executable: bool,
    /// The keys of before, by generation.
    pub(crate) older: Vec<(u32, Secret)>,
    /// What those who use the store keep with the node.
    pub(crate) note: Zeroizing<Vec<u8>>,
}

impl Known {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(21 + self.older.len() * 36 + self.note.len()));
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&self.modified_ns.to_le_bytes());
        bytes.push(u8::from(self.executable));
        bytes.extend_from_slice(&(self.older.len() as u16).to_le_bytes());
        for (generation, key) in &self.older {
            bytes.extend_from_slice(&generation.to_le_bytes());
            bytes.extend_from_slice(key.as_slice());
        }
        bytes.extend_from_slice(&(self.note.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&self.note);
        bytes
    }

    fn decode(head: &ItemHead, plain: &[u8]) -> Option<Self> {
        let mut take = Take(plain);
        let (size, modified_ns) = (take.u64()?, take.u64()?.cast_signed());
        let executable = take.u8()? != 0;
        let mut older = Vec::new();
        for _ in 0..take.u16()? {
            older.push((take.u32()?, Zeroizing::new(take.array()?)));
        }
        let note_bytes = usize::from(take.u16()?);
        let note = Zeroizing::new(take.bytes(note_bytes)?.to_vec());
        take.end()?;
        Some(Self {
            version: head.version,
            home: head.home,
            parent: head.part,
            account: head.account,
            directory: head.directory,
            size,
            modified_ns,
            executable,
            older,
            note,
        })
    }

    pub(crate) fn public(&self, id: &Id) -> Metadata {
        let kind = if self.directory { Kind::Directory } else { Kind::File };
        let identity = Take(id).u64().unwrap_or(0);
        let (modified_ns, executable) = (self.modified_ns, self.executable);
        Metadata { kind, size: self.size, modified_ns, executable, identity, version: self.version }
    }

    /// The key of a generation, of which the node's own is the newest.
    pub(crate) fn key(&self, keys: &NodeKeys, generation: u32) -> Option<Secret> {
        if generation == keys.generation {
            return Some(keys.key.clone());
        }
        self.older.iter().find(|(older, _)| *older == generation).map(|(_, key)| key.clone())
    }

    /// Keeps a key that is to be exchanged.
    pub(crate) fn keep_key(&mut self, keys: &NodeKeys) -> Outcome<()> {
        if self.older.len() == OLDER_KEYS_LIMIT {
            return Err(StoreError::TooLarge);
        }
        self.older.push((keys.generation, keys.key.clone()));
        Ok(())
    }
}

impl Shared {
    /// The metadata of a node that is open.
    pub(crate) fn known(&self, node: &Node) -> Outcome<Known> {
        match self.known_or_kept(node) {
            Err(StoreError::Damaged(why)) if node.kind() == Kind::Directory => match self.known_without_body(node) {
                // That nothing is there of it is what was lost.
                Err(StoreError::NotFound) => Err(StoreError::Damaged(why)),
                known => known,
            },
            Err(StoreError::NotFound) if self.has_lost_row(&node.id(), node.kind(), node.shows())? => {
                self.known_without_row(&node.id(), node.0.home)
            }
            other => other,
        }
    }

    fn known_or_kept(&self, node: &Node) -> Outcome<Known> {
        let (sequence, row) = self.present_row(&node.id(), node.shows())?;
        if let Some(known) = node.kept(sequence) {
            return Ok(known);
        }
        let known = self.known_of_row(&node.id(), sequence, &row, |generation| node.key_of(generation))?;
        node.keep(sequence, &known);
        Ok(known)
    }

    /// What is known of a directory whose metadata does not open. Its entries can be reached all the same, save those that
    /// were sealed under a key of before.
    pub(crate) fn known_without_body(&self, directory: &Node) -> Outcome<Known> {
        let id = directory.id();
        let (sequence, row) = self.node_row(&id, directory.shows())?;
        self.refuse_damaged(&id, sequence)?;
        let new = Self::new_known(Kind::Directory, row.home, row.extra);
        Ok(Known { version: row.version, account: row.account, modified_ns: 0, ..new })
    }

    /// Whether all metadata of a directory that is there was lost: what is removed says so.
    pub(crate) fn has_lost_row(&self, id: &Id, kind: Kind, shows: u64) -> Outcome<bool> {
        let any = self.read_index(|index| index.newest(&key(NODE, &[id]), u64::MAX))?;
        Ok(kind == Kind::Directory && shows == u64::MAX && any.is_none())
    }

    /// Such a directory goes on, with a version that it cannot have had: what is in it is named by its entries.
    pub(crate) fn known_without_row(&self, id: &Id, home: Id) -> Outcome<Known> {
        self.refuse_damaged(id, 0)?;
        let version = self.read_index(|index| Ok(index.position.sequence))?;
        let home = if home == Id::default() { *id } else { home };
        Ok(Known { version, modified_ns: 0, ..Self::new_known(Kind::Directory, home, Id::default()) })
    }

    /// The metadata of a node as of a sequence, with a key by its generation.
    pub(crate) fn known_at(&self, id: &Id, shows: u64, key_of: impl Fn(u32) -> Option<Secret>) -> Outcome<Known> {
        let (sequence, row) = self.present_row(id, shows)?;
        self.known_of_row(id, sequence, &row, key_of)
    }

    /// The row of a node that is to be trusted.
    fn present_row(&self, id: &Id, shows: u64) -> Outcome<(u64, Row)> {
        let (sequence, row) = match self.node_row(id, shows) {
            // It may be there no more because it was lost.
            Err(StoreError::NotFound) => self.refuse_damaged(id, 0).and(Err(StoreError::NotFound))?,
            found => found?,
        };
        self.refuse_damaged(id, sequence)?;
        Ok((sequence, row))
    }

    fn known_of_row(
        &self,
        id: &Id,
        sequence: u64,
        row: &Row,
        key_of: impl Fn(u32) -> Option<Secret>,
    ) -> Outcome<Known> {
        let is_it = |head: &ItemHead| head.kind == ItemKind::Metadata && head.node == *id && head.sequence == sequence;
        let (head, mut bytes) = self.item(row.place, is_it)?;
        let damaged = || StoreError::Damaged(format!("the metadata of node {} does not open", hex(id)));
        let key = key_of(head.generation).ok_or_else(damaged)?;
        let body = &mut bytes[super::format::ITEM_HEAD_BYTES..];
        let plain = Sealer::new(self.store_id, &metadata_key(&key)).open(&head, body).ok_or_else(damaged)?;
        let known = Known::decode(&head, plain);
        zeroize::Zeroize::zeroize(plain);
        known.ok_or_else(damaged)
    }

    /// The row of a node that is there as of a sequence.
    pub(crate) fn node_row(&self, id: &Id, shows: u64) -> Outcome<(u64, Row)> {
        let found = self.read_index(|index| index.newest(&key(NODE, &[id]), shows))?;
        found.filter(|(_, row)| !row.gone).ok_or(StoreError::NotFound)
    }

    /// Adds a node's metadata to a frame, one version on.
    pub(crate) fn push_metadata(
        &self,
        draft: &mut Draft,
        id: &Id,
        known: &mut Known,
        keys: &NodeKeys,
        account: u64,
    ) -> Outcome<()> {
        known.version += 1;
        known.account = account;
        let mut head = ItemHead::new(ItemKind::Metadata, *id, known.home, draft.sequence).with_part(known.parent);
        head.directory = known.directory;
        head.generation = keys.generation;
        head.version = known.version;
        head.account = account;
        draft.seal(&Sealer::new(self.store_id, &metadata_key(&keys.key)), head, &[&known.encode()])
    }

    /// The metadata of something new.
    pub(crate) fn new_known(kind: Kind, home: Id, parent: Id) -> Known {
        Known {
            version: 0,
            home,
            parent,
            account: 0,
            directory: kind == Kind::Directory,
            size: 0,
            modified_ns: now_ns(),
            executable: false,
            older: Vec::new(),
            note: Zeroizing::default(),
        }
    }
}
