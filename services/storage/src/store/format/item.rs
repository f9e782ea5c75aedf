//! Items: what frames consist of. Their heads are clear, so that what there is can be listed, and the chain be checked, without
//! a key.

use super::{Id, Take};

/// Kind, flags, two zero bytes, generation, node, home, part, sequence, version, account, length of the body, four zero
/// bytes: 1 + 1 + 2 + 4 + 16 + 16 + 16 + 8 + 8 + 8 + 4 + 4.
pub(crate) const ITEM_HEAD_BYTES: usize = 88;
/// The node is a directory.
const FLAG_DIRECTORY: u8 = 1;

/// What an item says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ItemKind {
    /// The root's key, sealed by the keys service. Part: the store's id.
    Root = 1,
    /// A name in a directory. Part: the keyed hash of the name.
    Entry = 2,
    /// The name is there no more. Part: as `Entry`.
    EntryRemoved = 3,
    /// What a node is. Part: the directory that it is in.
    Metadata = 4,
    /// Bytes of a file. Part: their sector's number, eight zero bytes.
    Sector = 5,
    /// Zeros. Part: the first sector's number, and how many sectors.
    Hole = 6,
    /// The node is gone.
    NodeRemoved = 7,
    /// The node has no name any more, but somebody has it open.
    Orphaned = 8,
    /// A directory is kept as it is. Part: the snapshot's number, the sequence that it shows.
    Snapshot = 9,
    /// It is kept no more. Part: as `Snapshot`.
    SnapshotDropped = 10,
    /// Whose account an account's bytes count against, too. Part: the account, the one around it.
    Account = 11,
    /// Nodes of two homes are in one directory tree. Node: the one; part: the other.
    HomesJoined = 12,
    /// A signature over all before.
    Commit = 13,
    /// What was lost, and no repair did without yet.
    Losses = 14,
}

impl ItemKind {
    fn from_byte(byte: u8) -> Option<Self> {
        use ItemKind::*;
        const ALL: [ItemKind; 14] = [
            Root,
            Entry,
            EntryRemoved,
            Metadata,
            Sector,
            Hole,
            NodeRemoved,
            Orphaned,
            Snapshot,
            SnapshotDropped,
            Account,
            HomesJoined,
            Commit,
            Losses,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The clear head of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemHead {
    pub(crate) kind: ItemKind,
    pub(crate) directory: bool,
    /// How often the key that seals the body was exchanged before.
    pub(crate) generation: u32,
    pub(crate) node: Id,
    /// The directory just below the root that the node was made under.
    pub(crate) home: Id,
    pub(crate) part: [u8; 16],
    /// Of the frame that it was first written in.
    pub(crate) sequence: u64,
    /// Of the node; 0 but in metadata.
    pub(crate) version: u64,
    /// Whose bytes these are; 0: nobody's.
    pub(crate) account: u64,
    pub(crate) length: u32,
}

impl ItemHead {
    /// A head of nobody's, without a body.
    pub(crate) fn new(kind: ItemKind, node: Id, home: Id, sequence: u64) -> Self {
        Self {
            kind,
            directory: false,
            generation: 0,
            node,
            home,
            part: [0; 16],
            sequence,
            version: 0,
            account: 0,
            length: 0,
        }
    }

    pub(crate) fn with_part(mut self, part: [u8; 16]) -> Self {
        self.part = part;
        self
    }

    pub(crate) fn encode(&self) -> [u8; ITEM_HEAD_BYTES] {
        let mut bytes = [0; ITEM_HEAD_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = if self.directory { FLAG_DIRECTORY } else { 0 };
        bytes[4..8].copy_from_slice(&self.generation.to_le_bytes());
        bytes[8..24].copy_from_slice(&self.node);
        bytes[24..40].copy_from_slice(&self.home);
        bytes[40..56].copy_from_slice(&self.part);
        bytes[56..64].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.version.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.account.to_le_bytes());
        bytes[80..84].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take(bytes.get(..ITEM_HEAD_BYTES)?);
        let kind = ItemKind::from_byte(take.u8()?)?;
        let flags = take.u8()?;
        let zeros = take.u16()?;
        let head = Self {
            kind,
            directory: flags == FLAG_DIRECTORY,
            generation: take.u32()?,
            node: take.array()?,
            home: take.array()?,
            part: take.array()?,
            sequence: take.u64()?,
            version: take.u64()?,
            account: take.u64()?,
            length: take.u32()?,
        };
        (flags <= FLAG_DIRECTORY && zeros == 0 && take.u32()? == 0).then_some(head)
    }

    /// The two numbers that the part consists of.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        numbers(&self.part)
    }

    /// With its body, in bytes.
    pub(crate) fn whole_bytes(&self) -> u32 {
        self.length.saturating_add(ITEM_HEAD_BYTES as u32)
    }
}

/// The two numbers of a part.
pub(crate) fn numbers(part: &[u8; 16]) -> (u64, u64) {
    let mut take = Take(part);
    (take.u64().unwrap_or(0), take.u64().unwrap_or(0))
}

/// A part of two numbers.
pub(crate) fn part_of(first: u64, second: u64) -> [u8; 16] {
    let mut part = [0; 16];
    part[..8].copy_from_slice(&first.to_le_bytes());
    part[8..].copy_from_slice(&second.to_le_bytes());
    part
}

/// One item of a payload.
pub(crate) struct Item<'a> {
    /// Where it begins in the payload.
    pub(crate) offset: usize,
    pub(crate) head: ItemHead,
    pub(crate) body: &'a [u8],
}

/// The items of a payload; nothing where it does not consist of items.
pub(crate) fn items(payload: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < payload.len() {
        let head = ItemHead::decode(&payload[offset..])?;
        let begin = offset + ITEM_HEAD_BYTES;
        let body = payload.get(begin..begin.checked_add(head.length as usize)?)?;
        let length = head.length as usize;
        found.push(Item { offset, head, body });
        offset = begin + length;
    }
    Some(found)
}
