//! Reading the segments: what is in them, and what is wrong with them.

use super::*;

/// A change that was lost.
pub(super) struct Hit {
    /// The last frame with such a change.
    pub(super) sequence: u64,
    pub(super) why: String,
}

/// What reading the segments showed.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) bad: Vec<Bad>,
    /// The frames of commits.
    pub(super) commits: VecDeque<u64>,
    pub(super) last_commit: Option<(u64, Commit)>,
    /// The last that named the segments.
    pub(super) listed: Option<Vec<Listed>>,
    /// What bad frames changed.
    pub(super) hit: HashMap<(Id, [u8; 16]), Hit>,
    /// The versions that the nodes in `hit` should have.
    pub(super) versions: HashMap<Id, u64>,
    /// Frames of which commits that are whole say what they changed.
    pub(super) named: Vec<(u64, u64)>,
    /// What the next commit has to name.
    pub(super) touched: Vec<Touched>,
    pub(super) damage: Vec<String>,
    pub(super) frames: u64,
}

impl Survey {
    pub(super) fn frame(&mut self, store: &Id, frame: &FoundFrame<'_>) -> Outcome<()> {
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
    pub(super) fn note_hits(&mut self, commit: &Commit) {
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
    pub(super) fn synced(&self, note: u64) -> u64 {
        note.max(self.commits.iter().rev().nth(1).copied().unwrap_or(0))
    }
}

pub(super) fn is_in(sequence: u64, bad: &Bad) -> bool {
    sequence >= bad.first && bad.last.is_none_or(|last| sequence <= last)
}

pub(super) fn described(bad: &Bad) -> String {
    let frames = match bad.last {
        Some(last) if last == bad.first => format!("frame {last}"),
        Some(last) => format!("frames {} to {last}", bad.first),
        None => format!("frame {} and those after it", bad.first),
    };
    format!("segment {} at {} to {} ({frames}): {}", bad.segment, bad.from, bad.until, bad.why)
}

/// Reads segments from one on.
pub(super) fn survey(
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
