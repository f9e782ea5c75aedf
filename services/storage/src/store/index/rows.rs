//! The rows: where the items are that something still uses. Keys begin with one letter; those of items end with the
//! inverted sequence, so that the newest comes first.

pub(super) use super::super::format::numbers;
use super::super::format::{ITEM_HEAD_BYTES, Id, Item, ItemHead, ItemKind, Take};

/// The position: excluded from the sum over all rows, which is a part of it.
pub(super) const POSITION: &[u8] = b"P";
/// Metadata of a node, or that it is gone.
pub(crate) const NODE: u8 = b'N';
/// An entry, or that it is gone.
pub(crate) const ENTRY: u8 = b'E';
pub(crate) const SECTOR: u8 = b'S';
pub(crate) const HOLE: u8 = b'H';
pub(crate) const SNAPSHOT: u8 = b'T';
pub(crate) const ROOT: u8 = b'R';
pub(crate) const COMMIT: u8 = b'C';
/// The account around an account.
pub(crate) const PARENT: u8 = b'B';
pub(crate) const JOINED: u8 = b'J';
/// Nodes without a name that somebody had open.
pub(crate) const ORPHAN: u8 = b'O';
/// Bytes that an account uses.
pub(crate) const ACCOUNT: u8 = b'A';
/// Bytes of a segment that something uses.
pub(crate) const SEGMENT: u8 = b'G';
/// Segments of which something was applied.
pub(crate) const KNOWN: u8 = b'K';
/// How many items lie in segments that nothing uses and that would come back, were the index built without what
/// removed them.
pub(crate) const DEAD: u8 = b'D';
/// Notes of rows that were superseded and are kept for a snapshot, by home and row: what superseded each.
pub(crate) const KEPT: u8 = b'V';
/// Where it is written what was lost.
pub(crate) const LOSSES: u8 = b'X';
/// What holes and removed nodes have still to take away.
pub(crate) const LEFT: u8 = b'L';
/// It is being built, or what it shows to be lost is not written down yet.
pub(crate) const UNJUDGED: u8 = b'U';
/// How many nodes of a kind there are.
pub(crate) const COUNT: u8 = b'Q';

/// Where an item lies, and how it is known from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    /// Of the item with its head.
    pub(crate) length: u32,
    /// The end of its body, which is that of a seal: an item of another time opens as well as this one, if it has the same head.
    pub(crate) check: [u8; CHECK_BYTES],
}

/// To meet one of the same by chance takes 2^64 items.
pub(crate) const CHECK_BYTES: usize = 8;

impl Place {
    pub(crate) fn of(item: &Item<'_>, segment: u32, offset: u32) -> Self {
        Self { segment, offset, length: item.head.whole_bytes(), check: check_of(item.body) }
    }
}

/// What an item with this body is known by. One without a body is known by its row.
pub(crate) fn check_of(body: &[u8]) -> [u8; CHECK_BYTES] {
    body.last_chunk().copied().unwrap_or_default()
}

/// What the index says about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) place: Place,
    /// It says that something is gone.
    pub(crate) gone: bool,
    pub(crate) directory: bool,
    pub(crate) account: u64,
    pub(crate) home: Id,
    /// Of the node; 0 but in metadata.
    pub(crate) version: u64,
    /// The item's part, where that is no part of the key.
    pub(crate) extra: [u8; 16],
}

/// Without version and extra.
const SHORT_BYTES: usize = 12 + CHECK_BYTES + 1 + 8 + 16;

