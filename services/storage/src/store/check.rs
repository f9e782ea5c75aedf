//! Checking everything: every byte of every segment, the signatures, the index against them, and, going down from the
//! root, every seal.

use std::ops::ControlFlow;
use std::sync::PoisonError;

use super::commit::Commit;
use super::content::SECTOR_BYTES;
use super::error::{Outcome, StoreError};
use super::format::{ItemKind, SEGMENT_HEAD_BYTES, file_name, items};
use super::index::{DAMAGED, Transaction};
use super::log::Segment;
use super::node::{Kind, Node};
use super::open::Doubt;
use super::scan::{Bad, Expected, FoundSegment, scan};
use super::shared::Shared;

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

/// What a check tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something is wrong.
    Found(Finding),
    /// It is that far: of what there was to read when it began, at most all.
    Progress {
        /// Read, once raw and once opened.
        done_bytes: u64,
        /// To be read.
        of_bytes: u64,
    },
}

/// Between two words about progress: some hundredths of a second.
const PROGRESS_BYTES: u64 = 16 << 20;

/// Whom to tell, and what was told.
struct Report<'a> {
    tell: &'a mut dyn FnMut(Told) -> ControlFlow<()>,
    summary: Summary,
    stopped: bool,
    done_bytes: u64,
    told_bytes: u64,
    of_bytes: u64,
}

impl Report<'_> {
    fn found(&mut self, severity: Severity, place: String, what: String, done: &str) {
        match severity {
            Severity::Note => {}
            Severity::Repaired => self.summary.repaired += 1,
            Severity::Lost => self.summary.lost += 1,
        }
        let finding = Finding { severity, place, what, done: done.to_owned() };
        self.stopped = self.stopped || (self.tell)(Told::Found(finding)).is_break();
    }

    fn read(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        if self.done_bytes - self.told_bytes >= PROGRESS_BYTES {
            self.told_bytes = self.done_bytes;
            // What is written meanwhile is read as well.
            let told = Told::Progress { done_bytes: self.done_bytes.min(self.of_bytes), of_bytes: self.of_bytes };
            self.stopped = self.stopped || (self.tell)(told).is_break();
        }
    }
}

impl Shared {
    pub(crate) fn check(&self, repair: bool, tell: &mut dyn FnMut(Told) -> ControlFlow<()>) -> Outcome<Summary> {
        // Nothing is taken away meanwhile.
        let _compacting = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let status = self.status();
        let of_bytes = status.bytes + status.live_bytes;
        let summary = Summary::default();
        let mut report = Report { tell, summary, stopped: false, done_bytes: 0, told_bytes: 0, of_bytes };
        self.check_segments(&mut report)?;
        self.check_index(repair, &mut report)?;
        let root = self.root()?;
        self.check_tree(&root, "", &mut report)?;
        self.name_doubts(repair, &mut report)?;
        report.summary.snapshots = self.status().snapshots;
        report.summary.clean = report.summary.lost == 0 && !report.stopped;
        Ok(report.summary)
    }

