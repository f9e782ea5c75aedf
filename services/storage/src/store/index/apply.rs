//! What an item does to the index. Items that are new come in the order of their sequences. Items that were copied from a
//! segment that was given up come later than newer ones; when the index is built anew the first place of such an item may
//! be gone, and it has to find its place among what is newer. Either way the rows that remain are the same: of each key
//! the newest, and those that a snapshot needs.

use super::super::format::{Id, Item, ItemHead, ItemKind};
use super::content;
use super::kept::{Kept, shown_by};
use super::rows::{self, Place, Row};
use super::table::{IndexError, row_damaged};
use super::transaction::Transaction;

/// Accounts lie in one another at most so deep: those that a badge can name, and the grant's own.
const ACCOUNT_DEPTH_LIMIT: usize = vat::door::ACCOUNTS_LIMIT as usize + 1;

/// Applies the items of one frame that was not applied before, whose payload begins at `begin`.
pub(crate) fn apply(
    index: &mut Transaction<'_>,
    items: &[Item<'_>],
    (segment, begin): (u32, u64),
    frame_sequence: u64,
) -> Result<(), IndexError> {
    note_segment(index, segment)?;
    // Accounts first, because what else is in the frame is charged by them.
    let (first, rest): (Vec<_>, Vec<_>) = items.iter().partition(|item| item.head.kind == ItemKind::Account);
    let untouched = untouched(index, items, frame_sequence)?;
    for item in first.into_iter().chain(rest) {
        let offset = begin.checked_add(item.offset as u64).and_then(|offset| u32::try_from(offset).ok());
        let place = Place::of(item, segment, offset.ok_or_else(row_damaged)?);
        let fresh = item.head.sequence == frame_sequence;
        if fresh {
            // Nothing has this sequence yet.
            let age = if untouched && item.head.kind == ItemKind::Sector { Age::First } else { Age::Newest };
            insert_one(index, &item.head, place, age)?;
        } else {
            apply_one(index, &item.head, place, fresh)?;
        }
    }
    Ok(())
}

/// What is known of an item before its key is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// Nothing of its key is there.
    First,
    /// Nothing newer of its key is there.
    Newest,
    Unknown,
}

/// Whether the new sectors of a frame, as of a file that is being written for the first time, stand where no row is: one look
/// instead of one for each.
fn untouched(index: &Transaction<'_>, items: &[Item<'_>], frame_sequence: u64) -> Result<bool, IndexError> {
    let mut sectors = items
        .iter()
        .map(|item| &item.head)
        .filter(|head| head.kind == ItemKind::Sector && head.sequence == frame_sequence);
    let Some(one) = sectors.next() else { return Ok(false) };
    let first = one.numbers().0;
    let mut last = first;
    for head in sectors {
        // Of two files, or of one sector twice: each is looked up.
        let (number, _) = head.numbers();
        if head.node != one.node || number <= last {
            return Ok(false);
        }
        last = number;
    }
    index.has_none((&rows::sector_key(&one.node, first), &rows::sector_key(&one.node, last)))
}

/// Something of this segment was applied.
pub(crate) fn note_segment(index: &mut Transaction<'_>, number: u32) -> Result<(), IndexError> {
    let known = rows::key(rows::KNOWN, &[&number.to_be_bytes()]);
    if index.get(&known)?.is_none() {
        index.set_absent(known, Some(Vec::new()));
    }
    Ok(())
}

/// What has to be known of everything before the first item can be judged: accounts, homes, snapshots.
pub(crate) fn comes_first(kind: ItemKind) -> bool {
    use ItemKind::*;
    matches!(kind, Root | Account | HomesJoined | Snapshot | SnapshotDropped)
}

/// Applies one item. `fresh`: nothing newer was applied before.
pub(crate) fn apply_one(
    index: &mut Transaction<'_>,
    head: &ItemHead,
    place: Place,
    fresh: bool,
) -> Result<(), IndexError> {
    let key = rows::key_of(head);
    let whole = rows::at(&key, head.sequence);
    if let Some(old) = index.get(&whole)? {
        let old = Row::decode(&old).ok_or_else(row_damaged)?;
        return if old.place == place { Ok(()) } else { relocate(index, &key, whole, &old, &Row::of(head, place)) };
    }
    insert_one(index, head, place, if fresh { Age::Newest } else { Age::Unknown })
}

