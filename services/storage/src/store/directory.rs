//! Directories: names that lead to nodes, and to their keys.

use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::accounts::{Account, innermost};
use super::error::{Outcome, StoreError};
use super::format::{ITEM_HEAD_BYTES, Id, ItemHead, ItemKind, Take};
use super::index::{ENTRY, ORPHAN, Row, key, split};
use super::keys::{NodeKeys, entries_key};
use super::log::{Draft, Log};
use super::metadata::{Known, Metadata};
use super::node::{Kind, Node, hex};
use super::seal::{Sealer, no_randomness};
use super::shared::{Shared, now_ns};

/// As of `filesystem.capnp`.
pub const NAME_LIMIT_BYTES: usize = 255;
/// Names are padded to a multiple of this, so that their lengths tell less.
const NAME_STEP_BYTES: usize = 32;
/// The most entries of one page.
pub const PAGE_LIMIT: usize = 1_000;

/// A name and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As bytes.
    pub name: Vec<u8>,
    /// Of what it leads to.
    pub metadata: Metadata,
}

/// Some entries of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of the hashes of their names.
    pub entries: Vec<Entry>,
    /// Where the next page begins.
    pub cursor: u64,
    /// There is no next page.
    pub end: bool,
    /// Of the entries that do not open, and are not here because not even their names are known: why the first does not.
    pub damaged: Option<String>,
}

/// What an entry says.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) name: Vec<u8>,
    pub(crate) child: Id,
    pub(crate) kind: Kind,
    pub(crate) home: Id,
    pub(crate) keys: NodeKeys,
    /// Whose bytes the entry is.
    pub(crate) account: u64,
}

impl Link {
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(103 + 256));
        bytes.extend_from_slice(&self.child);
        bytes.push(u8::from(self.kind == Kind::Directory));
        bytes.extend_from_slice(&self.home);
        bytes.extend_from_slice(&self.keys.generation.to_le_bytes());
        bytes.extend_from_slice(self.keys.key.as_slice());
        bytes.extend_from_slice(self.keys.names.as_slice());
        bytes.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&self.name);
        let padded = self.name.len().next_multiple_of(NAME_STEP_BYTES) - self.name.len();
        let whole = bytes.len() + padded;
        bytes.resize(whole, 0);
        bytes
    }

    fn decode(head: &ItemHead, plain: &[u8]) -> Option<Self> {
        let mut take = Take(plain);
        let child = take.array()?;
        let kind = if take.u8()? == 0 { Kind::File } else { Kind::Directory };
        let home = take.array()?;
        let generation = take.u32()?;
        let (key, names) = (Zeroizing::new(take.array()?), Zeroizing::new(take.array()?));
        let length = usize::from(take.u16()?);
        let name = take.bytes(length)?.to_vec();
        let keys = NodeKeys { generation, key, names };
        Some(Self { name, child, kind, home, keys, account: head.account })
    }
}

/// Refuses what cannot be a name.
pub(crate) fn check_name(name: &[u8]) -> Outcome<()> {
    let fine = !name.is_empty()
        && name.len() <= NAME_LIMIT_BYTES
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, 0 | b'/'));
    fine.then_some(()).ok_or(StoreError::BadName)
}

/// Refuses what is no directory.
pub(crate) fn need_directory(node: &Node) -> Outcome<()> {
    (node.kind() == Kind::Directory).then_some(()).ok_or(StoreError::NotDirectory)
}

/// Refuses what cannot be changed.
pub(crate) fn need_current(node: &Node) -> Outcome<()> {
    node.is_snapshot().then_some(()).map_or(Ok(()), |()| Err(StoreError::ReadOnly))
}

impl Shared {
    /// Refuses a directory that has no name any more: nobody would find what is made in it, and it goes with who has it open.
    pub(crate) fn refuse_removed(&self, directory: &Node) -> Outcome<()> {
        let orphan = self.read_index(|index| index.newest(&key(ORPHAN, &[&directory.id()]), u64::MAX))?;
        if orphan.is_some() { Err(StoreError::NotFound) } else { Ok(()) }
    }

