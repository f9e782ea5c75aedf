//! Checking everything: every byte of every segment, the signatures, the index against them, and, going down from the
//! root, every seal. To repair is to name every loss, to let what is left be used again, and to set the damaged segments aside.

mod repair;
mod set_aside;
mod tree;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use super::commit::Commit;
use super::error::{Outcome, StoreError};
use super::format::{ItemKind, SEGMENT_HEAD_BYTES, file_name, items, number_of};
use super::open::Doubt;
use super::scan::{Bad, Expected, FoundSegment, scan};
use super::segments::Segment;
use super::shared::Shared;

/// How often progress is told: some hundred times a second at the speed of a fast disk.
const PROGRESS_BYTES: u64 = 16 << 20;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is lost.
    Note,
    /// It was wrong, and is right now.
    Repaired,
    /// Something is lost.
    Lost,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Such as "segment 12 at 4096".
    pub place: String,
    /// What is wrong, and what it means for which file.
    pub what: String,
    /// What was done about it; empty: nothing.
    pub done: String,
}

/// What a check read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames.
    pub frames: u64,
    /// Bytes of segments.
    pub bytes: u64,
    /// Files, all of whose bytes were opened.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// What was wrong and is right now.
    pub repaired: u64,
    /// What is lost.
    pub lost: u64,
    /// Nothing is wrong, or no longer.
    pub clean: bool,
}

/// What whoever had the check made is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something is wrong.
    Found(Finding),
    /// So much was done. It grows, up to the whole.
    Progress {
        /// Bytes that were looked at.
        done_bytes: u64,
        /// Bytes that there are to look at: every segment twice, once as frames and once as what they hold.
        of_bytes: u64,
    },
}

/// Whom to tell, and what was told.
struct Report<'a> {
    tell: &'a mut dyn FnMut(Told) -> ControlFlow<()>,
    summary: Summary,
    stopped: bool,
    /// What was found and is as it was.
    unrepaired: u64,
    done_bytes: u64,
    of_bytes: u64,
    told_bytes: u64,
}

impl Report<'_> {
    fn found(&mut self, severity: Severity, place: String, what: String, done: &str) {
        match severity {
            Severity::Note => {}
            Severity::Repaired => self.summary.repaired += 1,
            Severity::Lost => {
                self.summary.lost += 1;
                self.unrepaired += u64::from(done.is_empty());
            }
        }
        let finding = Finding { severity, place, what, done: done.to_owned() };
        self.tell(Told::Found(finding));
    }

    fn tell(&mut self, what: Told) {
        self.stopped = self.stopped || (self.tell)(what).is_break();
    }

    fn advance(&mut self, bytes: u64) {
        self.done_bytes = self.done_bytes.saturating_add(bytes).min(self.of_bytes);
        if self.done_bytes - self.told_bytes >= PROGRESS_BYTES {
            self.tell_progress();
        }
    }

    fn tell_progress(&mut self) {
        self.told_bytes = self.done_bytes;
        self.tell(Told::Progress { done_bytes: self.done_bytes, of_bytes: self.of_bytes });
    }
}

impl Shared {
    pub(crate) fn check(&self, repair: bool, tell: &mut dyn FnMut(Told) -> ControlFlow<()>) -> Outcome<Summary> {
        // Nothing is taken away meanwhile.
        let _compacting = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = Report {
            tell,
            summary: Summary::default(),
            stopped: false,
            unrepaired: 0,
            done_bytes: 0,
            of_bytes: self.segments.bytes().saturating_mul(2),
            told_bytes: 0,
        };
        report.tell_progress();
        let bad = self.check_segments(repair, &mut report)?;
        self.check_files(repair, &mut report)?;
        self.check_index(repair, &mut report)?;
        let root = self.root();
        let lost = self.doubt.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut doubt = lost.clone();
        if repair {
            // From here on what is left is served, as it was before; the walk names each file of which that is so.
            self.set_doubt(Doubt::default());
        }
        let walked = self.check_tree(&root, repair, &mut doubt, &mut report);
        let stopped = report.stopped || walked.is_err();
        if !stopped {
            name_doubts(&doubt, repair, &mut report);
        }
        if repair && stopped {
            self.set_doubt(lost);
        } else if repair {
            let done = self.set_aside(&bad, !lost.is_empty());
            if done.is_err() {
                self.set_doubt(lost);
            }
            done?;
        }
        walked?;
        report.done_bytes = report.of_bytes;
        report.tell_progress();
        report.summary.snapshots = self.status().snapshots;
        report.summary.clean = report.unrepaired == 0 && !report.stopped;
        Ok(report.summary)
    }

