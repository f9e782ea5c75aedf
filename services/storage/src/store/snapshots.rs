//! Snapshots: a directory and everything below it, as it was when a frame was written.

use super::accounts::{Account, innermost};
use super::directory::{need_current, need_directory};
use super::error::{Outcome, StoreError};
use super::format::{Id, ItemHead, ItemKind, Take, part_of};
use super::index::{KEPT, Row, SNAPSHOT, Transaction, key, release, row_damaged, shown_by, split};
use super::keys::NodeKeys;
use super::keys::metadata_key;
use super::log::{Draft, Log};
use super::node::Node;
use super::seal::Sealer;
use super::shared::{Shared, now_ns};

/// As of `storage.capnp`.
pub const SNAPSHOT_LIMIT: usize = 1_000;
/// As of `storage.capnp`.
pub const LABEL_LIMIT_BYTES: usize = 200;
/// As of `storage.capnp`.
pub const SNAPSHOT_PAGE_LIMIT: usize = 100;
/// Rows that are let go of at once, between which others may write: some milliseconds.
const RELEASE_ROWS: usize = 1_000;

/// A snapshot of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows.
    pub id: u64,
    /// For people.
    pub label: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

impl Shared {
    pub(crate) fn snapshot(&self, directory: &Node, label: &str, accounts: &[Account]) -> Outcome<Snapshot> {
        need_directory(directory)?;
        need_current(directory)?;
        if label.len() > LABEL_LIMIT_BYTES {
            return Err(StoreError::TooLarge);
        }
        let snapshot = {
            let mut log = self.lock_log();
            self.refuse_removed(directory)?;
            let known = self.known(directory)?;
            if self.snapshot_rows(&directory.id())?.len() >= SNAPSHOT_LIMIT {
                return Err(StoreError::TooManySnapshots);
            }
            let keys = directory.keys();
            // It shows everything up to the frame before its own; its number is that of its frame.
            let sequence = log.sequence + 1;
            let snapshot =
                Snapshot { id: sequence, label: label.to_owned(), at_ms: now_ns().cast_unsigned() / 1_000_000 };
            let mut draft = Draft::new(sequence, 512);
            let mut head = ItemHead::new(ItemKind::Snapshot, directory.id(), known.home, sequence);
            head = head.with_part(part_of(sequence, log.sequence));
            head.generation = keys.generation;
            head.account = innermost(accounts);
            let plain = [&snapshot.at_ms.to_le_bytes()[..], label.as_bytes()];
            draft.seal(&Sealer::new(self.store_id, &metadata_key(&keys.key)), head, &plain)?;
            self.admit(&log, &mut draft, accounts)?;
            self.write_frame(&mut log, draft)?;
            snapshot
        };
        self.sync()?;
        Ok(snapshot)
    }

    pub(crate) fn snapshot_rows(&self, directory: &Id) -> Outcome<Vec<(u64, u64, Row)>> {
        let mut found = Vec::new();
        self.read_index(|index| {
            index.scan(&key(SNAPSHOT, &[directory]), &[], |whole, value| {
                let (key, sequence) = split(whole).ok_or_else(row_damaged)?;
                let id = Take(&key[17..]).array().map(u64::from_be_bytes).ok_or_else(row_damaged)?;
                let row = Row::decode(value).ok_or_else(row_damaged)?;
                if !row.gone {
                    found.push((id, sequence, row));
                }
                Ok(true)
            })
        })?;
        Ok(found)
    }

    /// A directory with snapshots is not removed, because nothing would lead to them any more.
    pub(crate) fn refuse_snapshots(&self, directory: &Id) -> Outcome<()> {
        if self.snapshot_rows(directory)?.is_empty() { Ok(()) } else { Err(StoreError::NotEmpty) }
    }

