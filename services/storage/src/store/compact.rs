//! Compaction: segments in which little is used are copied, item by item as they are, and removed. It opens
//! nothing. Each step takes the log for one frame only, so that everybody else goes on.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use vat::fault;

use super::error::{Outcome, StoreError};
use super::format::{FRAME_HEAD_BYTES, ItemHead, ItemKind, SEGMENT_HEAD_BYTES, file_name, items};
use super::index::{Index, Place, Row, SEGMENT, Transaction, at, drop_segment, key, key_of, row_damaged};
use super::log::Draft;
use super::scan::{Expected, FoundSegment, scan};
use super::segments::Segment;
use super::shared::Shared;

/// What one frame of copies holds: about what a write brings, so that a writer waits for it no longer than for another.
pub(crate) const COPY_BYTES: usize = 1 << 20;
/// By itself, a segment is given up when less than this part of it is used: then each byte that is copied frees one.
const WORTH_PART: u64 = 2;
/// Asked for by somebody, when an eighth of it is unused: what a copy of seven eighths frees is still something.
const WORTH_PART_ASKED: u64 = 8;
/// Segments that are given up between two commits: so much room it takes beside what there is, at most.
const AT_ONCE: usize = 1;

impl Shared {
    /// Gives up segments; how many bytes that freed.
    pub(crate) fn compact(&self, asked: bool) -> Outcome<u64> {
        if !self.doubt.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
            // The commits in what would be given up say what was lost.
            let why = "something was lost, so no room is given back until a repair did without it";
            return if asked { Err(StoreError::Damaged(why.to_owned())) } else { Ok(0) };
        }
        let _one = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.segments.bytes();
        // What is written meanwhile waits for the next time: commits are dead soon, so there would be no end.
        let end = self.lock_log().active;
        let mut skipped: Vec<u32> = Vec::new();
        while !self.is_abandoned() && !self.closing.load(Ordering::Relaxed) {
            let worth = self.worth(asked, end, &skipped)?;
            if worth.is_empty() {
                break;
            }
            for (number, segment) in worth {
                if !self.give_up(number, &segment)? {
                    skipped.push(number);
                }
            }
        }
        let after = self.segments.bytes();
        Ok(before.saturating_sub(after))
    }

    /// The segments that are worth it, those with the least in use first.
    fn worth(&self, asked: bool, end: u32, skipped: &[u32]) -> Outcome<Vec<(u32, Segment)>> {
        let mut found = Vec::new();
        for (number, segment) in self.segments.all() {
            if number >= end || skipped.contains(&number) {
                continue;
            }
            let live = self.read_index(|index| index.number(&key(SEGMENT, &[&number.to_be_bytes()])))?;
            let dead = segment.length.saturating_sub(live);
            let worth =
                if asked { dead > segment.length / WORTH_PART_ASKED } else { dead > segment.length / WORTH_PART };
            if worth {
                found.push((live, number, segment));
            }
        }
        found.sort_by_key(|(live, number, _)| (*live, *number));
        Ok(found.into_iter().take(AT_ONCE).map(|(_, number, segment)| (number, segment)).collect())
    }

    /// Copies what is used of a segment, and removes it. Not one that is damaged: what is bad in it has to be found again.
    fn give_up(&self, number: u32, segment: &Segment) -> Outcome<bool> {
        let found = FoundSegment::known(segment.head.clone(), segment.length);
        let start = Expected::at_begin_of(&segment.head);
        let mut bad = Vec::new();
        let mut heads: Vec<(ItemHead, Place)> = Vec::new();
        let end = scan(
            self.segments.files.as_ref(),
            Some(&self.own),
            &found,
            SEGMENT_HEAD_BYTES as u64,
            start,
            &mut bad,
            |frame| {
                let all = items(frame.payload).ok_or_else(|| StoreError::Index("a frame has no items".into()))?;
                for item in all {
                    let offset = frame.offset + (FRAME_HEAD_BYTES + item.offset) as u64;
                    let offset = u32::try_from(offset).map_err(|_| StoreError::TooLarge)?;
                    let place = Place::of(&item, number, offset);
                    heads.push((item.head, place));
                }
                Ok(())
            },
        )?;
        if !bad.is_empty() || end != segment.end {
            return Ok(false);
        }
        let mut next = 0;
        while next < heads.len() {
            next = self.copy_some(&heads, next)?;
        }
        fault::point("compaction.copied");
        if heads.iter().any(|(head, _)| head.kind == ItemKind::Root) {
            // It goes with the segment.
            self.lock_log().root_repeated_at = None;
        }
        // A new commit takes the place of the one that may be in it.
        self.commit_segments()?;
        fault::point("compaction.committed");
        self.remove_segment(number, &heads)
    }

    /// Copies what is used of some items in one frame; the first that is left.
    fn copy_some(&self, heads: &[(ItemHead, Place)], mut next: usize) -> Outcome<usize> {
        let mut log = self.lock_log();
        let mut draft = Draft::new(log.sequence + 1, COPY_BYTES / 4);
        while let Some((head, place)) = heads.get(next)
            && (draft.payload().len() + place.length as usize <= COPY_BYTES || draft.payload().is_empty())
        {
            next += 1;
            // The commit that is being copied into is newer.
            if head.kind != ItemKind::Commit && self.is_used(head, *place)? {
                let (_, bytes) = self.item(*place, |found| found == head)?;
                draft.push_whole(&bytes);
            }
        }
        if !draft.payload().is_empty() {
            self.need_margin(draft.whole_bytes())?;
            self.write_frame(&mut log, draft)?;
        }
        Ok(next)
    }

    fn is_used(&self, head: &ItemHead, place: Place) -> Outcome<bool> {
        let whole = at(&key_of(head), head.sequence);
        let row = self.read_index(|index| index.get(&whole))?;
        Ok(row
            .map(|value| Row::decode(&value).ok_or_else(row_damaged))
            .transpose()?
            .is_some_and(|row| row == Row::of(head, place)))
    }

    /// Removes a segment of which nothing is used any more, once a commit is on the disk that does without it.
    fn remove_segment(&self, number: u32, heads: &[(ItemHead, Place)]) -> Outcome<bool> {
        {
            let mut log = self.lock_log();
            for (head, place) in heads {
                if self.is_used(head, *place)? {
                    return Ok(false);
                }
            }
            self.segments.forget(number);
            log.dirty.remove(&number);
        }
        // If what follows is not reached, the next opening removes it, because the commit does not list it.
        self.commit_segments()?;
        fault::point("compaction.listed");
        {
            let _log = self.lock_log();
            let ready = self.read_index(|index| {
                let mut changes = Transaction::new(index);
                drop_segment(&mut changes, number, heads.iter().map(|(head, _)| head.clone()))?;
                changes.ready()
            })?;
            self.commit_index(ready)?;
            self.index.write().unwrap_or_else(PoisonError::into_inner).as_mut().map_or(Ok(()), Index::write_down)?;
        }
        // An index that still leads into what is gone could not be brought to where the segments are.
        self.read_index(Index::flush)?;
        fault::point("compaction.remove");
        self.segments.files.remove(&file_name(number))?;
        fault::point("compaction.removed");
        self.segments.files.sync_folder("segments")?;
        Ok(true)
    }
}
