//! Reading the segments when a store is opened: which frames are good, what the commits say, and what was lost.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::super::commit::{Commit, TOUCHED_LIMIT};
use super::super::error::Outcome;
use super::super::files::Files;
use super::super::format::{Id, Item, ItemKind, SEGMENT_HEAD_BYTES, Take, items};
use super::super::index::{self, Index, Row};
use super::super::keys::OwnKeys;
use super::super::log::{ChainStart, KEPT_LIMIT, Touched, touched_by};
use super::super::scan::{Bad, Expected, Found, FoundFrame, FoundSegment, scan_all};
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
    /// They are known to have been those. An index that nothing vouches for may be of another time.
    is_all: bool,
}

impl LostEnd {
    /// From a frame on, which is missing.
    pub(super) fn read(index: &Index, first: u64, is_all: bool, why: &str) -> Outcome<Self> {
        let mut hit: HashMap<(Id, [u8; 16]), Hit> = HashMap::new();
        let mut entries = HashSet::new();
        // Entries first: a directory whose metadata changed with its entries is not lost with them.
        for letter in
            [index::ENTRY, index::NODE, index::SECTOR, index::HOLE, index::ORPHAN, index::SNAPSHOT, index::LOSSES]
        {
            index.scan(&[letter], &[], |whole, value| {
                let (key, sequence) = index::split(whole).ok_or_else(index::row_damaged)?;
                if sequence < first {
                    return Ok(true);
                }
                let mut take = Take(&key[1..]);
                // What was written down as lost is of no node.
                let node = if letter == index::LOSSES { Some(Id::default()) } else { take.array() };
                let node = node.ok_or_else(index::row_damaged)?;
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
        Ok(Self { first, last: index.position.sequence, hit, is_all })
    }
}

/// Frames that follow each other without a break.
#[derive(Default)]
struct Run {
    /// The first of them, or what was to be there.
    first: u64,
    /// It begins where the run before ends.
    follows: bool,
    last: u64,
    /// The last of them that changed anything.
    changed: Option<u64>,
    ends_as_listed: bool,
    /// Runs in which its commits know a change that is there.
    reaches: Vec<usize>,
    /// The last change that its commits know as another, or not at all.
    others: Option<u64>,
    /// What its commits say, as of all together.
    hit: HashMap<(Id, [u8; 16]), Hit>,
    versions: HashMap<Id, u64>,
    named: Vec<(u64, u64)>,
}

impl Run {
    /// Joined with those before where they meet, so that this stays short.
    fn name(&mut self, from: u64, until: u64) {
        match self.named.last_mut() {
            Some(last) if from >= last.0 && from <= last.1.saturating_add(1) => last.1 = last.1.max(until),
            _ => self.named.push((from, until)),
        }
    }
}

/// What reading the segments showed.
#[derive(Default)]
pub(super) struct Survey {
    /// By the frames that are lost: no frame is in two of them, but where the end is missing.
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
    /// Frames that follow each other, in order.
    runs: Vec<Run>,
    /// What the next commit has to name.
    pub(super) touched: VecDeque<Touched>,
    /// Of the frames from this one on, `touched` is complete.
    pub(super) touched_from: u64,
    /// The last frame before that which changed anything.
    pub(super) anchor: Option<(u64, ChainStart)>,
    pub(super) lost_end: Option<(Bad, Option<LostEnd>)>,
    /// There was one.
    pub(super) is_end_lost: bool,
}

impl Survey {
    fn frame(&mut self, frame: &FoundFrame<'_>) {
        let Some(found) = items(frame.payload) else { return };
        let sequence = frame.head.sequence;
        let touched = touched_by(&found, sequence, &frame.chain);
        if let Some(run) = self.runs.last_mut() {
            run.last = sequence;
            run.changed = if touched.is_empty() { run.changed } else { Some(sequence) };
        }
        self.touched.extend(touched);
        for commit in commits_among(&found, sequence) {
            self.note_commit(&commit);
            self.commits = [self.commits[1], sequence];
            self.last_commit = Some((sequence, commit));
        }
    }

    /// Frames follow that need not follow what was read before.
    fn begin_run(&mut self, sequence: u64, follows: bool) {
        self.runs.push(Run { first: sequence, follows, ..Run::default() });
    }

    /// What a commit says of frames that are bad, and of those that are not: these have to be the ones that are there.
    fn note_commit(&mut self, commit: &Commit) {
        let Some(mut run) = self.runs.pop() else { return };
        run.name(commit.listed_from, commit.sequence);
        // What was read from here on is known.
        let known_from = self.touched_from.max(self.first_read());
        let mut last = None;
        for touched in &commit.touched {
            let bad = self.bad_at(touched.sequence);
            if let Some(bad) = bad {
                let hit = run.hit.entry((touched.node, touched.entry));
                let hit = hit.or_insert_with(|| Hit { sequence: 0, why: described(bad) });
                hit.sequence = hit.sequence.max(touched.sequence);
            } else if last != Some(touched.sequence) && touched.sequence >= known_from {
                self.compare(&mut run, (touched.sequence, touched.chain));
            }
            last = Some(touched.sequence);
            if touched.version > 0 && (bad.is_some() || run.versions.contains_key(&touched.node)) {
                let version = run.versions.entry(touched.node).or_default();
                *version = touched.version.max(*version);
            }
        }
        if let Some(anchor) = commit.anchor.filter(|(sequence, _)| *sequence >= known_from)
            && self.bad_at(anchor.0).is_none()
        {
            self.compare(&mut run, anchor);
        }
        // And there are no changes that it does not list.
        let from = self.touched.partition_point(|one| one.sequence < commit.listed_from);
        let until = self.touched.partition_point(|one| one.sequence <= commit.sequence);
        for one in self.touched.range(from..until) {
            if commit.touched.binary_search_by_key(&one.sequence, |listed| listed.sequence).is_err() {
                run.others = run.others.max(Some(one.sequence));
            }
        }
        self.runs.push(run);
    }

    /// Whether a change that a commit names is there.
    fn compare(&self, run: &mut Run, (sequence, chain): (u64, ChainStart)) {
        if sequence >= run.first {
            return;
        }
        let before = self.runs.partition_point(|run| run.first <= sequence);
        // Of what was given up nothing is there.
        let Some(of) = before.checked_sub(1).filter(|of| sequence <= self.runs[*of].last) else { return };
        let at = self.touched.partition_point(|one| one.sequence < sequence);
        if self.touched.get(at).is_none_or(|one| (one.sequence, one.chain) != (sequence, chain)) {
            run.others = run.others.max(Some(sequence));
        } else if run.reaches.last() != Some(&of) {
            run.reaches.push(of);
        }
    }

    fn push_bad(&mut self, bad: Bad) {
        let at = self.bad.partition_point(|before| before.first <= bad.first);
        self.bad.insert(at, bad);
    }

    fn bad_at(&self, sequence: u64) -> Option<&Bad> {
        let until = self.bad.partition_point(|bad| bad.first <= sequence);
        self.bad[..until].last().filter(|bad| bad.last.is_none_or(|last| sequence <= last))
    }

    /// Which runs are of the time that the last is of: those that lead up to one of these without a break, that end where a list says,
    /// and those that the commits of such a run know. What these commits say counts; what is in other runs does not.
    fn believe(&mut self) {
        let mut believed: Vec<bool> = self.runs.iter().map(|run| run.ends_as_listed).collect();
        if let Some(last) = believed.last_mut() {
            *last = true;
        }
        let runs = std::mem::take(&mut self.runs);
        for (at, run) in runs.into_iter().enumerate().rev() {
            if !believed[at] {
                self.mixed = self.mixed.max(run.changed);
                self.touched.retain(|one| !(run.first..=run.last).contains(&one.sequence));
                continue;
            }
            if run.follows && at > 0 {
                believed[at - 1] = true;
            }
            run.reaches.iter().for_each(|of| believed[*of] = true);
            self.mixed = self.mixed.max(run.others);
            for (changed, hit) in run.hit {
                let known = self.hit.entry(changed).or_insert(Hit { sequence: 0, why: hit.why });
                known.sequence = known.sequence.max(hit.sequence);
            }
            for (node, version) in run.versions {
                let known = self.versions.entry(node).or_default();
                *known = version.max(*known);
            }
            self.named.extend(run.named);
        }
        self.join_named();
    }

    fn join_named(&mut self) {
        let mut named = std::mem::take(&mut self.named);
        named.sort_unstable();
        for (from, until) in named {
            match self.named.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(until),
                _ => self.named.push((from, until)),
            }
        }
    }

    /// Takes what the index says of the end that is missing for what a commit would say of it.
    pub(super) fn name_lost_end(&mut self, lost_end: Option<(Bad, Option<LostEnd>)>) {
        let Some((bad, lost)) = lost_end else { return };
        self.bad.push(bad);
        self.is_end_lost = true;
        let Some(lost) = lost else { return };
        if lost.is_all {
            self.named.push((lost.first, lost.last));
            self.join_named();
        }
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

    /// A segment begins, after the one whose first frame this is: of what came before that, the next commit names nothing.
    fn forget_before(&mut self, first_of_last: u64) {
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
    fn know_end(&mut self, next: u64) -> bool {
        let mut closed = false;
        for bad in self.bad.iter_mut().rev().take_while(|bad| bad.last.is_none()) {
            bad.last = Some(next.saturating_sub(1));
            closed = true;
        }
        closed
    }

    /// A segment that was written to no more when it was listed has to end where it did then.
    fn compare_end(&mut self, segment: &FoundSegment, begin: u64, reached: Expected, listed: Expected) {
        let was_open = self.know_end(listed.sequence);
        if let (Some(run), true) = (self.runs.last_mut(), reached == listed) {
            run.ends_as_listed = true;
        }
        let (number, length) = (segment.number, segment.length);
        if reached.sequence < listed.sequence && !was_open {
            let (first, last, why) = (reached.sequence, Some(listed.sequence - 1), "its end is missing");
            self.push_bad(Bad { segment: number, from: length, until: length, first, last, why });
        } else if reached.sequence >= listed.sequence && reached != listed {
            let why = "it holds other frames than when the commits listed it";
            // That is all of it, whatever else is bad in it.
            while self.bad.pop_if(|bad| bad.segment == number && bad.first >= begin).is_some() {}
            while self.touched.back().is_some_and(|touched| touched.sequence >= begin) {
                self.touched.pop_back();
            }
            self.mixed = self.mixed.max(Some(reached.sequence - 1));
            self.push_bad(Bad {
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
    // Where what was read last ends.
    let mut reached = Some(Expected::BEGIN);
    for planned in plan.segments.iter().filter(|planned| planned.number >= from) {
        let head = planned.file.as_ref().and_then(|file| file.head.as_ref());
        let claimed = head.map(Expected::at_begin_of);
        if planned.begin.is_none() && claimed.is_some_and(|claimed| claimed.sequence < survey.end.sequence) {
            survey.strange.push(planned.number);
            continue;
        }
        let begin = planned.begin.or(claimed).unwrap_or(survey.end);
        let was_open = survey.know_end(begin.sequence);
        if planned.begin.is_none() && begin != survey.end && !was_open {
            survey.push_bad(Bad {
                segment: before.map_or(planned.number, |(before, _)| before),
                from: 0,
                until: 0,
                first: survey.end.lost_before(begin),
                last: Some(begin.sequence - 1),
                why: "the next segment does not begin where this one ends",
            });
        }
        if let Some((_, first)) = before {
            survey.forget_before(first);
        }
        survey.begins.insert(planned.number, begin);
        before = Some((planned.number, begin.sequence));
        let Some(segment) = &planned.file else {
            let last = planned.end.map(|end| end.sequence.saturating_sub(1));
            let (first, why) = (begin.sequence, "the segment is missing");
            survey.push_bad(Bad { segment: planned.number, from: 0, until: 0, first, last, why });
            survey.end = planned.end.unwrap_or(begin);
            survey.ends.insert(planned.number, survey.end);
            reached = None;
            continue;
        };
        if claimed.is_none() {
            survey.push_bad(Bad {
                segment: segment.number,
                from: 0,
                until: SEGMENT_HEAD_BYTES as u64,
                // No frame is lost by it.
                first: begin.sequence,
                last: Some(begin.sequence - 1),
                why: "its head is damaged",
            });
        }
        survey.begin_run(begin.sequence, reached == Some(begin));
        let end = scan_all(files, Some(keys), segment, SEGMENT_HEAD_BYTES as u64, begin, |found| match found {
            Found::Frame(frame) => {
                survey.frame(&frame);
                each(segment, &frame)
            }
            Found::Bad(bad, linked) => {
                if !linked {
                    survey.begin_run(bad.last.map_or(bad.first, |last| last + 1), false);
                }
                survey.push_bad(bad);
                Ok(())
            }
        })?;
        if let Some(listed) = planned.end {
            survey.compare_end(segment, begin.sequence, end, listed);
        }
        reached = Some(end);
        survey.end = planned.end.unwrap_or(end);
        survey.ends.insert(segment.number, survey.end);
    }
    survey.believe();
    Ok(survey)
}