    /// Every byte up to where the segments end now.
    fn check_segments(&self, report: &mut Report<'_>) -> Outcome<()> {
        let mut before: Option<(u32, Expected)> = None;
        for (number, segment) in self.segments.all() {
            if report.stopped {
                return Ok(());
            }
            let Segment { file, head, length, .. } = segment;
            let start = Expected { sequence: head.first_sequence, chain: head.chain };
            if let Some((last, expected)) = before
                && last + 1 == number
                && expected != start
            {
                let what = "it does not begin where the one before ends".to_owned();
                report.found(Severity::Lost, file_name(number), what, "");
            }
            let mut bad: Vec<Bad> = Vec::new();
            let found = FoundSegment { number, file, length, head: Some(head) };
            let mut unsigned = Vec::new();
            let end = scan(&found, SEGMENT_HEAD_BYTES as u64, start, &mut bad, |frame| {
                report.summary.frames += 1;
                report.read(frame.payload.len() as u64);
                for item in items(frame.payload).into_iter().flatten() {
                    let is_commit = item.head.kind == ItemKind::Commit;
                    if is_commit && !Commit::decode(item.body).is_some_and(|one| one.is_signed(&self.store_id)) {
                        unsigned.push(frame.offset);
                    }
                }
                Ok(())
            })?;
            report.summary.bytes += length;
            for offset in unsigned {
                let what = "the signature of this commit is not its key's".to_owned();
                report.found(Severity::Lost, format!("segment {number} at {offset}"), what, "");
            }
            for bad in bad {
                let what = format!("{} (to {})", bad.why, bad.until);
                report.found(Severity::Lost, format!("segment {number} at {}", bad.from), what, "");
            }
            before = Some((number, end));
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

    /// Everything below a directory, with every snapshot's directory in its turn.
    fn check_tree(&self, root: &Node, path: &str, report: &mut Report<'_>) -> Outcome<()> {
        let mut waiting = vec![(root.clone(), path.to_owned())];
        while let Some((directory, path)) = waiting.pop() {
            if report.stopped {
                return Ok(());
            }
            report.summary.directories += u64::from(!directory.is_snapshot());
            let shown = if path.is_empty() { "/" } else { &path };
            if !directory.is_snapshot() {
                for snapshot in self.all_snapshots(&directory)? {
                    match self.with_sound_index(|| self.open_snapshot(&directory, snapshot)) {
                        Ok(then) => waiting.push((then, format!("{path}@{snapshot}"))),
                        Err(StoreError::UnknownSnapshot) => {}
                        Err(error) => {
                            report.found(Severity::Lost, format!("{shown}@{snapshot}"), error.to_string(), "");
                        }
                    }
                }
            }
            for found in self.with_sound_index(|| self.links_of(&directory))? {
                match found {
                    Ok(link) => {
                        let name = format!("{path}/{}", String::from_utf8_lossy(&link.name));
                        let child = self.node_of(&directory, &link);
                        if link.kind == Kind::Directory {
                            waiting.push((child, name));
                        } else {
                            self.check_file(&child, &name, report)?;
                        }
                    }
                    Err(StoreError::Damaged(why)) => report.found(Severity::Lost, shown.to_owned(), why, ""),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn check_file(&self, file: &Node, name: &str, report: &mut Report<'_>) -> Outcome<()> {
        let mut buffer = vec![0; 64 * SECTOR_BYTES as usize];
        let mut offset = 0;
        let mut whole = true;
        while !report.stopped {
            match self.with_sound_index(|| self.read(file, offset, &mut buffer)) {
                Ok(0) => break,
                Ok(got) => {
                    offset += got as u64;
                    report.read(got as u64);
                }
                // Removed meanwhile.
                Err(StoreError::NotFound) => return Ok(()),
                Err(StoreError::Damaged(why)) => {
                    report.found(Severity::Lost, name.to_owned(), why, "");
                    whole = false;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        report.summary.files += u64::from(whole && !file.is_snapshot());
        Ok(())
    }

    fn all_snapshots(&self, directory: &Node) -> Outcome<Vec<u64>> {
        Ok(self.with_sound_index(|| self.snapshot_rows(&directory.id()))?.into_iter().map(|(id, ..)| id).collect())
    }

    /// Says what was lost before, and, to repair, lets what remains of directories be used again: entries that are
    /// known to have changed since are reported once and then are what they were before.
    fn name_doubts(&self, repair: bool, report: &mut Report<'_>) -> Outcome<()> {
        let doubt = self.doubt.read().unwrap_or_else(PoisonError::into_inner).clone();
        let all = doubt.all_until.iter().map(|(_, why)| ("everything".to_owned(), why.clone()));
        let each = doubt.nodes.iter().map(|((node, entry), why)| {
            let what = if *entry == [0; 16] { "node" } else { "an entry of directory" };
            (format!("{what} {}", super::node::hex(node)), why.clone())
        });
        let done = if repair { "what is left of it is served again, as it was before" } else { "" };
        for (place, why) in all.chain(each) {
            report.found(Severity::Lost, place, why, done);
        }
        if repair && (doubt.all_until.is_some() || !doubt.nodes.is_empty()) {
            let _log = self.lock_log();
            let ready = self.read_index(|index| {
                let mut changes = Transaction::new(index);
                for (key, _) in changes.all(&[DAMAGED])? {
                    changes.set(key, None)?;
                }
                changes.ready()
            })?;
            self.commit_index(ready)?;
            *self.doubt.write().unwrap_or_else(PoisonError::into_inner) = Doubt::default();
        }
        Ok(())
    }
}
