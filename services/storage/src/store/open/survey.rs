//! Reading the segments when a store is opened: which frames are good, what the commits say, and what was lost.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::super::commit::{Commit, TOUCHED_LIMIT};
use super::super::error::Outcome;
use super::super::files::Files;
use super::super::format::{Id, Item, ItemKind, SEGMENT_HEAD_BYTES, Take, items};
use super::super::index::{self, Index, Row};
use super::super::keys::OwnKeys;
use super::super::log::{ChainStart, KEPT_LIMIT, Touched, touched_by};
use super::super::scan::{Bad, Expected, FoundFrame, FoundSegment, scan};
use super::plan::Plan;

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
    /// By the frames that are lost: no frame is in two of them.
    pub(super) bad: Vec<Bad>,
    /// Segments that are of another time than what is before them. They were not read.
    pub(super) strange: Vec<u32>,
    /// Where the segments that were read begin.
    begins: BTreeMap<u32, Expected>,
    /// Where they end: as listed, or as read.
    pub(super) ends: BTreeMap<u32, Expected>,
    /// After all of them.
    pub(super) end: Expected,
    /// The frames of the last two commits.
    pub(super) commits: [u64; 2],
    pub(super) last_commit: Option<(u64, Commit)>,
    /// What bad frames changed.
    pub(super) hit: HashMap<(Id, [u8; 16]), Hit>,
    /// The versions that the nodes in `hit` should have.
    pub(super) versions: HashMap<Id, u64>,
    /// Frames of which commits that are whole say what they changed, first and last: in order, and apart from each other.
    pub(super) named: Vec<(u64, u64)>,
    /// The last frame before which there are others than those that came before what is after it.
    pub(super) mixed: Option<u64>,
    /// What the next commit has to name.
    pub(super) touched: VecDeque<Touched>,
    /// Of the frames from this one on, `touched` is complete.
    pub(super) touched_from: u64,
    /// The last frame before that which changed anything.
    pub(super) anchor: Option<(u64, ChainStart)>,
    pub(super) lost_end: Option<(Bad, Option<LostEnd>)>,
}

impl Survey {
    fn frame(&mut self, frame: &FoundFrame<'_>) {
        let Some(found) = items(frame.payload) else { return };
        let sequence = frame.head.sequence;
        self.touched.extend(touched_by(&found, sequence, &frame.chain));
        for commit in commits_among(&found, sequence) {
            self.note_named(commit.listed_from, commit.sequence);
            self.note_hits(&commit);
            self.commits = [self.commits[1], sequence];
            self.last_commit = Some((sequence, commit));
        }
    }

