//! Opening a store: what is there is judged, a torn end is cut off, and the index is brought to where the segments are.

mod build;
mod doubt;
mod fit;
mod survey;

use std::collections::BTreeMap;
use std::sync::Arc;

use vat::fault;

use super::commit::{SYNCED, read_note};
use super::error::{Outcome, StoreError};
use super::files::{Files, StoreFile};
use super::format::{Hash, SEGMENT_HEAD_BYTES, file_name};
use super::index::Index;
use super::keys::Keys;
use super::log::{Broken, DIRTY_FILES, Log};
use super::marker;
use super::node::hex;
use super::root::Root;
use super::scan::{Bad, FoundSegment, find_segments};
use super::segments::{LOST, Segment, move_to_lost, read};
use super::shared::Options;
use build::{build, missing_segments};
use fit::{catch_up, cut, misplaced, outrun};
use survey::{LostEnd, Survey, described, survey};

pub(crate) use build::rebuild;
pub(crate) use doubt::Doubt;

/// What was found when a store was opened, for people.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// There was no store.
    pub created: bool,
    /// Why the index was built anew.
    pub rebuilt: Option<String>,
    /// Frames that the index did not have yet.
    pub replayed_frames: u64,
    /// What was cut off, because it had never been made sure of.
    pub cut_off: Option<String>,
    /// What was lost or changed, and what that means.
    pub damage: Vec<String>,
}

/// What an opened store begins with.
pub(crate) struct Ready {
    pub(crate) root: Root,
    pub(crate) log: Log,
    pub(crate) segments: BTreeMap<u32, Segment>,
    pub(crate) index: Index,
    pub(crate) doubt: Doubt,
    pub(crate) note: Arc<dyn StoreFile>,
    pub(crate) opened: Opened,
}