    /// The entry of a name.
    pub(crate) fn link(&self, directory: &Node, name: &[u8]) -> Outcome<Link> {
        check_name(name)?;
        need_directory(directory)?;
        let keys = directory.keys();
        // Also says whether the directory is still there and whole.
        let known = self.known(directory)?;
        let hash = keys.name_hash(name);
        let found = self.read_index(|index| index.newest(&key(ENTRY, &[&directory.id(), &hash]), directory.shows()))?;
        let written = found.as_ref().map_or(0, |(sequence, _)| *sequence);
        if let Some(why) = self.doubt_about_entry(&directory.id(), &hash, written) {
            return Err(StoreError::Damaged(why));
        }
        let (sequence, row) = found.filter(|(_, row)| !row.gone).ok_or(StoreError::NotFound)?;
        let link = self.open_link(directory, &known, &hash, sequence, &row)?;
        // Two names with one hash: no one can make them.
        if link.name == name { Ok(link) } else { Err(StoreError::Damaged("an entry has another name".into())) }
    }

    /// Why an entry, or that there is none, is not to be trusted.
    fn doubt_about_entry(&self, directory: &Id, hash: &[u8; 16], written_at: u64) -> Option<String> {
        let doubt = self.doubt.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        doubt.about_entry(directory, hash, written_at)
    }

    /// Why this entry is not to be trusted. Of those of which that is to be said of all the names are shown.
    fn one_lost(&self, directory: &Id, hash: &[u8; 16], written_at: u64) -> Option<String> {
        let doubt = self.doubt.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        doubt.about_one(directory, hash, written_at).map(str::to_owned)
    }

    /// The entry of a row.
    pub(crate) fn open_link(
        &self,
        directory: &Node,
        known: &Known,
        hash: &[u8; 16],
        sequence: u64,
        row: &Row,
    ) -> Outcome<Link> {
        let id = directory.id();
        let is_it = |head: &ItemHead| {
            (head.kind, head.node, head.part, head.sequence) == (ItemKind::Entry, id, *hash, sequence)
        };
        let (head, mut bytes) = self.item(row.place, is_it)?;
        let damaged = || StoreError::Damaged(format!("an entry of directory {} does not open", hex(&id)));
        let key = known.key(&directory.keys(), head.generation).ok_or_else(damaged)?;
        let sealer = Sealer::new(self.store_id, &entries_key(&key));
        let plain = sealer.open(&head, &mut bytes[ITEM_HEAD_BYTES..]).ok_or_else(damaged)?;
        let link = Link::decode(&head, plain);
        zeroize::Zeroize::zeroize(plain);
        link.ok_or_else(damaged)
    }

    /// Adds an entry to a frame.
    pub(crate) fn push_link(
        &self,
        draft: &mut Draft,
        directory: &Node,
        home: Id,
        link: &Link,
        account: u64,
    ) -> Outcome<()> {
        let keys = directory.keys();
        let hash = keys.name_hash(&link.name);
        let mut head = ItemHead::new(ItemKind::Entry, directory.id(), home, draft.sequence).with_part(hash);
        head.generation = keys.generation;
        head.account = account;
        draft.seal(&Sealer::new(self.store_id, &entries_key(&keys.key)), head, &[&link.encode()])
    }

    /// The directory was changed: its time and its version.
    pub(crate) fn touch_directory(&self, draft: &mut Draft, directory: &Node, known: &mut Known) -> Outcome<()> {
        known.modified_ns = now_ns();
        let account = known.account;
        self.push_metadata(draft, &directory.id(), known, &directory.keys(), account)
    }

    pub(crate) fn find(&self, directory: &Node, name: &[u8]) -> Outcome<Node> {
        loop {
            let rotations = self.rotations.load(Ordering::SeqCst);
            let link = self.link(directory, name)?;
            let node = self.node_of(directory, &link);
            // Else its key may have been exchanged since its name was looked up, before it was known to be open.
            if self.rotations.load(Ordering::SeqCst) == rotations {
                return Ok(node);
            }
        }
    }

    pub(crate) fn node_of(&self, directory: &Node, link: &Link) -> Node {
        self.open_node((link.child, link.kind, link.home), link.keys.clone(), directory.0.as_of)
    }

