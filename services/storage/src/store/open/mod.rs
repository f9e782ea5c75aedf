//! Opening a store: what is there is judged, a torn end is cut off, and the index is brought to where the segments are.

mod begin;
mod build;
mod doubt;
mod fit;
mod plan;
mod survey;

use std::collections::BTreeMap;
use std::sync::Arc;

use vat::fault;

use super::commit::note as write_note;
use super::error::{Outcome, StoreError};
use super::files::{Files, StoreFile};
use super::format::{SEGMENT_HEAD_BYTES, SegmentHead, file_name};
use super::index::{Index, IndexError};
use super::keys::{Keys, OwnKeys};
use super::log::{Broken, DIRTY_FILES, Log};
use super::marker;
use super::node::hex;
use super::root::Root;
use super::scan::{Bad, Expected, FoundSegment};
use super::segments::{Segment, move_to_lost};
use super::shared::Options;
use begin::{Beginning, begin};
use build::build;
use fit::{Keep, catch_up, cut, misplaced, outrun};
use plan::Plan;
use survey::{LostEnd, Survey, described, survey};

pub(crate) use build::{Built, rebuild};
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
    /// What was cut off, because it was never made sure of, or nothing says any more that it belongs there.
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
    /// What is to be written down as lost; nothing where that was done.
    pub(crate) losses: Option<Doubt>,
    pub(crate) note: Arc<dyn StoreFile>,
    pub(crate) opened: Opened,
}