/// Opens what is in the folder.
pub(crate) fn open(files: &Arc<dyn Files>, keys: &dyn Keys, options: &Options) -> Outcome<Ready> {
    files.make_folder("segments")?;
    let note = match files.open(SYNCED) {
        Ok(note) => note,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let note = files.create(SYNCED)?;
            files.sync_folder("")?;
            note
        }
        Err(error) => return Err(error.into()),
    };
    let mut bytes = [0; 16];
    let got = read(note.as_ref(), 0, &mut bytes)?;
    let noted = read_note(&bytes[..got]);
    let mut found = find_segments(files.as_ref())?;
    let mut opened = Opened::default();
    let root = open_root(files.as_ref(), keys, &found, noted)?;
    for segment in &mut found {
        segment.head.take_if(|head| head.store != root.store);
    }
    if found.iter().all(|segment| segment.head.is_none()) {
        if noted > 0 {
            return Err(all_gone());
        }
        opened.created = true;
        opened.cut_off = give_up(files.as_ref(), &mut found)?;
    }
    let own = root.own_keys();
    let by = (&root.store, &own);
    let trusted = marker::take(files.as_ref(), &options.index, &own)?;
    let (mut index, mut why) = match Index::open(&options.index, &own) {
        Ok(index) => match if trusted { Ok(()) } else { index.verify() } {
            Ok(()) => (Some(index), None),
            Err(error) => (None, Some(error.0)),
        },
        Err(error) => (None, Some(error.0)),
    };
    // After a clean close all was on the disk that the index has.
    let noted =
        index.as_ref().filter(|_| trusted && !opened.created).map_or(noted, |index| noted.max(index.position.sequence));
    // It may know of frames that are missing.
    let mut further = None;
    if let Some(there) = &index
        && let Some(error) = misplaced(files.as_ref(), there, &found)?
    {
        (further, index, why) = (index, None, Some(error));
    }
    if let Some(there) = &index
        && let Some(error) = outrun(there, &found)?
    {
        (index, why) = (None, Some(error));
    }
    let doubtless = index.is_some();
    let position = index.as_ref().map(|index| index.position.clone()).unwrap_or_default();
    // Where the index and what is sure of the disk both begin.
    let sure = found.iter().rev().find(|one| one.head.as_ref().is_some_and(|head| head.first_sequence <= noted));
    let sure = sure.map_or(0, |segment| segment.number);
    let from = if noted == 0 || !doubtless { 0 } else { sure.min(position.segment) };
    let (mut seen, mut ends, mut end) = survey(files.as_ref(), &found, from, by, Vec::new(), |_, _| Ok(()))?;
    let synced = seen.synced(noted);
    // What is bad and was never made sure of is a torn end.
    let torn = first_torn(&seen, missing_segments(files.as_ref(), &mut found, &seen, false)?, synced);
    if let Some(torn) = torn {
        opened.cut_off = Some(described(&torn));
        fault::point("open.cut");
        cut(files.as_ref(), &mut found, &torn)?;
        (seen, ends, end) = survey(files.as_ref(), &found, from, by, Vec::new(), |_, _| Ok(()))?;
    }
    if synced >= end.sequence {
        let segment = found.last().map_or(0, |segment| segment.number);
        let (first, last, why) = (end.sequence, Some(synced), "the end is missing");
        let offset = found.last().map_or(0, |segment| segment.length);
        let bad = Bad { segment, from: offset, until: offset, first, last, why };
        if let Some(there) = index.as_ref().or(further.as_ref())
            && there.position.sequence >= first
        {
            seen.lost_end = Some(LostEnd::read(there, first, &described(&bad))?);
        }
        seen.bad.push(bad);
    }
    drop(further);
    if let Some(there) = &index {
        if there.position.sequence >= end.sequence {
            (index, why) = (None, Some("it is newer than the segments".into()));
        } else if !seen.bad.is_empty() && there.position.sequence + 1 < end.sequence {
            // What it has need not be judged: every item proves itself. What it lacks has to be.
            (index, why) = (None, Some("a segment is damaged, and it is behind".into()));
        }
    }
    let mut doubt = Doubt::default();
    let mut index = match index {
        Some(mut index) => {
            fault::point("open.behind");
            opened.replayed_frames = catch_up(files.as_ref(), &mut index, &found, by)?;
            doubt = Doubt::load(&index)?;
            index
        }
        None => {
            if !opened.created {
                opened.rebuilt = why;
            }
            let built = build(files.as_ref(), options, &mut found, by, &mut seen, (synced, noted), true)?;
            (doubt.nodes, doubt.all_until) = (built.1.nodes, built.1.all_until);
            end = built.2;
            ends = built.3;
            built.0
        }
    };
    opened.damage.extend(seen.bad.iter().map(described));
    opened.damage.append(&mut seen.damage);
    for (node, entry) in doubt.nodes.keys() {
        let what = if *entry == [0; 16] { "node" } else { "an entry of directory" };
        opened.damage.push(format!("{what} {} lost a change", hex(node)));
    }
    opened.damage.extend(doubt.all_until.iter().map(|(_, why)| why.clone()));
    // A rebuilt retention has to be what the rows say.
    index.reload()?;
    let mut segments = BTreeMap::new();
    for one in &found {
        // One whose head is damaged keeps its place, so that what is in it can be read.
        let head = one.head.clone().unwrap_or(super::format::SegmentHead {
            store: root.store,
            number: one.number,
            first_sequence: 0,
            chain: [0; 32],
        });
        let chain = ends.get(&one.number).copied().unwrap_or_default();
        segments.insert(one.number, Segment { head, length: one.length, chain });
    }
    // Ends of segments that were not read now are the starts of the next.
    let starts: Vec<(u32, Hash)> = segments.iter().map(|(number, segment)| (*number, segment.head.chain)).collect();
    for pair in starts.windows(2) {
        if pair[0].0 + 1 == pair[1].0
            && !ends.contains_key(&pair[0].0)
            && let Some(segment) = segments.get_mut(&pair[0].0)
        {
            segment.chain = pair[1].1;
        }
    }
    let listed_from = found.iter().find(|segment| segment.number >= from);
    let listed_from = listed_from.and_then(|segment| segment.head.as_ref()).map_or(1, |head| head.first_sequence);
    let dirty = maybe_cached(files.as_ref(), &found, synced)?;
    // The next commit says of this one that it is on the disk.
    let unsure = seen.last_commit.as_ref().is_some_and(|(sequence, _)| *sequence > noted);
    let broken = unsure.then(|| make_sure(files.as_ref(), &dirty).err()).flatten();
    let broken = broken.map(|error| Broken::Disk(format!("the disk could not be made sure of: {error}")));
    let commits = seen.last_commit.as_ref().map_or(0, |(_, commit)| commit.commits);
    let committed = seen.last_commit.as_ref().map_or(0, |(_, commit)| commit.sequence);
    let mut log = Log {
        store: root.store,
        keys: own,
        segment_bytes: options.segment_bytes,
        active: segments.keys().last().copied().unwrap_or(0),
        sequence: end.sequence - 1,
        chain: end.chain,
        touched: seen.touched.into_iter().map(|touched| (0, touched)).collect(),
        listed_from: listed_from.max(seen.touched_from),
        summarised: 0,
        root_repeated_at: None,
        spare: Vec::new(),
        written: 0,
        committed,
        dirty,
        folder_dirty: true,
        list_dirty: true,
        commits,
        broken,
    };
    log.bound_touched();
    Ok(Ready { root, log, segments, index, doubt, note, opened })
}