impl Row {
    pub(crate) fn of(head: &ItemHead, place: Place) -> Self {
        use ItemKind::*;
        let gone = matches!(head.kind, EntryRemoved | NodeRemoved | SnapshotDropped);
        let extra = match head.kind {
            Metadata | Hole | Account | HomesJoined | Snapshot | SnapshotDropped => head.part,
            _ => [0; 16],
        };
        Self {
            place,
            gone,
            directory: head.directory,
            account: head.account,
            home: head.home,
            version: head.version,
            extra,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SHORT_BYTES + 24);
        bytes.extend_from_slice(&self.place.segment.to_le_bytes());
        bytes.extend_from_slice(&self.place.offset.to_le_bytes());
        bytes.extend_from_slice(&self.place.length.to_le_bytes());
        bytes.extend_from_slice(&self.place.check);
        bytes.push(u8::from(self.gone) | u8::from(self.directory) << 1);
        bytes.extend_from_slice(&self.account.to_le_bytes());
        bytes.extend_from_slice(&self.home);
        if self.version != 0 || self.extra != [0; 16] {
            bytes.extend_from_slice(&self.version.to_le_bytes());
            bytes.extend_from_slice(&self.extra);
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take(bytes);
        let (segment, offset, length) = (take.u32()?, take.u32()?, take.u32()?);
        let place = Place { segment, offset, length, check: take.array()? };
        let flags = take.u8()?;
        let (account, home) = (take.u64()?, take.array()?);
        let (version, extra) = if bytes.len() == SHORT_BYTES { (0, [0; 16]) } else { (take.u64()?, take.array()?) };
        take.end()?;
        Some(Self { place, gone: flags & 1 != 0, directory: flags & 2 != 0, account, home, version, extra })
    }
}

/// A key without its sequence.
pub(crate) fn key(letter: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.push(letter);
    pieces.iter().for_each(|piece| key.extend_from_slice(piece));
    key
}

/// The key of a sector's rows, without the sequence.
pub(crate) fn sector_key(file: &Id, sector: u64) -> Vec<u8> {
    key(SECTOR, &[file, &sector.to_be_bytes()])
}

/// A key with its sequence.
pub(crate) fn at(key: &[u8], sequence: u64) -> Vec<u8> {
    let mut whole = Vec::with_capacity(key.len() + 8);
    whole.extend_from_slice(key);
    whole.extend_from_slice(&(!sequence).to_be_bytes());
    whole
}

/// The key and the sequence of a whole key.
pub(crate) fn split(whole: &[u8]) -> Option<(&[u8], u64)> {
    let (key, sequence) = whole.split_last_chunk::<8>()?;
    Some((key, !u64::from_be_bytes(*sequence)))
}

/// The key under which the index has this item, without its sequence; nothing where it has none.
pub(crate) fn key_of(head: &ItemHead) -> Vec<u8> {
    use ItemKind::*;
    let (first, second) = head.numbers();
    match head.kind {
        Root => key(ROOT, &[]),
        Entry | EntryRemoved => key(ENTRY, &[&head.node, &head.part]),
        Metadata | NodeRemoved => key(NODE, &[&head.node]),
        Sector => sector_key(&head.node, first),
        Hole => key(HOLE, &[&head.node, &first.to_be_bytes(), &second.to_be_bytes()]),
        Orphaned => key(ORPHAN, &[&head.node]),
        Snapshot | SnapshotDropped => key(SNAPSHOT, &[&head.node, &first.to_be_bytes()]),
        Account => key(PARENT, &[&first.to_be_bytes()]),
        HomesJoined => key(JOINED, &[&head.node, &head.part]),
        Commit => key(COMMIT, &[]),
        Losses => key(LOSSES, &[]),
    }
}

/// The head of the item of a row, where that consists of nothing but its head; nothing where it has a body.
pub(crate) fn head_of(key: &[u8], sequence: u64, row: &Row) -> Option<ItemHead> {
    use ItemKind::*;
    if row.place.length as usize != ITEM_HEAD_BYTES {
        return None;
    }
    let mut take = Take(key);
    let (kind, node) = match (take.u8()?, row.gone) {
        (ENTRY, true) => (EntryRemoved, take.array()?),
        (NODE, true) => (NodeRemoved, take.array()?),
        (SNAPSHOT, true) => (SnapshotDropped, take.array()?),
        (HOLE, false) => (Hole, take.array()?),
        (ORPHAN, false) => (Orphaned, take.array()?),
        (JOINED, false) => (HomesJoined, take.array()?),
        (PARENT, false) => (Account, Id::default()),
        _ => return None,
    };
    let part = match kind {
        EntryRemoved => take.array()?,
        _ => row.extra,
    };
    let head = ItemHead::new(kind, node, row.home, sequence).with_part(part);
    Some(ItemHead { directory: row.directory, version: row.version, account: row.account, ..head })
}

/// What counts, per key, the dead items that a removal has to outlive: an entry's own, all of a node's together.
pub(crate) fn dead_key(item_key: &[u8]) -> Option<Vec<u8>> {
    match item_key.first()? {
        &ENTRY | &SNAPSHOT => Some(key(DEAD, &[item_key])),
        &NODE | &SECTOR | &HOLE | &ORPHAN => Some(key(DEAD, &[&[NODE], item_key.get(1..17)?])),
        _ => None,
    }
}