/// Opens what is in the folder.
pub(crate) fn open(files: &Arc<dyn Files>, keys: &dyn Keys, options: &Options) -> Outcome<Ready> {
    files.make_folder("segments")?;
    let Beginning { root, own, mut found, note, noted, created, moved } = begin(files.as_ref(), keys)?;
    let files = files.as_ref();
    let by = (&root.store, &own);
    let mut opened = Opened { created, cut_off: moved, ..Opened::default() };
    let trusted = marker::take(files, &options.index, &own)?;
    let index = Index::remove_copy(&options.index).and_then(|()| match trusted {
        true => Index::open(&options.index, &own),
        false => open_unproven(files, options, &own),
    });
    let index = index.and_then(|index| index.need_judged().map(|()| index));
    let mut found_index = FoundIndex::new(index);
    // After a clean close all was on the disk that the index has.
    let noted = match &found_index.fits {
        Some(index) if trusted && !created => noted.max(index.position.sequence),
        _ => noted,
    };
    // What was lost may be there again, and is to be looked for.
    let mut before = Doubt::default();
    found_index.compare(|index| {
        before = Doubt::load(files, index, by)?;
        Ok(None)
    })?;
    let (plan, mut seen) = loop {
        // Anew each time, because what listed the segments may be among what was cut off.
        let plan = Plan::make(files, &found, &own)?;
        found_index.compare(|index| misplaced(files, index, &plan))?;
        let position = found_index.fits.as_ref().map(|index| index.position.segment).filter(|_| before.is_empty());
        let seen = survey(files, &plan, first_to_read(&plan, noted, position), &own, |_, _| Ok(()))?;
        let Some((torn, keep)) = first_torn(&seen, noted) else { break (plan, seen) };
        fault::point("open.cut");
        let cut = cut(files, &mut found, &torn, keep)?;
        if !cut.is_done {
            // Nothing of it is there: it is missing, and not torn.
            break (plan, seen);
        }
        let kept = if cut.kept.is_empty() { String::new() } else { format!("; kept in {}", listed(&cut.kept)) };
        opened.cut_off = Some(described(&torn) + &kept);
    };
    found_index.compare(|index| outrun(index, &plan, !before.is_empty()))?;
    let synced = seen.synced(noted);
    if synced >= seen.end.sequence {
        note_lost_end(&plan, &mut seen, synced, &found_index, trusted)?;
    }
    found_index.compare(|index| {
        Ok(if index.position.sequence >= seen.end.sequence {
            Some("it is newer than the segments".into())
        } else if seen.lost_end.is_some() {
            Some("the end of the segments is missing".into())
        } else if !seen.bad.is_empty() && index.position.sequence + 1 < seen.end.sequence {
            // What it has need not be judged: every item proves itself. What it lacks has to be.
            Some("a segment is damaged, and it is behind".into())
        } else {
            None
        })
    })?;
    found_index.compare(|_| {
        let is_whole = !before.is_empty() && seen.bad.is_empty();
        Ok(is_whole.then(|| "what was lost is there again".into()))
    })?;
    let mut doubt = Doubt::default();
    if let Some(index) = &mut found_index.fits {
        fault::point("open.behind");
        let caught_up = catch_up(files, index, &plan, &own).and_then(|replayed| {
            doubt = Doubt::load(files, index, by)?;
            Ok(replayed)
        });
        match caught_up {
            // An empty one that heard of it only now.
            Ok(_) if before.is_empty() && !doubt.is_empty() && !doubt.is_final && seen.bad.is_empty() => {
                found_index.refuse("what was lost is there again".into());
            }
            Ok(replayed) => opened.replayed_frames = replayed,
            Err(StoreError::Index(why)) => found_index.refuse(why),
            Err(error) => return Err(error),
        }
    }
    drop(found_index.other);
    // What was found out now is to be written down.
    let mut losses = None;
    let mut index = match found_index.fits {
        Some(index) => index,
        None => {
            opened.rebuilt = found_index.why.filter(|_| !created);
            let built = build(files, options, &plan, by, &mut seen, (synced, noted))?;
            losses = (!built.is_written).then(|| built.doubt.clone());
            doubt = built.doubt;
            if built.is_whole && !doubt.is_empty() && !doubt.is_final {
                // What was lost is there again.
                doubt = Doubt::default();
                losses = Some(Doubt::default());
            }
            built.index
        }
    };
    opened.damage.extend(seen.bad.iter().map(described));
    for (node, entry) in doubt.nodes.keys() {
        let what = if *entry == [0; 16] { "node" } else { "an entry of directory" };
        opened.damage.push(format!("{what} {} lost a change", hex(node)));
    }
    opened.damage.extend(doubt.all_until.iter().map(|(_, why)| why.clone()));
    // A rebuilt retention has to be what the rows say.
    index.reload()?;
    let segments = segments_of(&root, &plan, &seen);
    let dirty = maybe_cached(files, &plan, synced)?;
    // The next commit says of this one that it is on the disk, and what it does without is taken away.
    let unsure = seen.last_commit.as_ref().map(|(sequence, _)| *sequence).filter(|sequence| *sequence > noted);
    let broken = unsure.and_then(|sequence| {
        let failed = make_sure(files, &dirty).err();
        if failed.is_none() {
            // Best effort: an older note is true as well.
            let _ = note.write_at(0, &write_note(sequence, &own));
        }
        failed
    });
    let broken = broken.map(|error| Broken::Disk(format!("the disk could not be made sure of: {error}")));
    if broken.is_none() {
        opened.damage.extend(move_strange(files, &plan, &seen)?);
        let tidied = tidy(files, &plan, seen.bad.is_empty())?;
        opened.cut_off = opened.cut_off.into_iter().chain(tidied).reduce(|one, other| format!("{one}; {other}"));
    }
    let log = Log {
        active: segments.keys().last().copied().unwrap_or(0),
        dirty,
        broken,
        missing: plan.missing(),
        ..log_after(seen, Log::begin(root.store, own, options.segment_bytes))
    };
    Ok(Ready { root, log, segments, index, doubt, losses, note, opened })
}

/// Opens an index that no marker vouches for. Somebody may have made its database such that it never ends, or takes all memory: where
/// an opening came to its end only by that of the process, the next one does without it.
fn open_unproven(files: &dyn Files, options: &Options, own: &OwnKeys) -> Result<Index, IndexError> {
    let failed = |error: std::io::Error| IndexError(error.to_string());
    let tried = match files.create(OPENING) {
        Ok(_) => false,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => true,
        Err(error) => return Err(failed(error)),
    };
    files.sync_folder("").map_err(failed)?;
    if tried {
        Index::remove(&options.index)?;
    }
    let index = Index::open(&options.index, own).and_then(|index| index.verified(&options.index));
    files.remove(OPENING).map_err(failed)?;
    index
}

/// Is there while an index is opened that no marker vouches for.
const OPENING: &str = "index.opening";

