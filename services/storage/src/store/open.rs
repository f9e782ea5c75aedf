//! Opening a store: what is there is judged, a torn end is cut off, and the index is brought to where the segments are.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vat::fault;

use super::commit::{Commit, Listed, SYNCED, read_note};
use super::error::{Outcome, StoreError};
use super::files::{Files, StoreFile};
use super::format::{FRAME_HEAD_BYTES, FrameHead, Hash, Id, ItemKind, SEGMENT_HEAD_BYTES, Take, file_name, items};
use super::index::{self, DAMAGED, Index, IndexError, Transaction, apply, apply_one, comes_first};
use super::log::{Log, Segment, Touched, read, touched_by};
use super::marker;
use super::node::hex;
use super::scan::{Bad, Expected, FoundFrame, FoundSegment, find_segments, scan};
use super::shared::Options;

/// Rows that are gathered before they are written while the index is built: about 4 MB.
const GATHERED_ROWS: usize = 20_000;

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

/// What cannot be trusted any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubt {
    /// Nodes, and entries of directories by the hashes of their names; zeros: the node itself.
    pub(crate) nodes: HashMap<(Id, [u8; 16]), String>,
    /// Nodes that were not written since this frame, because nobody can say which of them were.
    pub(crate) all_until: Option<(u64, String)>,
}

impl Doubt {
    /// Why a node, whose metadata was written then, is not to be trusted.
    pub(crate) fn about(&self, node: &Id, written_at: u64) -> Option<String> {
        let all = self.all_until.as_ref().filter(|(until, _)| written_at <= *until).map(|(_, why)| why);
        self.nodes.get(&(*node, [0; 16])).or(all).cloned()
    }

    /// Why an entry is not to be trusted.
    pub(crate) fn about_entry(&self, directory: &Id, hash: &[u8; 16], written_at: u64) -> Option<String> {
        let all = self.all_until.as_ref().filter(|(until, _)| written_at <= *until).map(|(_, why)| why);
        self.nodes.get(&(*directory, *hash)).or(all).cloned()
    }

    pub(crate) fn load(index: &Index) -> Result<Self, IndexError> {
        let mut doubt = Self::default();
        index.scan(&[DAMAGED], &[], |key, value| {
            let mut take = Take(&key[1..]);
            let (id, entry) = take.array().zip(take.array()).ok_or_else(index::row_damaged)?;
            let mut take = Take(value);
            let until = take.u64().ok_or_else(index::row_damaged)?;
            let why = String::from_utf8_lossy(take.0).into_owned();
            if id == Id::default() && entry == [0; 16] {
                doubt.all_until = Some((until, why));
            } else {
                doubt.nodes.insert((id, entry), why);
            }
            Ok(true)
        })?;
        Ok(doubt)
    }

    fn write(&self, changes: &mut Transaction<'_>) -> Result<(), IndexError> {
        let row = |until: u64, why: &str| [&until.to_le_bytes()[..], why.as_bytes()].concat();
        for ((node, entry), why) in &self.nodes {
            changes.set(index::key(DAMAGED, &[node, entry]), Some(row(0, why)))?;
        }
        if let Some((until, why)) = &self.all_until {
            changes.set(index::key(DAMAGED, &[&Id::default(), &[0; 16]]), Some(row(*until, why)))?;
        }
        Ok(())
    }
}

/// What an opened store begins with.
pub(crate) struct Ready {
    pub(crate) store_id: Id,
    pub(crate) log: Log,
    pub(crate) segments: BTreeMap<u32, Segment>,
    pub(crate) index: Index,
    pub(crate) doubt: Doubt,
    pub(crate) note: Arc<dyn StoreFile>,
    pub(crate) opened: Opened,
}

/// A change that was lost.
struct Hit {
    /// The last frame with such a change.
    sequence: u64,
    why: String,
}

