//! Setting damaged segments aside: what is used of them is copied, as by compaction, and their files are kept in a folder where
//! nobody looks but a person.

use std::collections::BTreeSet;

use super::super::error::Outcome;
use super::super::format::ItemHead;
use super::super::index::{ENTRY, HOLE, JOINED, NODE, ORPHAN, PARENT, Place, ROOT, Row, SECTOR, SNAPSHOT, row_damaged};
use super::super::scan::Bad;
use super::super::segments::move_to_lost;
use super::super::shared::Shared;

/// The rows that lead to items; that of the last commit is not needed, for another follows.
const ITEM_LETTERS: [u8; 9] = [ROOT, PARENT, JOINED, SNAPSHOT, NODE, ENTRY, SECTOR, HOLE, ORPHAN];

impl Shared {
    /// Does without the segments in which something is bad. What of them does not open was replaced before.
    pub(super) fn set_aside(&self, bad: &[Bad]) -> Outcome<()> {
        let numbers: BTreeSet<u32> = bad.iter().map(|bad| bad.segment).collect();
        for number in numbers {
            {
                let mut log = self.lock_log();
                if log.active == number {
                    log.begin_segment(&self.segments)?;
                }
            }
            self.copy_all(&self.heads_in(number)?)?;
            self.commit_segments()?;
            {
                let mut log = self.lock_log();
                self.segments.forget(number);
                log.dirty.remove(&number);
                log.list_dirty = true;
            }
            self.commit_segments()?;
            move_to_lost(self.segments.files.as_ref(), number)?;
        }
        // What could not be copied, because a snapshot alone used it, is gone from the index then; and the next commit names
        // the versions that there are.
        self.rebuild_index()?;
        self.forget_doubts()?;
        self.commit_segments()
    }

    /// The items in a segment that the index leads to, also those in frames that are bad as a whole.
    fn heads_in(&self, number: u32) -> Outcome<Vec<(ItemHead, Place)>> {
        let mut places = Vec::new();
        self.read_index(|index| {
            for letter in ITEM_LETTERS {
                index.scan(&[letter], &[], |_, value| {
                    let row = Row::decode(value).ok_or_else(row_damaged)?;
                    if row.place.segment == number {
                        places.push(row.place);
                    }
                    Ok(true)
                })?;
            }
            Ok(())
        })?;
        let mut heads = Vec::with_capacity(places.len());
        for place in places {
            // One that is not there is of a snapshot, or was replaced meanwhile.
            heads.extend(self.segments.item(place)?.map(|(head, _)| (head, place)));
        }
        Ok(heads)
    }

    fn copy_all(&self, heads: &[(ItemHead, Place)]) -> Outcome<()> {
        let mut next = 0;
        while next < heads.len() {
            next = self.copy_some(heads, next)?;
        }
        Ok(())
    }
}
