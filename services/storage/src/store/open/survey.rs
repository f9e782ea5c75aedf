//! Reading the segments when a store is opened: which frames are good, what the commits say, and what was lost.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::super::commit::{Commit, Listed, TOUCHED_LIMIT};
use super::super::error::Outcome;
use super::super::files::Files;
use super::super::format::{Hash, Id, ItemKind, SEGMENT_HEAD_BYTES, Take, items};
use super::super::index::{self, Index, Row};
use super::super::keys::OwnKeys;
use super::super::log::{KEPT_LIMIT, Touched, touched_by};
use super::super::scan::{Bad, Expected, FoundFrame, FoundSegment, scan};

/// Commits whose signature is wrong that people are told of one by one.
const DAMAGE_TOLD: usize = 100;

/// A change that was lost.
pub(super) struct Hit {
    /// The last frame with such a change.
    pub(super) sequence: u64,
    pub(super) why: String,
}

/// Frames at the end that are missing, and what they changed, as the store's own index says, which had them.
pub(super) struct LostEnd {
    first: u64,
    last: u64,
    hit: HashMap<(Id, [u8; 16]), Hit>,
}

impl LostEnd {
    /// From a frame on, which is missing.
    pub(super) fn read(index: &Index, first: u64, why: &str) -> Outcome<Self> {
        let mut hit: HashMap<(Id, [u8; 16]), Hit> = HashMap::new();
        let mut entries = HashSet::new();
        // Entries first: a directory whose metadata changed with its entries is not lost with them.
        for letter in [index::ENTRY, index::NODE, index::SECTOR, index::HOLE, index::ORPHAN] {
            index.scan(&[letter], &[], |whole, value| {
                let (key, sequence) = index::split(whole).ok_or_else(index::row_damaged)?;
                if sequence < first {
                    return Ok(true);
                }
                let mut take = Take(&key[1..]);
                let node = take.array().ok_or_else(index::row_damaged)?;
                let mut entry = [0; 16];
                if letter == index::ENTRY {
                    entry = take.array().ok_or_else(index::row_damaged)?;
                    entries.insert((node, sequence));
                } else if letter == index::NODE {
                    let row = Row::decode(value).ok_or_else(index::row_damaged)?;
                    if row.directory && !row.gone && entries.contains(&(node, sequence)) {
                        return Ok(true);
                    }
                }
                let hit = hit.entry((node, entry)).or_insert_with(|| Hit { sequence, why: why.to_owned() });
                hit.sequence = hit.sequence.max(sequence);
                Ok(true)
            })?;
        }
        Ok(Self { first, last: index.position.sequence, hit })
    }
}

/// What reading the segments showed.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) bad: Vec<Bad>,
    /// Segments before which others are not there: they were given up, or, of frames that nothing is sure of, never came to the disk.
    pub(super) gaps: Vec<Bad>,
    /// The frames of the last two commits.
    pub(super) commits: [u64; 2],
    pub(super) last_commit: Option<(u64, Commit)>,
    /// The last that named the segments.
    pub(super) listed: Option<Vec<Listed>>,
    /// What bad frames changed.
    pub(super) hit: HashMap<(Id, [u8; 16]), Hit>,
    /// The versions that the nodes in `hit` should have.
    pub(super) versions: HashMap<Id, u64>,
    /// Frames of which commits that are whole say what they changed, first and last.
    pub(super) named: Vec<(u64, u64)>,
    /// What the next commit has to name.
    pub(super) touched: VecDeque<Touched>,
    /// Of the frames from this one on, `touched` is complete.
    pub(super) touched_from: u64,
    pub(super) damage: Vec<String>,
    pub(super) lost_end: Option<LostEnd>,
}