    /// What a commit says of frames that are bad.
    fn note_hits(&mut self, commit: &Commit) {
        let from = self.bad.partition_point(|bad| bad.first < commit.listed_from);
        for at in from..self.bad.partition_point(|bad| bad.first <= commit.sequence) {
            if self.is_after_others(at, commit) {
                self.mixed = self.mixed.max(Some(self.bad[at].last.unwrap_or(commit.sequence)));
            }
        }
        for touched in &commit.touched {
            let until = self.bad.partition_point(|bad| bad.first <= touched.sequence);
            let bad = self.bad[..until].last().filter(|bad| bad.last.is_none_or(|last| touched.sequence <= last));
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

    /// Whether what is before a bad place is not what was there when a commit was made that is after it. What the commit lists, or the
    /// last change before that, has the last frame before the place that changed anything. Nobody has to look further back than
    /// the last bad place, of which the same is asked, or the beginning of the segment, which is as listed.
    fn is_after_others(&self, at: usize, commit: &Commit) -> bool {
        let bad = &self.bad[at];
        let begin = self.begins.get(&bad.segment).map_or(0, |begin| begin.sequence);
        let from = self.bad[..at].last().and_then(|other| other.last).map_or(begin, |last| begin.max(last + 1));
        let before = self.touched.partition_point(|touched| touched.sequence < bad.first);
        let Some(last) = before.checked_sub(1).and_then(|at| self.touched.get(at)) else { return false };
        if last.sequence < from {
            return false;
        }
        let at = commit.touched.partition_point(|touched| touched.sequence < last.sequence);
        let claimed = commit.touched.get(at).map(|touched| (touched.sequence, touched.chain));
        let here = (last.sequence, last.chain);
        claimed != Some(here) && commit.anchor != Some(here)
    }

    /// Takes what the index says of the end that is missing for what a commit would say of it.
    pub(super) fn name_lost_end(&mut self, lost_end: Option<(Bad, Option<LostEnd>)>) {
        let Some((bad, lost)) = lost_end else { return };
        self.bad.push(bad);
        let Some(lost) = lost else { return };
        self.note_named(lost.first, lost.last);
        for (changed, hit) in lost.hit {
            self.hit.entry(changed).or_insert(hit);
        }
    }

    /// Where a segment that was read begins.
    pub(super) fn begin_of(&self, number: u32) -> Option<Expected> {
        self.begins.get(&number).copied()
    }

    /// The first frame that was read.
    pub(super) fn first_read(&self) -> u64 {
        self.begins.values().next().map_or(1, |begin| begin.sequence)
    }

    /// The last frame of which is sure that it was on the disk: by the note, and because a commit is begun only when the
    /// one before is on the disk.
    pub(super) fn synced(&self, note: u64) -> u64 {
        note.max(self.commits[0])
    }

    /// Frames that a commit names: joined with those before where they meet, so that this stays short.
    fn note_named(&mut self, mut from: u64, mut until: u64) {
        while let Some(last) =
            self.named.pop_if(|last| from <= last.1.saturating_add(1) && last.0 <= until.saturating_add(1))
        {
            (from, until) = (from.min(last.0), until.max(last.1));
        }
        self.named.push((from, until));
    }

    /// A segment begins, after the one whose first frame this is: of what came before that, the next commit names nothing.
    fn begin_segment(&mut self, first_of_last: u64) {
        let committed = self.last_commit.as_ref().map_or(0, |(_, commit)| commit.sequence);
        while let Some(touched) = self.touched.front()
            && ((touched.sequence < first_of_last && touched.sequence <= committed)
                || self.touched.len() > TOUCHED_LIMIT + KEPT_LIMIT)
        {
            self.touched_from = touched.sequence + 1;
            self.anchor = Some((touched.sequence, touched.chain));
            self.touched.pop_front();
        }
    }

    /// Where what comes next begins is known: so it is which frames there were in an end that is bad. Whether there was such an
    /// end.
    fn close_end(&mut self, next: u64) -> bool {
        let mut closed = false;
        for bad in self.bad.iter_mut().rev().take_while(|bad| bad.last.is_none()) {
            bad.last = Some(next.saturating_sub(1));
            closed = true;
        }
        closed
    }

    /// A segment that was written to no more when it was listed has to end where it did then.
    fn compare_end(&mut self, segment: &FoundSegment, begin: u64, reached: Expected, listed: Expected) {
        let was_open = self.close_end(listed.sequence);
        let (number, length) = (segment.number, segment.length);
        if reached.sequence < listed.sequence && !was_open {
            let (first, last, why) = (reached.sequence, Some(listed.sequence - 1), "its end is missing");
            self.bad.push(Bad { segment: number, from: length, until: length, first, last, why });
        } else if reached.sequence >= listed.sequence && reached != listed {
            let why = "it holds other frames than when the commits listed it";
            // That is all of it, whatever else is bad in it.
            while self.bad.pop_if(|bad| bad.segment == number && bad.first >= begin).is_some() {}
            self.mixed = self.mixed.max(Some(reached.sequence - 1));
            self.bad.push(Bad {
                segment: number,
                from: 0,
                until: 0,
                first: begin,
                last: Some(reached.sequence - 1),
                why,
            });
        }
    }
}

/// The commit that a frame is. The tag of the frame says whose it is: its signature is for those who have no key.
fn commits_among<'a>(found: &'a [Item<'a>], sequence: u64) -> impl Iterator<Item = Commit> + 'a {
    let own = move |item: &&Item<'_>| item.head.kind == ItemKind::Commit && item.head.sequence == sequence;
    found.iter().filter(own).filter_map(|item| Commit::decode(item.body))
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

/// Reads the segments from one on, which is listed or the first.
pub(super) fn survey(
    files: &dyn Files,
    plan: &Plan,
    from: u32,
    keys: &OwnKeys,
    mut each: impl FnMut(&FoundSegment, &FoundFrame<'_>) -> Outcome<()>,
) -> Outcome<Survey> {
    let mut survey = Survey { end: Expected::BEGIN, ..Survey::default() };
    let mut before: Option<(u32, u64)> = None;
    for planned in plan.segments.iter().filter(|planned| planned.number >= from) {
        let head = planned.file.as_ref().and_then(|file| file.head.as_ref());
        let claimed = head.map(Expected::at_begin_of);
        if planned.begin.is_none() && claimed.is_some_and(|claimed| claimed.sequence < survey.end.sequence) {
            survey.strange.push(planned.number);
            continue;
        }
        let begin = planned.begin.or(claimed).unwrap_or(survey.end);
        let was_open = survey.close_end(begin.sequence);
        if planned.begin.is_none() && begin != survey.end && !was_open {
            survey.bad.push(Bad {
                segment: before.map_or(planned.number, |(before, _)| before),
                from: 0,
                until: 0,
                first: survey.end.lost_before(begin),
                last: Some(begin.sequence - 1),
                why: "the next segment does not begin where this one ends",
            });
        }
        if let Some((_, first)) = before {
            survey.begin_segment(first);
        }
        survey.begins.insert(planned.number, begin);
        before = Some((planned.number, begin.sequence));
        let Some(segment) = &planned.file else {
            let last = planned.end.map(|end| end.sequence.saturating_sub(1));
            let (first, why) = (begin.sequence, "the segment is missing");
            survey.bad.push(Bad { segment: planned.number, from: 0, until: 0, first, last, why });
            survey.end = planned.end.unwrap_or(begin);
            survey.ends.insert(planned.number, survey.end);
            continue;
        };
        if claimed.is_none() {
            survey.bad.push(Bad {
                segment: segment.number,
                from: 0,
                until: SEGMENT_HEAD_BYTES as u64,
                // No frame is lost by it.
                first: begin.sequence,
                last: Some(begin.sequence - 1),
                why: "its head is damaged",
            });
        }
        let mut bad = Vec::new();
        let reached = scan(files, Some(keys), segment, SEGMENT_HEAD_BYTES as u64, begin, &mut bad, |frame| {
            survey.frame(&frame);
            each(segment, &frame)
        })?;
        let known = survey.bad.len();
        survey.bad.append(&mut bad);
        if let Some(end) = planned.end {
            survey.compare_end(segment, begin.sequence, reached, end);
        }
        if survey.bad.len() > known {
            // What is bad has to be known when the commit that names it is read: that may have been here.
            scan(files, Some(keys), segment, SEGMENT_HEAD_BYTES as u64, begin, &mut Vec::new(), |frame| {
                let found = items(frame.payload).unwrap_or_default();
                commits_among(&found, frame.head.sequence).for_each(|commit| survey.note_hits(&commit));
                Ok(())
            })?;
        }
        survey.end = planned.end.unwrap_or(reached);
        survey.ends.insert(segment.number, survey.end);
    }
    Ok(survey)
}