fn all_gone() -> StoreError {
    StoreError::Damaged(
        "no segment with a whole head is there, and there were some. Put them back; to begin with an empty store, stop the \
         node and move the store's folder away"
            .into(),
    )
}

/// What the store is opened with. A new one, where there is no store.
fn open_root(files: &dyn Files, keys: &dyn Keys, found: &[FoundSegment], noted: u64) -> Outcome<Root> {
    if let Some(root) = Root::kept(files, keys)? {
        return Ok(root);
    }
    // The store's id is what the first segment says whose head is whole.
    let store = found.iter().find_map(|segment| segment.head.as_ref()).map(|head| head.store);
    if let Some(store) = store
        && let Some(root) = Root::search(files, keys, found, &store)?
    {
        return Ok(root);
    }
    let is_empty = found.iter().all(|segment| segment.length <= SEGMENT_HEAD_BYTES as u64);
    match store {
        None if noted > 0 => Err(all_gone()),
        Some(_) if noted > 0 || !is_empty => Err(StoreError::Damaged(
            "no key of its root opens with the node's keys. Restore the backup of the keys that it was made with"
                .into(),
        )),
        _ => Root::make(files, keys),
    }
}

/// Nothing was ever made sure of, and no segment has a head that can be read: a store begins anew. What may be more than the torn
/// beginning of one is kept for people to look at; says what.
fn give_up(files: &dyn Files, found: &mut Vec<FoundSegment>) -> Outcome<Option<String>> {
    let mut kept = Vec::new();
    for segment in found.drain(..) {
        let name = file_name(segment.number);
        if segment.length <= SEGMENT_HEAD_BYTES as u64 {
            files.remove(&name)?;
        } else {
            move_to_lost(files, segment.number)?;
            kept.push(name);
        }
    }
    let told = || {
        format!(
            "nothing of {} could be read: moved to the folder {LOST}, and an empty store was begun",
            kept.join(", ")
        )
    };
    Ok((!kept.is_empty()).then(told))
}

/// The first of what is bad after all that is sure: also a segment of which only the name did not come to the disk, whether a
/// commit names it or another that came there follows it.
fn first_torn(seen: &Survey, missing: Vec<Bad>, synced: u64) -> Option<Bad> {
    let all = seen.bad.iter().chain(&seen.gaps).cloned().chain(missing);
    all.filter(|bad| bad.first > synced).min_by_key(|bad| (bad.first, bad.segment))
}

/// Brings to the disk what a life that was killed in the midst of a commit may have left in the system's cache only.
fn make_sure(files: &dyn Files, dirty: &BTreeMap<u32, Arc<dyn StoreFile>>) -> std::io::Result<()> {
    dirty.values().try_for_each(|file| file.sync())?;
    files.sync_folder("segments")
}

/// The files of segments of which what the last life wrote may be in the cache only: those with frames after what is sure.
fn maybe_cached(files: &dyn Files, found: &[FoundSegment], synced: u64) -> Outcome<BTreeMap<u32, Arc<dyn StoreFile>>> {
    let sure = |one: &&FoundSegment| one.head.as_ref().is_some_and(|head| head.first_sequence <= synced);
    let first = found.iter().rev().find(sure).map_or(0, |segment| segment.number);
    let mut dirty = BTreeMap::new();
    for segment in found.iter().filter(|segment| segment.number >= first) {
        dirty.insert(segment.number, files.open(&file_name(segment.number))?);
        if dirty.len() > DIRTY_FILES
            && let Some((_, file)) = dirty.pop_first()
        {
            file.sync()?;
        }
    }
    Ok(dirty)
}