fn insert_one(index: &mut Transaction<'_>, head: &ItemHead, place: Place, age: Age) -> Result<(), IndexError> {
    let key = rows::key_of(head);
    let row = Row::of(head, place);
    let counts = matches!(head.kind, ItemKind::Metadata | ItemKind::NodeRemoved);
    let before = if counts { index.newest(&key, u64::MAX)? } else { None };
    let newer = if age == Age::Unknown { superseded_at(index, head, &key)? } else { None };
    insert(index, head, &key, &row, (age, newer))?;
    match head.kind {
        ItemKind::Metadata => count_node(index, &head.node, before, &key)?,
        ItemKind::NodeRemoved => {
            count_node(index, &head.node, before, &key)?;
            content::remove_node(index, &head.node, head.sequence)?;
        }
        ItemKind::Hole => content::remove_range(index, head)?,
        ItemKind::HomesJoined => index.retention_mut().join(head.node, head.part, head.sequence),
        ItemKind::Root => index.retention_mut().set_root(head.home),
        ItemKind::Snapshot if newer.is_none() => {
            let (_, shows) = head.numbers();
            index.retention_mut().add(head.home, shows);
        }
        _ => {}
    }
    Ok(())
}

/// The sequence of what came after this item and took its place; nothing if it is the newest.
fn superseded_at(index: &Transaction<'_>, head: &ItemHead, key: &[u8]) -> Result<Option<u64>, IndexError> {
    let own = index.next_newer(key, head.sequence)?.map(|(sequence, _)| sequence);
    let mut all = vec![own];
    if matches!(head.kind, ItemKind::Sector | ItemKind::Hole | ItemKind::Metadata | ItemKind::Orphaned) {
        let node = index.newest(&rows::key(rows::NODE, &[&head.node]), u64::MAX)?;
        all.push(node.filter(|(sequence, row)| row.gone && *sequence > head.sequence).map(|(sequence, _)| sequence));
    }
    if matches!(head.kind, ItemKind::Sector | ItemKind::Hole) {
        let (first, count) = head.numbers();
        let count = if head.kind == ItemKind::Sector { 1 } else { count };
        for (whole, value) in index.all(&rows::key(rows::HOLE, &[&head.node]))? {
            let (_, sequence) = rows::split(&whole).ok_or_else(row_damaged)?;
            let hole = rows::numbers(&Row::decode(&value).ok_or_else(row_damaged)?.extra);
            let covers = hole.0 <= first && first.saturating_add(count) <= hole.0.saturating_add(hole.1);
            all.push((covers && sequence > head.sequence).then_some(sequence));
        }
    }
    Ok(all.into_iter().flatten().min())
}

fn insert(
    index: &mut Transaction<'_>,
    head: &ItemHead,
    key: &[u8],
    row: &Row,
    (age, newer): (Age, Option<u64>),
) -> Result<(), IndexError> {
    let whole = rows::at(key, head.sequence);
    let needed = newer.is_none_or(|until| may_be_kept(key) && index.retention().needs(row.home, head.sequence, until));
    if !needed {
        if let Some(dead) = rows::dead_key(key)
            && !row.gone
        {
            index.add(dead, 1);
        }
        return Ok(());
    }
    if let Some(until) = newer {
        note_kept(index, &row.home, until, &whole)?;
    }
    charge(index, row, 1)?;
    let older = match head.sequence.checked_sub(1) {
        Some(below) if age != Age::First => index.newest(key, below)?,
        _ => None,
    };
    index.set_absent(whole, Some(row.encode()));
    match older {
        Some((sequence, older)) => supersede(index, key, sequence, &older, head.sequence),
        None => Ok(()),
    }
}

fn may_be_kept(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(rows::NODE | rows::ENTRY | rows::SECTOR | rows::HOLE)))
}

/// A row was superseded: it is kept if a snapshot needs it, and dies if none does.
pub(super) fn supersede(
    index: &mut Transaction<'_>,
    key: &[u8],
    sequence: u64,
    row: &Row,
    until: u64,
) -> Result<(), IndexError> {
    let whole = rows::at(key, sequence);
    if key.first() == Some(&rows::SNAPSHOT) && !row.gone {
        index.retention_mut().remove(row.home, shown_by(row));
    }
    if may_be_kept(key) && index.retention().needs(row.home, sequence, until) {
        return note_kept(index, &row.home, until, &whole);
    }
    kill(index, key, whole, row)
}

/// Notes that a row was superseded and is kept. What superseded it first counts, which a rebuilding index may come upon last.
fn note_kept(index: &mut Transaction<'_>, home: &Id, superseded: u64, whole_key: &[u8]) -> Result<(), IndexError> {
    let note = Kept::key(home, whole_key);
    match index.get(&note)? {
        None => index.set_absent(note, Some(Kept::encode(superseded))),
        Some(there) => {
            let there = Kept::decode(&note, &there).ok_or_else(row_damaged)?;
            if superseded < there.superseded {
                index.set(note, Some(Kept::encode(superseded)))?;
            }
        }
    }
    Ok(())
}

/// Nothing uses a row any more.
fn kill(index: &mut Transaction<'_>, key: &[u8], whole: Vec<u8>, row: &Row) -> Result<(), IndexError> {
    charge(index, row, -1)?;
    // It may have been kept for a snapshot that something older is now known to hide it from. Without snapshots all notes are
    // about to go.
    if may_be_kept(key) && !index.retention().is_empty() {
        index.set(Kept::key(&row.home, &whole), None)?;
    }
    index.set(whole, None)?;
    if let Some(dead) = rows::dead_key(key)
        && !row.gone
    {
        index.add(dead, 1);
    }
    Ok(())
}

