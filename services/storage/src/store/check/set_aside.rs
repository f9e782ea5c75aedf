//! Setting damaged segments aside: what is used of them is copied, as by compaction, and their files are kept in a folder where
//! nobody looks but a person.

use std::collections::BTreeSet;

use super::super::compact::COPY_BYTES;
use super::super::error::{Outcome, StoreError};
use super::super::index::{
    ENTRY, HOLE, JOINED, LOSSES, NODE, ORPHAN, PARENT, ROOT, Row, SECTOR, SNAPSHOT, head_of, key_of, row_damaged, split,
};
use super::super::log::Draft;
use super::super::open::Doubt;
use super::super::scan::Bad;
use super::super::segments::move_to_lost;
use super::super::shared::Shared;

/// The rows that lead to items; that of the last commit is not needed, for another follows.
const ITEM_LETTERS: [u8; 10] = [ROOT, PARENT, JOINED, SNAPSHOT, LOSSES, NODE, ENTRY, SECTOR, HOLE, ORPHAN];
/// Rows that are looked at together: 1 MiB of items without bodies, and some milliseconds in which nobody else writes.
const COPIED_ROWS: usize = 1_000;

impl Shared {
    /// Does without the segments in which something is bad, and without all that was lost. What of them does not open was replaced
    /// before.
    pub(super) fn set_aside(&self, bad: &[Bad], something_lost: bool) -> Outcome<()> {
        let numbers: BTreeSet<u32> = bad.iter().map(|bad| bad.segment).collect();
        for number in &numbers {
            {
                let mut log = self.lock_log();
                if log.active == *number {
                    log.begin_segment(&self.segments)?;
                }
            }
            self.copy_used(*number)?;
            self.commit_segments()?;
            {
                let mut log = self.lock_log();
                self.segments.forget(*number);
                log.dirty.remove(number);
                log.list_dirty = true;
            }
            self.commit_segments()?;
            move_to_lost(self.segments.files.as_ref(), &[*number])?;
        }
        if !numbers.is_empty() {
            // What could not be copied, because a snapshot alone used it, is gone from the index then; and the next commit names
            // the versions that there are.
            self.rebuild_index()?;
        }
        if numbers.is_empty() && !something_lost {
            return Ok(());
        }
        self.write_losses(&Doubt::default())?;
        self.lock_log().missing.clear();
        self.commit_segments()?;
        // Twice: what one list alone does without may be what a stop kept from being removed, and is removed.
        self.commit_segments()?;
        self.set_doubt(Doubt::default());
        Ok(())
    }

    /// Copies the items in a segment that the index leads to, also those in frames that are bad as a whole. What proves nothing,
    /// because it has no body that is sealed, is written as the index knows it.
    fn copy_used(&self, number: u32) -> Outcome<()> {
        for letter in ITEM_LETTERS {
            let mut from: Vec<u8> = Vec::new();
            loop {
                let mut found = Vec::new();
                self.read_index(|index| {
                    index.scan(&[letter], &from, |whole, value| {
                        let row = Row::decode(value).ok_or_else(row_damaged)?;
                        if row.place.segment == number {
                            found.push((whole.to_vec(), row));
                        }
                        Ok(found.len() < COPIED_ROWS)
                    })
                })?;
                let Some((last, _)) = found.last() else { break };
                from = [&last[..], &[0]].concat();
                self.copy_rows(found)?;
            }
        }
        Ok(())
    }

    fn copy_rows(&self, rows: Vec<(Vec<u8>, Row)>) -> Outcome<()> {
        let mut log = self.lock_log();
        let mut draft = Draft::new(log.sequence + 1, COPY_BYTES / 4);
        for (whole, row) in rows {
            // It may be elsewhere by now.
            let there = self.read_index(|index| index.get(&whole))?;
            if there.is_none_or(|value| Row::decode(&value).as_ref() != Some(&row)) {
                continue;
            }
            let (key, sequence) = split(&whole).ok_or_else(row_damaged)?;
            let item = match head_of(key, sequence, &row) {
                Some(head) => head.encode().to_vec(),
                None => match self.segments.item(row.place) {
                    Ok(Some((head, bytes)))
                        if key_of(&head) == key && head.sequence == sequence && Row::of(&head, row.place) == row =>
                    {
                        bytes
                    }
                    // It is of a snapshot only: what shows was replaced.
                    Ok(_) | Err(StoreError::Damaged(_)) => continue,
                    Err(error) => return Err(error),
                },
            };
            if draft.payload().len() + item.len() > COPY_BYTES && !draft.payload().is_empty() {
                let full = std::mem::replace(&mut draft, Draft::new(log.sequence + 2, COPY_BYTES / 4));
                self.need_margin(full.whole_bytes())?;
                self.write_frame(&mut log, full)?;
            }
            draft.push_whole(&item);
        }
        if draft.payload().is_empty() {
            return Ok(());
        }
        self.need_margin(draft.whole_bytes())?;
        self.write_frame(&mut log, draft)
    }
}