    pub(crate) fn create(
        &self,
        log: &mut Log,
        directory: &Node,
        name: &[u8],
        kind: Kind,
        accounts: &[Account],
    ) -> Outcome<Node> {
        need_current(directory)?;
        self.refuse_removed(directory)?;
        match self.link(directory, name) {
            Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(StoreError::Exists),
        }
        let mut known = self.known(directory)?;
        let mut child = Id::default();
        getrandom::fill(&mut child).map_err(no_randomness)?;
        // What is made in the root is a home of its own.
        let home = if directory.0.home == Id::default() { child } else { directory.0.home };
        let keys = NodeKeys::random().map_err(no_randomness)?;
        let mut draft = Draft::new(log.sequence + 1, 1_024);
        let account = innermost(accounts);
        let link = Link { name: name.to_vec(), child, kind, home, keys: keys.clone(), account };
        self.push_link(&mut draft, directory, known.home, &link, account)?;
        let mut new = Self::new_known(kind, home, directory.id());
        self.push_metadata(&mut draft, &child, &mut new, &keys, account)?;
        self.touch_directory(&mut draft, directory, &mut known)?;
        self.admit(log, &mut draft, accounts)?;
        self.write_frame(log, draft)?;
        Ok(self.open_node((child, kind, home), keys, None))
    }

    pub(crate) fn list(&self, directory: &Node, cursor: u64, limit: usize) -> Outcome<Page> {
        need_directory(directory)?;
        let known = self.known(directory)?;
        let limit = if limit == 0 { PAGE_LIMIT } else { limit.min(PAGE_LIMIT) };
        let prefix = key(ENTRY, &[&directory.id()]);
        let from = key(ENTRY, &[&directory.id(), &cursor.to_be_bytes()]);
        let mut found: Vec<([u8; 16], u64, Row)> = Vec::new();
        let mut next = None;
        self.read_index(|index| {
            let mut last: Option<[u8; 16]> = None;
            index.scan(&prefix, &from, |whole, value| {
                let damaged = super::index::row_damaged;
                let (key, sequence) = split(whole).ok_or_else(damaged)?;
                let hash: [u8; 16] = key[17..].try_into().map_err(|_| damaged())?;
                let begin = Take(&hash).array().map_or(0, u64::from_be_bytes);
                // Equal beginnings stay on one page, because the next page begins with one.
                if found.len() >= limit && found.last().is_none_or(|(last, ..)| last[..8] != hash[..8]) {
                    next = Some(begin);
                    return Ok(false);
                }
                if sequence <= directory.shows() && last != Some(hash) {
                    last = Some(hash);
                    let row = Row::decode(value).ok_or_else(damaged)?;
                    if !row.gone {
                        found.push((hash, sequence, row));
                    }
                }
                Ok(true)
            })
        })?;
        let mut entries = Vec::with_capacity(found.len());
        let mut damaged = None;
        for (hash, sequence, row) in found {
            if let Some(why) = self.one_lost(&directory.id(), &hash, sequence) {
                damaged.get_or_insert(why);
                continue;
            }
            let link = match self.open_link(directory, &known, &hash, sequence, &row) {
                Err(StoreError::Damaged(why)) => {
                    damaged.get_or_insert(why);
                    continue;
                }
                link => link?,
            };
            match self.child_known(directory, &link) {
                Ok(known) => entries.push(Entry { name: link.name, metadata: known.public(&link.child) }),
                // Removed meanwhile.
                Err(StoreError::NotFound) => {}
                // One damaged file does not hide the others: it is listed as far as it is known.
                Err(StoreError::Damaged(_)) => {
                    let mut known = Self::new_known(link.kind, link.home, directory.id());
                    known.modified_ns = 0;
                    entries.push(Entry { name: link.name, metadata: known.public(&link.child) });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Page { entries, cursor: next.unwrap_or(u64::MAX), end: next.is_none(), damaged })
    }

    /// The metadata of what an entry leads to, without opening a node for it.
    pub(crate) fn child_known(&self, directory: &Node, link: &Link) -> Outcome<Known> {
        let found = self.known_at(&link.child, directory.shows(), |generation| {
            (generation == link.keys.generation).then(|| link.keys.key.clone())
        });
        match found {
            Err(StoreError::NotFound) if self.has_lost_row(&link.child, link.kind, directory.shows())? => {
                self.known_without_row(&link.child, link.home)
            }
            found => found,
        }
    }
}