    /// Every byte up to where the segments end now; what of them is bad.
    fn check_segments(&self, repair: bool, report: &mut Report<'_>) -> Outcome<Vec<Bad>> {
        let signers = match self.keys.public_keys() {
            Ok(keys) => Some(keys.into_iter().collect::<BTreeSet<_>>()),
            Err(why) => {
                let what = format!("whose signatures the commits have could not be compared: {why}");
                report.found(Severity::Note, "commits".into(), what, "");
                None
            }
        };
        let done =
            if repair { "what is good in it was copied, and the file was moved to the folder `lost`" } else { "" };
        let mut all_bad: Vec<Bad> = Vec::new();
        // Of commits that somebody else signed: how many, and where the first is.
        let mut foreign: Option<(u64, String)> = None;
        for (number, segment) in self.segments.all() {
            if report.stopped {
                break;
            }
            let Segment { head, length, end } = segment;
            let start = Expected::at_begin_of(&head);
            let mut bad: Vec<Bad> = Vec::new();
            let there = self.segments.bytes_at(number, 0, SEGMENT_HEAD_BYTES)?;
            if there.is_none_or(|bytes| bytes != head.encode(&self.own)) {
                let (first, last) = (start.sequence, Some(start.sequence.saturating_sub(1)));
                let why = "the head of this segment was changed";
                bad.push(Bad { segment: number, from: 0, until: SEGMENT_HEAD_BYTES as u64, first, last, why });
            }
            let found = FoundSegment::known(head, length);
            let mut strange: Vec<(u64, &str)> = Vec::new();
            let mut frames = 0;
            let mut looked_at = SEGMENT_HEAD_BYTES as u64;
            let reached =
                scan(self.segments.files.as_ref(), Some(&self.own), &found, looked_at, start, &mut bad, |frame| {
                    frames += 1;
                    for item in
                        items(frame.payload).into_iter().flatten().filter(|item| item.head.kind == ItemKind::Commit)
                    {
                        match Commit::decode(item.body) {
                            Some(commit) if commit.is_signed(&self.store_id) => {
                                if signers.as_ref().is_some_and(|signers| !signers.contains(&commit.public_key)) {
                                    let place = || format!("segment {number} at {}", frame.offset);
                                    foreign.get_or_insert_with(|| (0, place())).0 += 1;
                                }
                            }
                            _ => strange.push((frame.offset, "the signature of this commit is not its key's")),
                        }
                    }
                    report.advance(frame.offset.saturating_sub(looked_at));
                    looked_at = frame.offset;
                    Ok(())
                })?;
            report.advance(length.saturating_sub(looked_at));
            report.summary.frames += frames;
            report.summary.bytes += length;
            for (offset, what) in strange {
                report.found(Severity::Lost, format!("segment {number} at {offset}"), what.to_owned(), "");
            }
            for one in &bad {
                let what = format!("{} (to {})", one.why, one.until);
                report.found(Severity::Lost, format!("segment {number} at {}", one.from), what, done);
            }
            if bad.is_empty() && reached != end {
                let why = if reached.sequence < end.sequence {
                    "its end is missing"
                } else {
                    "it holds other frames than when it was written"
                };
                report.found(Severity::Lost, format!("segment {number}"), why.to_owned(), done);
                bad.push(Bad { segment: number, from: 0, until: 0, first: start.sequence, last: None, why });
            }
            all_bad.append(&mut bad);
        }
        if let Some((count, first)) = foreign {
            let what = format!(
                "from here on {count} commits are signed with keys that are none of this node's: those of before, where an \
                 older backup of the keys was restored; else somebody else wrote"
            );
            report.found(Severity::Lost, first, what, "");
        }
        Ok(all_bad)
    }

    /// What is in the folder of the segments and is none of them.
    fn check_files(&self, repair: bool, report: &mut Report<'_>) -> Outcome<()> {
        for missing in self.lock_log().missing.clone() {
            let what = "it is missing. Put it back while the node is stopped; a repair does without what was in it";
            let done = if repair { "the store does without it from now on" } else { "" };
            report.found(Severity::Lost, file_name(missing.number), what.to_owned(), done);
        }
        let names = self.segments.files.list("segments")?;
        let known = self.segments.all();
        for name in names.iter().filter(|name| number_of(name).is_none_or(|number| !known.contains_key(&number))) {
            let what =
                "this is no segment of the store, or one that was given up; the next opening takes it away".to_owned();
            report.found(Severity::Note, format!("segments/{name}"), what, "");
        }
        Ok(())
    }

    fn check_index(&self, repair: bool, report: &mut Report<'_>) -> Outcome<()> {
        let verified = self.read_index(|index| index.verify());
        if let Err(StoreError::Index(why)) = verified {
            if repair {
                self.rebuild_index()?;
                report.found(Severity::Repaired, "index".into(), why, "it was built anew");
            } else {
                report.found(Severity::Lost, "index".into(), why, "");
            }
        }
        Ok(())
    }
}

/// Says what was lost of what the walk did not come to.
fn name_doubts(doubt: &Doubt, repair: bool, report: &mut Report<'_>) {
    let all = doubt.all_until.iter().map(|(_, why)| ("everything".to_owned(), why.clone()));
    let each = doubt.nodes.iter().map(|((node, entry), (_, why))| {
        let what = if *entry == [0; 16] { "node" } else { "an entry of directory" };
        (format!("{what} {}", super::node::hex(node)), why.clone())
    });
    let done = if repair { "what is left is served again, as it was before those changes" } else { "" };
    for (place, why) in all.chain(each) {
        report.found(Severity::Lost, place, why, done);
    }
}