    pub(crate) fn snapshots(&self, directory: &Node, before: u64, limit: usize) -> Outcome<Vec<Snapshot>> {
        need_directory(directory)?;
        let limit = if limit == 0 { SNAPSHOT_PAGE_LIMIT } else { limit.min(SNAPSHOT_PAGE_LIMIT) };
        let known = self.known(directory)?;
        let id = directory.id();
        let rows = self.snapshot_rows(&id)?;
        let older = rows.iter().rev().filter(|(number, ..)| before == 0 || *number < before);
        older
            .take(limit)
            .map(|(number, sequence, row)| {
                let is_it =
                    |head: &ItemHead| (head.kind, head.node, head.sequence) == (ItemKind::Snapshot, id, *sequence);
                let (head, mut bytes) = self.item(row.place, is_it)?;
                let damaged = || StoreError::Damaged(format!("the label of snapshot {number} does not open"));
                let key = known.key(&directory.keys(), head.generation).ok_or_else(damaged)?;
                let body = &mut bytes[super::format::ITEM_HEAD_BYTES..];
                let plain = Sealer::new(self.store_id, &metadata_key(&key)).open(&head, body).ok_or_else(damaged)?;
                let mut take = Take(plain);
                let at_ms = take.u64().ok_or_else(damaged)?;
                Ok(Snapshot { id: *number, label: String::from_utf8_lossy(take.0).into_owned(), at_ms })
            })
            .collect()
    }

    fn snapshot_row(&self, directory: &Node, id: u64) -> Outcome<Row> {
        need_directory(directory)?;
        let key = key(SNAPSHOT, &[&directory.id(), &id.to_be_bytes()]);
        let found = self.read_index(|index| index.newest(&key, u64::MAX))?;
        found.map(|(_, row)| row).filter(|row| !row.gone).ok_or(StoreError::UnknownSnapshot)
    }

    pub(crate) fn open_snapshot(&self, directory: &Node, id: u64) -> Outcome<Node> {
        let row = self.snapshot_row(directory, id)?;
        let shows = shown_by(&row);
        let known = self.known(directory)?;
        let keys = directory.keys();
        let (_, then) = self.node_row(&directory.id(), shows)?;
        // The key that it had then, by which the metadata of then opens.
        let (head, _) = self.item(then.place, |head| head.node == directory.id())?;
        let key = known.key(&keys, head.generation);
        let key = key.ok_or_else(|| StoreError::Damaged("the key of a snapshot is missing".into()))?;
        let then = NodeKeys { generation: head.generation, key, names: keys.names };
        Ok(self.open_node((directory.id(), directory.kind(), directory.0.home), then, Some(shows)))
    }

    pub(crate) fn drop_snapshot(&self, directory: &Node, id: u64) -> Outcome<()> {
        need_current(directory)?;
        let home = {
            let mut log = self.lock_log();
            let row = self.snapshot_row(directory, id)?;
            let sequence = log.sequence + 1;
            let mut draft = Draft::new(sequence, 256);
            let head = ItemHead::new(ItemKind::SnapshotDropped, directory.id(), row.home, sequence);
            draft.push(head.with_part(part_of(id, shown_by(&row))), &[])?;
            self.write_frame(&mut log, draft)?;
            row.home
        };
        self.release_kept(home)
    }

    /// Lets go of what no snapshot of a home needs any more.
    pub(crate) fn release_kept(&self, home: Id) -> Outcome<()> {
        let group = self.read_index(|index| Ok(index.retention.group(home)))?;
        match group {
            Some(homes) => homes.into_iter().try_for_each(|home| self.release_below(&key(KEPT, &[&home]))),
            None => self.release_below(&[KEPT]),
        }
    }

    /// The same for all notes whose keys begin so.
    pub(crate) fn release_below(&self, prefix: &[u8]) -> Outcome<()> {
        let mut from = prefix.to_vec();
        loop {
            let _log: std::sync::MutexGuard<'_, Log> = self.lock_log();
            let mut notes = Vec::new();
            self.read_index(|index| {
                index.scan(prefix, &from, |note, _| {
                    notes.push(note.to_vec());
                    Ok(notes.len() < RELEASE_ROWS)
                })
            })?;
            let Some(last) = notes.last() else { return Ok(()) };
            from.clone_from(last);
            from.push(0);
            let ready = self.read_index(|index| {
                let mut changes = Transaction::new(index);
                for note in &notes {
                    release(&mut changes, note)?;
                }
                changes.ready()
            })?;
            self.commit_index(ready)?;
        }
    }
}