/// The end is missing, up to what was made sure of. The index may have had it.
fn note_lost_end(plan: &Plan, seen: &mut Survey, synced: u64, found_index: &FoundIndex, trusted: bool) -> Outcome<()> {
    let last = plan.files().next_back();
    let (segment, offset) = last.map_or((0, 0), |segment| (segment.number, segment.length));
    let (first, why) = (seen.end.sequence, "the end is missing");
    let bad = Bad { segment, from: offset, until: offset, first, last: Some(synced), why };
    let known = found_index.fits.as_ref().or(found_index.other.as_ref());
    let known = known.filter(|index| index.position.sequence >= first);
    let known = known.map(|index| LostEnd::read(index, first, trusted, &described(&bad))).transpose()?;
    seen.bad.push(bad.clone());
    seen.lost_end = Some((bad, known));
    Ok(())
}

/// The end of the log, with what the next commit has to name.
fn log_after(seen: Survey, begin: Log) -> Log {
    let lost = seen.bad.iter().filter_map(|bad| bad.last).chain(seen.mixed);
    let lost = lost.filter(|last| *last < seen.end.sequence).max();
    let first_read = seen.first_read();
    let (committed, commits) =
        seen.last_commit.as_ref().map_or((0, 0), |(_, commit)| (commit.sequence, commit.commits));
    let mut log = Log {
        sequence: seen.end.sequence - 1,
        chain: seen.end.chain,
        touched: seen.touched.into_iter().map(|touched| (0, touched)).collect(),
        listed_from: first_read.max(seen.touched_from),
        anchor: seen.anchor,
        committed,
        commits,
        ..begin
    };
    // Of what is lost it cannot say what it changed.
    log.list_from(lost.map_or(0, |last| last + 1));
    log.bound_touched();
    log
}

/// The index that was found, as long as it fits.
struct FoundIndex {
    fits: Option<Index>,
    /// One that does not fit, but may know of frames that are missing.
    other: Option<Index>,
    why: Option<String>,
}

impl FoundIndex {
    fn new(index: Result<Index, IndexError>) -> Self {
        match index {
            Ok(index) => Self { fits: Some(index), other: None, why: None },
            Err(error) => Self { fits: None, other: None, why: Some(error.0) },
        }
    }

    fn refuse(&mut self, why: String) {
        self.other = self.fits.take();
        self.why = Some(why);
    }

    /// Does without it where there is a reason to, or where it cannot even be compared.
    fn compare(&mut self, look: impl FnOnce(&Index) -> Outcome<Option<String>>) -> Outcome<()> {
        let why = match self.fits.as_ref().map(look) {
            Some(Err(StoreError::Index(why))) => Some(why),
            why => why.transpose()?.flatten(),
        };
        why.into_iter().for_each(|why| self.refuse(why));
        Ok(())
    }
}

/// The first segment that has to be read: where the index and what is sure of the disk both begin. All, where there is no index.
fn first_to_read(plan: &Plan, noted: u64, position: Option<u32>) -> u32 {
    let Some(position) = position.filter(|_| noted > 0) else { return 0 };
    let is_sure = |segment: &&FoundSegment| segment.head.as_ref().is_some_and(|head| head.first_sequence <= noted);
    let sure = plan.files().rev().find(is_sure).map_or(0, |segment| segment.number);
    sure.min(position).min(plan.last_listed)
}

/// The first of what is bad after all that is sure: also a segment of which only the name did not come to the disk. It is cut off
/// with all after it. So is what is bad with frames after it but no commit: nothing says that these belong there. What may have been
/// sure once, or has a commit in it, is to be kept for people.
fn first_torn(seen: &Survey, noted: u64) -> Option<(Bad, Keep)> {
    let synced = seen.synced(noted);
    let last_commit = seen.last_commit.as_ref().map_or(0, |(sequence, _)| *sequence);
    let is_unproven = |bad: &Bad| bad.last.is_some_and(|last| last >= last_commit && last + 1 < seen.end.sequence);
    let torn = seen.bad.iter().filter(|bad| bad.first > synced || is_unproven(bad));
    let torn = torn.min_by_key(|bad| (bad.first, bad.segment))?;
    let keep = match torn.first {
        first if first <= synced => Keep::All,
        first if first < last_commit => Keep::IfPossible,
        _ => Keep::Nothing,
    };
    Some((torn.clone(), keep))
}

/// Keeps among what is lost what may be anything. Says what.
fn move_strange(files: &dyn Files, plan: &Plan, seen: &Survey) -> Outcome<Option<String>> {
    let strange: Vec<u32> = plan.strange.iter().chain(&seen.strange).copied().collect();
    let moved = move_to_lost(files, &strange)?;
    let names: Vec<String> = strange.iter().map(|number| file_name(*number)).collect();
    let told = || format!("{}: no segment that follows what is there; moved to {}", listed(&names), listed(&moved));
    Ok((!moved.is_empty()).then(told))
}