fn relocate(index: &mut Transaction<'_>, key: &[u8], whole: Vec<u8>, old: &Row, new: &Row) -> Result<(), IndexError> {
    index.add(rows::key(rows::SEGMENT, &[&old.place.segment.to_be_bytes()]), -i64::from(old.place.length));
    index.add(rows::key(rows::SEGMENT, &[&new.place.segment.to_be_bytes()]), i64::from(new.place.length));
    if let Some(dead) = rows::dead_key(key)
        && !new.gone
    {
        index.add(dead, 1);
    }
    index.set(whole, Some(new.encode()))
}

/// Counts a row's bytes for its segment and for every account that they are charged to, or no more.
fn charge(index: &mut Transaction<'_>, row: &Row, sign: i64) -> Result<(), IndexError> {
    let bytes = sign * i64::from(row.place.length);
    index.add(rows::key(rows::SEGMENT, &[&row.place.segment.to_be_bytes()]), bytes);
    let mut account = row.account;
    for _ in 0..ACCOUNT_DEPTH_LIMIT {
        if account == 0 {
            break;
        }
        index.add(rows::key(rows::ACCOUNT, &[&account.to_be_bytes()]), bytes);
        let around = index.newest(&rows::key(rows::PARENT, &[&account.to_be_bytes()]), u64::MAX)?;
        account = around.map_or(0, |(_, row)| rows::numbers(&row.extra).1);
    }
    Ok(())
}

/// Keeps the sum over all versions and the number of nodes.
fn count_node(
    index: &mut Transaction<'_>,
    node: &Id,
    before: Option<(u64, Row)>,
    key: &[u8],
) -> Result<(), IndexError> {
    let there = |found: Option<(u64, Row)>| found.map(|(_, row)| row).filter(|row| !row.gone);
    let (before, after) = (there(before), there(index.newest(key, u64::MAX)?));
    index.exchange_version(node, before.as_ref().map(|row| row.version), after.as_ref().map(|row| row.version));
    for (row, by) in [(before, -1), (after, 1)] {
        if let Some(row) = row {
            index.add(rows::key(rows::COUNT, &[&[u8::from(row.directory)]]), by);
        }
    }
    Ok(())
}

/// Takes away what was kept for a snapshot that is no more; whether it was.
pub(crate) fn release(index: &mut Transaction<'_>, note: &[u8]) -> Result<bool, IndexError> {
    let Some(value) = index.get(note)? else { return Ok(false) };
    let kept = Kept::decode(note, &value).ok_or_else(row_damaged)?;
    let (key, sequence) = rows::split(&kept.whole_key).ok_or_else(row_damaged)?;
    if index.retention().needs(kept.home, sequence, kept.superseded) {
        return Ok(false);
    }
    index.set(note.to_vec(), None)?;
    if let Some(value) = index.get(&kept.whole_key)? {
        let row = Row::decode(&value).ok_or_else(row_damaged)?;
        kill(index, key, kept.whole_key.clone(), &row)?;
    }
    Ok(true)
}

/// A segment goes, and with it the dead items in it: what removed them is needed no more once all of them are gone.
pub(crate) fn drop_segment(
    index: &mut Transaction<'_>,
    number: u32,
    heads: impl Iterator<Item = ItemHead>,
) -> Result<(), IndexError> {
    // What was taken off once is not taken off again.
    let known = rows::key(rows::KNOWN, &[&number.to_be_bytes()]);
    let is_known = index.get(&known)?.is_some();
    index.set(known, None)?;
    for head in heads.filter(|_| is_known) {
        let gone = Row::of(&head, Place::default()).gone;
        if let Some(dead) = rows::dead_key(&rows::key_of(&head))
            && !gone
        {
            index.add(dead.clone(), -1);
            if index.number(&dead)? == 0 {
                settle(index, &dead[1..])?;
            }
        }
    }
    index.set(rows::key(rows::SEGMENT, &[&number.to_be_bytes()]), None)
}

/// Forgets a removal if nothing is left that it removes.
pub(crate) fn settle(index: &mut Transaction<'_>, key: &[u8]) -> Result<(), IndexError> {
    let Some((sequence, row)) = index.newest(key, u64::MAX)? else { return Ok(()) };
    let older = sequence.checked_sub(1).map_or(Ok(None), |below| index.newest(key, below))?;
    let content = match key {
        [rows::NODE, node @ ..] => {
            let mut any = false;
            for letter in [rows::SECTOR, rows::HOLE, rows::ORPHAN] {
                any = any || !index.page(&rows::key(letter, &[node]), &[], 1)?.is_empty();
            }
            any
        }
        _ => false,
    };
    if row.gone && older.is_none() && !content {
        kill(index, key, rows::at(key, sequence), &row)?;
    }
    Ok(())
}