impl Survey {
    fn frame(&mut self, store: &Id, frame: &FoundFrame<'_>) -> Outcome<()> {
        let Some(found) = items(frame.payload) else { return Ok(()) };
        self.touched.extend(touched_by(&found, frame.head.sequence));
        for item in found {
            let sequence = frame.head.sequence;
            match item.head.kind {
                ItemKind::Commit if item.head.sequence == sequence => {
                    let Some(commit) = Commit::decode(item.body) else { continue };
                    if !commit.is_signed(store) {
                        if self.damage.len() < DAMAGE_TOLD {
                            let what = format!("the signature of the commit in frame {sequence} is not its key's");
                            self.damage.push(what);
                        }
                        continue;
                    }
                    self.note_named(commit.listed_from, commit.sequence);
                    self.note_hits(&commit);
                    self.commits = [self.commits[1], sequence];
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

    /// Takes what the index says of the end that is missing for what a commit would say of it.
    pub(super) fn name_lost_end(&mut self) {
        let Some(lost) = self.lost_end.take() else { return };
        self.note_named(lost.first, lost.last);
        for (changed, hit) in lost.hit {
            self.hit.entry(changed).or_insert(hit);
        }
    }

    /// The last frame of which is sure that it was on the disk: by the note, and because a commit is begun only when the
    /// one before is on the disk.
    pub(super) fn synced(&self, note: u64) -> u64 {
        note.max(self.commits[0])
    }

    /// Frames that a commit names: joined with those before where they meet, so that this stays short.
    fn note_named(&mut self, from: u64, until: u64) {
        match self.named.last_mut() {
            Some(last) if from >= last.0 && from <= last.1.saturating_add(1) => last.1 = last.1.max(until),
            _ => self.named.push((from, until)),
        }
    }

    /// A segment begins, after the one whose first frame this is: of what came before that, the next commit names nothing.
    fn begin_segment(&mut self, first_of_last: u64) {
        let committed = self.last_commit.as_ref().map_or(0, |(_, commit)| commit.sequence);
        while let Some(touched) = self.touched.front()
            && ((touched.sequence < first_of_last && touched.sequence <= committed)
                || self.touched.len() > TOUCHED_LIMIT + KEPT_LIMIT)
        {
            self.touched_from = touched.sequence + 1;
            self.touched.pop_front();
        }
    }

    /// Where a segment begins says which frames there were in the end of the one before that is bad.
    fn end_segment(&mut self, number: u32, next: u64) {
        for bad in self.bad.iter_mut().rev().take_while(|bad| bad.segment == number) {
            bad.last.get_or_insert(next.saturating_sub(1));
        }
    }
}

fn is_in(sequence: u64, bad: &Bad) -> bool {
    sequence >= bad.first && bad.last.is_none_or(|last| sequence <= last)
}

pub(super) fn described(bad: &Bad) -> String {
    let frames = match bad.last {
        Some(last) if last == bad.first => format!("frame {last}"),
        Some(last) if last < bad.first => "no frame".to_owned(),
        Some(last) => format!("frames {} to {last}", bad.first),
        None => format!("frame {} and those after it", bad.first),
    };
    format!("segment {} at {} to {} ({frames}): {}", bad.segment, bad.from, bad.until, bad.why)
}

/// Reads segments from one on.
pub(super) fn survey(
    files: &dyn Files,
    found: &[FoundSegment],
    from: u32,
    (store, keys): (&Id, &OwnKeys),
    known_bad: Vec<Bad>,
    mut each: impl FnMut(&FoundSegment, &FoundFrame<'_>) -> Outcome<()>,
) -> Outcome<(Survey, BTreeMap<u32, Hash>, Expected)> {
    let mut survey = Survey { bad: known_bad, ..Survey::default() };
    let mut ends = BTreeMap::new();
    let mut expected: Option<Expected> = None;
    let mut before: Option<(u32, u64)> = None;
    for segment in found.iter().filter(|segment| segment.number >= from) {
        let claimed = segment.head.as_ref().map(|head| Expected { sequence: head.first_sequence, chain: head.chain });
        if let (Some((before, first)), Some(claimed)) = (before, claimed) {
            survey.end_segment(before, claimed.sequence);
            survey.begin_segment(first);
        }
        let begin = match (expected, claimed) {
            (Some(expected), Some(claimed)) if expected != claimed => {
                let follows = before.is_some_and(|(before, _)| before + 1 == segment.number);
                if !follows {
                    survey.gaps.push(Bad {
                        segment: segment.number,
                        from: 0,
                        until: segment.length,
                        first: expected.sequence,
                        last: Some(claimed.sequence.saturating_sub(1)),
                        why: "the segment before this one is missing",
                    });
                }
                if follows || claimed.sequence <= expected.sequence {
                    survey.bad.push(Bad {
                        segment: before.map_or(segment.number, |(before, _)| before),
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
        let after = scan(files, Some(keys), segment, SEGMENT_HEAD_BYTES as u64, begin, &mut bad, |frame| {
            survey.frame(store, &frame)?;
            each(segment, &frame)
        })?;
        if !bad.is_empty() {
            survey.bad.append(&mut bad);
            // What is bad has to be known when the commit that names it is read: that may have been here.
            scan(files, Some(keys), segment, SEGMENT_HEAD_BYTES as u64, begin, &mut Vec::new(), |frame| {
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
        before = Some((segment.number, begin.sequence));
    }
    let end = expected.unwrap_or(Expected { sequence: 1, chain: [0; 32] });
    Ok((survey, ends, end))
}