/// Takes away what a stop may have left: files of segments that were given up, and beginnings of such as were never sure. Of what may be
/// more than that nothing is thrown away: says what is kept, and where.
fn tidy(files: &dyn Files, plan: &Plan, is_good: bool) -> Outcome<Vec<String>> {
    let (leftover, given_up): (Vec<_>, Vec<_>) =
        plan.given_up.iter().copied().partition(|(_, is_leftover)| *is_leftover && is_good);
    let (begun, torn): (Vec<_>, Vec<_>) =
        plan.torn.iter().partition(|segment| segment.length <= SEGMENT_HEAD_BYTES as u64);
    let removed = leftover.iter().map(|(number, _)| *number).chain(begun.iter().map(|segment| segment.number));
    let removed: Vec<u32> = removed.collect();
    removed.iter().try_for_each(|number| files.remove(&file_name(*number)))?;
    if !removed.is_empty() {
        files.sync_folder("segments")?;
    }
    // Somebody put it there, or the list that does without it is of another time, or more than one list was made before a stop.
    let given_up: Vec<u32> = given_up.into_iter().map(|(number, _)| number).collect();
    let torn: Vec<u32> = torn.into_iter().map(|segment| segment.number).collect();
    let mut told = Vec::new();
    for (numbers, what) in [(given_up, "given up before"), (torn, "follows nothing")] {
        let moved = move_to_lost(files, &numbers)?;
        if !moved.is_empty() {
            let names: Vec<String> = numbers.iter().map(|number| file_name(*number)).collect();
            told.push(format!("{}: {what}; moved to {}", listed(&names), listed(&moved)));
        }
    }
    Ok(told)
}

/// The names of a few of these, and how many more there are.
fn listed(names: &[String]) -> String {
    let few = names.iter().take(FEW).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > FEW { format!("{few} and {} more", names.len() - FEW) } else { few }
}

/// Files that people are told of by name.
const FEW: usize = 10;

/// The segments that there are, with what they begin and end with, as it is to be.
fn segments_of(root: &Root, plan: &Plan, seen: &Survey) -> BTreeMap<u32, Segment> {
    let mut segments = BTreeMap::new();
    let mut next: Option<Expected> = None;
    for planned in plan.segments.iter().rev().filter(|planned| !seen.strange.contains(&planned.number)) {
        let head = planned.file.as_ref().and_then(|file| file.head.as_ref());
        let begin = planned.begin.or_else(|| seen.begin_of(planned.number)).or(head.map(Expected::at_begin_of));
        let begin = begin.unwrap_or_default();
        let end = planned.end.or_else(|| seen.ends.get(&planned.number).copied()).or(next).unwrap_or(begin);
        next = Some(begin);
        if let Some(file) = &planned.file {
            let (store, number) = (root.store, planned.number);
            let head = SegmentHead { store, number, first_sequence: begin.sequence, chain: begin.chain };
            segments.insert(number, Segment { head, length: file.length, end });
        }
    }
    segments
}

/// Brings to the disk what a life that was killed in the midst of a commit may have left in the system's cache only.
fn make_sure(files: &dyn Files, dirty: &BTreeMap<u32, Arc<dyn StoreFile>>) -> std::io::Result<()> {
    dirty.values().try_for_each(|file| file.sync())?;
    files.sync_folder("segments")
}

/// The files of segments of which what the last life wrote may be in the cache only: those with frames after what is sure.
fn maybe_cached(files: &dyn Files, plan: &Plan, synced: u64) -> Outcome<BTreeMap<u32, Arc<dyn StoreFile>>> {
    let sure = |one: &&FoundSegment| one.head.as_ref().is_some_and(|head| head.first_sequence <= synced);
    let first = plan.files().rev().find(sure).map_or(0, |segment| segment.number);
    let mut dirty = BTreeMap::new();
    for segment in plan.files().filter(|segment| segment.number >= first) {
        dirty.insert(segment.number, files.open(&file_name(segment.number))?);
        if dirty.len() > DIRTY_FILES
            && let Some((_, file)) = dirty.pop_first()
        {
            file.sync()?;
        }
    }
    Ok(dirty)
}