/// What reading the segments showed.
#[derive(Default)]
struct Survey {
    bad: Vec<Bad>,
    /// The frames of commits.
    commits: VecDeque<u64>,
    last_commit: Option<(u64, Commit)>,
    /// The last that named the segments.
    listed: Option<Vec<Listed>>,
    /// What bad frames changed.
    hit: HashMap<(Id, [u8; 16]), Hit>,
    /// The versions that the nodes in `hit` should have.
    versions: HashMap<Id, u64>,
    /// Frames of which commits that are whole say what they changed.
    named: Vec<(u64, u64)>,
    /// What the next commit has to name.
    touched: Vec<Touched>,
    damage: Vec<String>,
    frames: u64,
}

impl Survey {
    fn frame(&mut self, store: &Id, frame: &FoundFrame<'_>) -> Outcome<()> {
        self.frames += 1;
        let Some(found) = items(frame.payload) else { return Ok(()) };
        self.touched.extend(touched_by(&found, frame.head.sequence));
        for item in found {
            let sequence = frame.head.sequence;
            match item.head.kind {
                ItemKind::Commit if item.head.sequence == sequence => {
                    let Some(commit) = Commit::decode(item.body) else { continue };
                    if !commit.is_signed(store) {
                        let what = format!("the signature of the commit in frame {sequence} is not its key's");
                        self.damage.push(what);
                        continue;
                    }
                    self.named.push((commit.listed_from, commit.sequence));
                    self.note_hits(&commit);
                    self.commits.push_back(sequence);
                    if commit.segments.is_some() {
                        self.listed.clone_from(&commit.segments);
                    }
                    self.last_commit = Some((sequence, commit));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a commit says of frames that are bad.
    fn note_hits(&mut self, commit: &Commit) {
        for touched in &commit.touched {
            let bad = self.bad.iter().find(|bad| is_in(touched.sequence, bad));
            let key = (touched.node, touched.entry);
            if let Some(bad) = bad {
                let why = described(bad);
                let hit = self.hit.entry(key).or_insert(Hit { sequence: 0, why });
                hit.sequence = hit.sequence.max(touched.sequence);
            }
            if touched.version > 0 && (bad.is_some() || self.versions.contains_key(&touched.node)) {
                let version = self.versions.entry(touched.node).or_default();
                *version = touched.version.max(*version);
            }
        }
    }

    /// The last frame of which is sure that it was on the disk: by the note, and because a commit is begun only when the
    /// one before is on the disk.
    fn synced(&self, note: u64) -> u64 {
        note.max(self.commits.iter().rev().nth(1).copied().unwrap_or(0))
    }
}

fn is_in(sequence: u64, bad: &Bad) -> bool {
    sequence >= bad.first && bad.last.is_none_or(|last| sequence <= last)
}

fn described(bad: &Bad) -> String {
    let frames = match bad.last {
        Some(last) if last == bad.first => format!("frame {last}"),
        Some(last) => format!("frames {} to {last}", bad.first),
        None => format!("frame {} and those after it", bad.first),
    };
    format!("segment {} at {} to {} ({frames}): {}", bad.segment, bad.from, bad.until, bad.why)
}

/// Reads segments from one on.
fn survey(
    found: &[FoundSegment],
    from: u32,
    start: Option<Expected>,
    store: &Id,
    known_bad: Vec<Bad>,
    mut each: impl FnMut(&FoundSegment, &FoundFrame<'_>) -> Outcome<()>,
) -> Outcome<(Survey, BTreeMap<u32, Hash>, Expected)> {
    let mut survey = Survey { bad: known_bad, ..Survey::default() };
    let mut ends = BTreeMap::new();
    let mut expected = start;
    let mut before: Option<u32> = None;
    for segment in found.iter().filter(|segment| segment.number >= from) {
        let claimed = segment.head.as_ref().map(|head| Expected { sequence: head.first_sequence, chain: head.chain });
        let begin = match (expected, claimed) {
            (Some(expected), Some(claimed)) if expected != claimed => {
                let follows = before.is_some_and(|before| before + 1 == segment.number);
                if follows || claimed.sequence <= expected.sequence {
                    survey.bad.push(Bad {
                        segment: before.unwrap_or(segment.number),
                        from: 0,
                        until: 0,
                        first: expected.sequence.min(claimed.sequence),
                        last: Some(claimed.sequence.saturating_sub(1)),
                        why: "the next segment does not begin where this one ends",
                    });
                }
                claimed
            }
            (_, Some(claimed)) => claimed,
            (expected, None) => {
                let unknown = Expected { sequence: 1, chain: [0; 32] };
                let expected = expected.unwrap_or(unknown);
                survey.bad.push(Bad {
                    segment: segment.number,
                    from: 0,
                    until: SEGMENT_HEAD_BYTES as u64,
                    // No frame is lost by it.
                    first: expected.sequence,
                    last: Some(expected.sequence.saturating_sub(1)),
                    why: "its head is damaged",
                });
                expected
            }
        };
        let mut bad = Vec::new();
        let after = scan(segment, SEGMENT_HEAD_BYTES as u64, begin, &mut bad, |frame| {
            survey.frame(store, &frame)?;
            each(segment, &frame)
        })?;
        if !bad.is_empty() {
            survey.bad.append(&mut bad);
            // What is bad has to be known when the commit that names it is read: that may have been here.
            scan(segment, SEGMENT_HEAD_BYTES as u64, begin, &mut Vec::new(), |frame| {
                for item in items(frame.payload).into_iter().flatten() {
                    if item.head.kind == ItemKind::Commit
                        && let Some(commit) = Commit::decode(item.body).filter(|commit| commit.is_signed(store))
                    {
                        survey.note_hits(&commit);
                    }
                }
                Ok(())
            })?;
        }
        ends.insert(segment.number, after.chain);
        expected = Some(after);
        before = Some(segment.number);
    }
    let end = expected.unwrap_or(Expected { sequence: 1, chain: [0; 32] });
    Ok((survey, ends, end))
}

/// Opens what is in the folder.
pub(crate) fn open(files: &Arc<dyn Files>, options: &Options) -> Outcome<Ready> {
    files.make_folder("segments")?;
    let note = match files.open(SYNCED) {
        Ok(note) => note,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => files.create(SYNCED)?,
        Err(error) => return Err(error.into()),
    };
    let mut bytes = [0; 16];
    let got = read(note.as_ref(), 0, &mut bytes)?;
    let noted = read_note(&bytes[..got]);
    let mut found = find_segments(files.as_ref())?;
    let mut opened = Opened::default();
    // The store's id is what most segments say.
    let store_id = match found.iter().find_map(|segment| segment.head.as_ref()) {
        Some(head) => head.store,
        None if noted > 0 => return Err(StoreError::Damaged("all segments are gone".into())),
        None => {
            opened.created = true;
            for segment in found.drain(..) {
                files.remove(&file_name(segment.number))?;
            }
            let mut id = Id::default();
            getrandom::fill(&mut id).map_err(super::seal::no_randomness)?;
            id
        }
    };
    for segment in &mut found {
        if segment.head.as_ref().is_some_and(|head| head.store != store_id) {
            segment.head = None;
        }
    }
    let trusted = marker::take(files.as_ref(), &options.index)?;
    let (mut index, mut why) = match Index::open(&options.index) {
        Ok(index) => match if trusted { Ok(()) } else { index.verify() } {
            Ok(()) => (Some(index), None),
            Err(error) => (None, Some(error.0)),
        },
        Err(error) => (None, Some(error.0)),
    };
    if let Some(there) = &index
        && let Some(error) = misplaced(there, &found)?
    {
        (index, why) = (None, Some(error));
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
    let (mut seen, mut ends, mut end) = survey(&found, from, None, &store_id, Vec::new(), |_, _| Ok(()))?;
    let synced = seen.synced(noted);
    // What is bad and was never made sure of is a torn end.
    let torn = seen.bad.iter().find(|bad| bad.first > synced).cloned();
    if let Some(torn) = torn {
        opened.cut_off = Some(described(&torn));
        fault::point("open.cut");
        cut(files.as_ref(), &mut found, &torn)?;
        (seen, ends, end) = survey(&found, from, None, &store_id, Vec::new(), |_, _| Ok(()))?;
    }
    if synced >= end.sequence {
        let segment = found.last().map_or(0, |segment| segment.number);
        let (first, last, why) = (end.sequence, Some(synced), "the end is missing");
        let offset = found.last().map_or(0, |segment| segment.length);
        seen.bad.push(Bad { segment, from: offset, until: offset, first, last, why });
    }
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
            opened.replayed_frames = catch_up(&mut index, &found, &store_id)?;
            doubt = Doubt::load(&index)?;
            index
        }
        None => {
            if !opened.created {
                opened.rebuilt = why;
            }
            let built = build(files, options, &mut found, &store_id, &mut seen, (synced, noted), true)?;
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
            store: store_id,
            number: one.number,
            first_sequence: 0,
            chain: [0; 32],
        });
        let chain = ends.get(&one.number).copied().unwrap_or_default();
        segments.insert(one.number, Segment { file: one.file.clone(), head, length: one.length, chain });
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
    let commits = seen.last_commit.as_ref().map_or(0, |(_, commit)| commit.commits);
    let committed = seen.last_commit.as_ref().map_or(0, |(_, commit)| commit.sequence);
    let log = Log {
        store: store_id,
        segment_bytes: options.segment_bytes,
        active: segments.keys().last().copied().unwrap_or(0),
        sequence: end.sequence - 1,
        chain: end.chain,
        touched: seen.touched.into_iter().map(|touched| (0, touched)).collect(),
        listed_from,
        summarised: 0,
        written: 0,
        committed,
        // What the last life wrote may be in the cache only.
        dirty: segments.keys().copied().filter(|number| *number >= from).collect(),
        folder_dirty: true,
        list_dirty: true,
        commits,
        broken: None,
    };
    Ok(Ready { store_id, log, segments, index, doubt, note, opened })
}

/// Why the index does not belong to these segments.
fn misplaced(index: &Index, found: &[FoundSegment]) -> Outcome<Option<String>> {
    let position = &index.position;
    if position.sequence == 0 {
        let empty = position.rows == 0;
        return Ok((!empty).then(|| "it begins nowhere".to_owned()));
    }
    let Some(segment) = found.iter().find(|segment| segment.number == position.segment) else {
        return Ok(Some("it ends in a segment that is not there".into()));
    };
    let mut bytes = [0; FRAME_HEAD_BYTES];
    let got = read(segment.file.as_ref(), position.offset, &mut bytes)?;
    let fits = FrameHead::decode(&bytes[..got])
        .is_some_and(|(head, chain)| head.sequence == position.sequence && chain == position.chain);
    Ok((!fits).then(|| "it ends in a frame that is not there".to_owned()))
}

/// Why an index that is behind cannot be caught up: of what was given up since, nothing tells it.
fn outrun(index: &Index, found: &[FoundSegment]) -> Outcome<Option<String>> {
    let position = &index.position;
    let end = found.last().map_or(0, |segment| segment.number);
    let whole = (position.segment.max(1)..=end).all(|number| found.iter().any(|segment| segment.number == number));
    let mut all_there = true;
    index.scan(&[index::KNOWN], &[], |key, _| {
        let number = Take(&key[1..]).array().map(u32::from_be_bytes);
        all_there = all_there && found.iter().any(|segment| Some(segment.number) == number);
        Ok(true)
    })?;
    Ok((!whole || !all_there).then(|| "segments were given up that it did not hear of".to_owned()))
}

/// Cuts off everything from a place on.
fn cut(files: &dyn Files, found: &mut Vec<FoundSegment>, torn: &Bad) -> Outcome<()> {
    let keep_bytes = if torn.from < SEGMENT_HEAD_BYTES as u64 { 0 } else { torn.from };
    let mut gone = Vec::new();
    for segment in found.iter_mut() {
        if segment.number == torn.segment && torn.until > 0 && keep_bytes > 0 {
            segment.file.set_length(keep_bytes)?;
            segment.file.sync()?;
            segment.length = keep_bytes;
        } else if segment.number > torn.segment || (segment.number == torn.segment && torn.until > 0) {
            gone.push(segment.number);
        }
    }
    // From the end, so that what is left after a failure is still a beginning.
    for number in gone.iter().rev() {
        files.remove(&file_name(*number))?;
    }
    found.retain(|segment| !gone.contains(&segment.number));
    Ok(files.sync_folder("segments")?)
}

/// Applies the frames that the index does not have.
fn catch_up(index: &mut Index, found: &[FoundSegment], store: &Id) -> Outcome<u64> {
    let (from, last) = (index.position.segment, index.position.sequence);
    let mut replayed = 0;
    survey(found, from, None, store, Vec::new(), |segment, frame| {
        if frame.head.sequence <= last {
            return Ok(());
        }
        replayed += 1;
        let mut changes = Transaction::new(index);
        apply_frame(&mut changes, segment, frame)?;
        changes.move_to((segment.number, frame.offset), frame.head.sequence, frame.chain);
        let ready = changes.ready()?;
        Ok(index.commit(ready)?)
    })?;
    Ok(replayed)
}

fn apply_frame(
    changes: &mut Transaction<'_>,
    segment: &FoundSegment,
    frame: &FoundFrame<'_>,
) -> Result<(), IndexError> {
    let found = items(frame.payload).ok_or_else(|| IndexError("a frame does not consist of items".into()))?;
    let begin = frame.offset + FRAME_HEAD_BYTES as u64;
    apply(changes, &found, (segment.number, begin), frame.head.sequence)
}

type Built = (Index, Doubt, Expected, BTreeMap<u32, Hash>);

/// Builds the index anew.
fn build(
    files: &Arc<dyn Files>,
    options: &Options,
    found: &mut Vec<FoundSegment>,
    store: &Id,
    seen: &mut Survey,
    sure: (u64, u64),
    tidy: bool,
) -> Outcome<Built> {
    let wiped = catch_unwind(AssertUnwindSafe(|| match std::fs::remove_dir_all(&options.index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }));
    wiped.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))?;
    let mut index = Index::open(&options.index)?;
    let mut extra_bad = missing_segments(files.as_ref(), found, seen, tidy)?;
    // First what everything else is judged by.
    let _ = survey(found, 0, None, store, Vec::new(), |segment, frame| {
        let first: Vec<_> =
            items(frame.payload).into_iter().flatten().filter(|item| comes_first(item.head.kind)).collect();
        if first.is_empty() {
            return Ok(());
        }
        let mut changes = Transaction::new(&index);
        for item in first {
            let begin = frame.offset + FRAME_HEAD_BYTES as u64;
            apply(&mut changes, &[item], (segment.number, begin), 0)?;
        }
        let ready = changes.ready()?;
        Ok(index.commit(ready)?)
    })?;
    fault::point("open.half_built");
    let mut versions = None;
    let last_commit = seen.last_commit.as_ref().map(|(sequence, _)| *sequence);
    // What the reading itself does not show has to be known before the commits are read that name it.
    extra_bad.extend(seen.bad.iter().filter(|bad| bad.from == bad.until).cloned());
    let mut gathered = Gathered::default();
    let (again, ends, end) = survey(found, 0, None, store, extra_bad, |segment, frame| {
        if Some(frame.head.sequence) == last_commit {
            gathered.flush(&mut index)?;
            versions = Some(index.position.versions);
        }
        gathered.add(segment.number, frame);
        if gathered.rows >= GATHERED_ROWS {
            gathered.flush(&mut index)?;
        }
        Ok(())
    })?;
    gathered.flush(&mut index)?;
    let (last_commit, listed) = (seen.last_commit.take(), seen.listed.take());
    *seen = Survey { last_commit, listed, ..again };
    let mut once = Vec::new();
    for bad in std::mem::take(&mut seen.bad) {
        if !once.contains(&bad) {
            once.push(bad);
        }
    }
    seen.bad = once;
    settle_all(&mut index)?;
    let doubt = judge(&mut index, seen, versions, sure)?;
    Ok((index, doubt, end, ends))
}

/// Builds the index anew while the store is in use.
pub(crate) fn rebuild(segments: &super::log::Segments, options: &Options, log: &Log) -> Outcome<(Index, Doubt)> {
    let mut found: Vec<FoundSegment> = segments
        .all()
        .into_iter()
        .map(|(number, segment)| FoundSegment {
            number,
            file: segment.file,
            length: segment.length,
            head: (segment.head.first_sequence > 0).then_some(segment.head),
        })
        .collect();
    let (mut seen, _, _) = survey(&found, 0, None, &log.store, Vec::new(), |_, _| Ok(()))?;
    let (index, doubt, ..) =
        build(&segments.files, options, &mut found, &log.store, &mut seen, (log.sequence, 0), false)?;
    Ok((index, doubt))
}

/// Frames that are applied together.
#[derive(Default)]
struct Gathered {
    frames: Vec<(u32, u64, u64, Hash, Vec<u8>)>,
    rows: usize,
}

impl Gathered {
    fn add(&mut self, segment: u32, frame: &FoundFrame<'_>) {
        // Only the heads of items are needed, but they are parsed with their bodies.
        self.rows += 4 + frame.payload.len() / 2_048;
        let payload = frame.payload.to_vec();
        self.frames.push((segment, frame.offset, frame.head.sequence, frame.chain, payload));
    }

    fn flush(&mut self, index: &mut Index) -> Outcome<()> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let mut changes = Transaction::new(index);
        for (segment, offset, sequence, chain, payload) in &self.frames {
            // What comes first was applied, as a whole, before.
            index::note_segment(&mut changes, *segment)?;
            for item in items(payload).into_iter().flatten().filter(|item| !comes_first(item.head.kind)) {
                let begin = offset + (FRAME_HEAD_BYTES + item.offset) as u64;
                let place = index::Place {
                    segment: *segment,
                    offset: u32::try_from(begin).map_err(|_| StoreError::TooLarge)?,
                    length: item.head.whole_bytes(),
                };
                apply_one(&mut changes, &item.head, place, item.head.sequence == *sequence)?;
            }
            changes.move_to((*segment, *offset), *sequence, *chain);
        }
        let ready = changes.ready()?;
        index.commit(ready)?;
        *self = Self::default();
        Ok(())
    }
}

/// Compares the segments with what the last commit names; removes what was given up, and says what is missing.
fn missing_segments(files: &dyn Files, found: &mut Vec<FoundSegment>, seen: &Survey, tidy: bool) -> Outcome<Vec<Bad>> {
    let Some(listed) = &seen.listed else { return Ok(Vec::new()) };
    let mut bad = Vec::new();
    let last_listed = listed.last().map_or(0, |segment| segment.number);
    for (at, one) in listed.iter().enumerate() {
        let there = found.iter().find(|segment| segment.number == one.number);
        let why = match there.map(|segment| &segment.head) {
            None => "the segment is missing",
            Some(Some(head)) if (head.first_sequence, head.chain) != (one.first_sequence, one.start) => {
                "this is another segment than the one that the commits name"
            }
            // One whose head is damaged is told by the reading of it.
            Some(_) => continue,
        };
        let last = listed.get(at + 1).map(|next| next.first_sequence.saturating_sub(1));
        bad.push(Bad { segment: one.number, from: 0, until: 0, first: one.first_sequence, last, why });
    }
    if !tidy {
        return Ok(bad);
    }
    let given_up: HashSet<u32> = found
        .iter()
        .map(|segment| segment.number)
        .filter(|number| *number <= last_listed && !listed.iter().any(|one| one.number == *number))
        .collect();
    for number in &given_up {
        files.remove(&file_name(*number))?;
    }
    found.retain(|segment| !given_up.contains(&segment.number));
    Ok(bad)
}

/// Forgets removals of which nothing is left that they remove.
fn settle_all(index: &mut Index) -> Outcome<()> {
    let mut keys = Vec::new();
    for letter in [index::ENTRY, index::NODE, index::SNAPSHOT] {
        index.scan(&[letter], &[], |whole, value| {
            let row = index::Row::decode(value).ok_or_else(index::row_damaged)?;
            let (key, _) = index::split(whole).ok_or_else(index::row_damaged)?;
            if row.gone {
                keys.push(key.to_vec());
            }
            Ok(true)
        })?;
    }
    let mut changes = Transaction::new(index);
    for key in keys {
        if let Some(dead) = index::dead_key(&key)
            && changes.number(&dead)? == 0
        {
            index::settle(&mut changes, &key)?;
        }
    }
    let ready = changes.ready()?;
    Ok(index.commit(ready)?)
}

/// Which nodes are not to be trusted: those that the commits name, and all if there is a frame that none names, or if
/// the versions are not those that the last commit says.
fn judge(
    index: &mut Index,
    seen: &Survey,
    versions: Option<index::Sum>,
    (synced, noted): (u64, u64),
) -> Outcome<Doubt> {
    let mut doubt = Doubt::default();
    let mut sum = versions;
    for ((node, entry), hit) in &seen.hit {
        let key =
            if *entry == [0; 16] { index::key(index::NODE, &[node]) } else { index::key(index::ENTRY, &[node, entry]) };
        let row = index.newest(&key, u64::MAX)?;
        // What was removed, or an entry that was written again, is as it should be.
        let fine =
            row.as_ref().is_some_and(|(sequence, row)| *sequence > hit.sequence && (row.gone || *entry != [0; 16]));
        if !fine {
            doubt.nodes.insert((*node, *entry), hit.why.clone());
        }
    }
    for (node, version) in &seen.versions {
        let row = index.newest(&index::key(index::NODE, &[node]), u64::MAX)?.map(|(_, row)| row);
        if let Some(sum) = &mut sum
            && row.as_ref().is_none_or(|row| !row.gone)
        {
            if let Some(row) = row {
                sum.subtract(index::Sum::of(node, &row.version.to_le_bytes()));
            }
            sum.add(index::Sum::of(node, &version.to_le_bytes()));
        }
    }
    let unnamed = seen.bad.iter().filter_map(|bad| last_unnamed(bad, &seen.named, synced, noted)).max();
    let claimed = seen.last_commit.as_ref().map(|(_, commit)| commit.versions);
    if let Some(until) = unnamed {
        let why = "frames are missing of which nothing says what they changed; nothing written before them is served";
        doubt.all_until = Some((until, why.to_owned()));
    } else if sum != claimed {
        let why = "the files are not of the versions that the last commit names; nothing written before it is served";
        doubt.all_until = Some((seen.last_commit.as_ref().map_or(0, |(sequence, _)| *sequence), why.to_owned()));
    }
    let mut changes = Transaction::new(index);
    doubt.write(&mut changes)?;
    let ready = changes.ready()?;
    index.commit(ready)?;
    Ok(doubt)
}

/// The last of the frames that are bad of which no commit says what it changed. What the note names was a commit.
fn last_unnamed(bad: &Bad, named: &[(u64, u64)], synced: u64, noted: u64) -> Option<u64> {
    let mut last = bad.last.unwrap_or(synced).min(synced);
    while last >= bad.first {
        if last == 0 {
            break;
        }
        if last == noted {
            last -= 1;
            continue;
        }
        let (from, _) =
            named.iter().find(|(from, until)| (*from..=*until).contains(&last)).copied().unwrap_or_default();
        if from == 0 {
            return Some(last);
        }
        last = from - 1;
    }
    None
}
