//! Setting damaged segments aside: what is used of them is copied, as by compaction, and their files are kept in a folder where
//! nobody looks but a person.

use std::collections::BTreeSet;

use super::super::error::{Outcome, StoreError};
use super::super::format::{
    FRAME_HEAD_BYTES, ITEM_HEAD_BYTES, ItemHead, PAYLOAD_LIMIT_BYTES, SEGMENT_HEAD_BYTES, file_name, items,
};
use super::super::index::Place;
use super::super::scan::{Bad, Expected, FoundSegment, SEGMENT_LIMIT_BYTES, scan};
use super::super::shared::Shared;
use super::super::window::Window;

/// Where the files go. A person may remove them.
const LOST: &str = "lost";

impl Shared {
    /// Does without the segments in which something is bad. What of them does not open was replaced before.
    pub(super) fn set_aside(&self, bad: &[Bad]) -> Outcome<()> {
        self.segments.files.make_folder(LOST)?;
        let numbers: BTreeSet<u32> = bad.iter().map(|bad| bad.segment).collect();
        for number in numbers {
            let heads = self.all_heads(number, bad)?;
            {
                let mut log = self.lock_log();
                if log.active == number {
                    log.begin_segment(&self.segments)?;
                }
            }
            self.copy_all(&heads)?;
            self.commit_segments()?;
            {
                let mut log = self.lock_log();
                self.segments.forget(number);
                log.dirty.remove(&number);
                log.list_dirty = true;
            }
            self.commit_segments()?;
            let name = file_name(number);
            let beside = name.replacen("segments/", "lost/", 1);
            self.segments.files.rename(&name, &beside)?;
            self.segments.files.sync_folder(LOST)?;
            self.segments.files.sync_folder("segments")?;
        }
        // What could not be copied, because a snapshot alone used it, is gone from the index then; and the next commit names
        // the versions that there are.
        self.rebuild_index()?;
        self.forget_doubts()?;
        self.commit_segments()
    }

    /// The heads of all items in a segment, those in frames that are bad as far as they can be told apart.
    fn all_heads(&self, number: u32, bad: &[Bad]) -> Outcome<Vec<(ItemHead, Place)>> {
        let Some(segment) = self.segments.get(number) else { return Ok(Vec::new()) };
        let start = Expected { sequence: segment.head.first_sequence, chain: segment.head.chain };
        let found = FoundSegment { number, length: segment.length, head: Some(segment.head) };
        let mut heads = Vec::new();
        let files = self.segments.files.as_ref();
        scan(files, &found, SEGMENT_HEAD_BYTES as u64, start, &mut Vec::new(), |frame| {
            for item in items(frame.payload).into_iter().flatten() {
                let offset = frame.offset + (FRAME_HEAD_BYTES + item.offset) as u64;
                heads.extend(placed(number, offset, item.head));
            }
            Ok(())
        })?;
        let end = segment.length.min(SEGMENT_LIMIT_BYTES);
        let file = self.segments.file(number)?;
        let mut window = Window::new(file.as_ref(), end);
        for bad in bad.iter().filter(|bad| bad.segment == number) {
            let mut at = bad.from + FRAME_HEAD_BYTES as u64;
            while at < bad.until.min(end)
                && let Some(head) = ItemHead::decode(window.at(at, ITEM_HEAD_BYTES)?)
                && head.whole_bytes() as usize <= PAYLOAD_LIMIT_BYTES
            {
                let next = at + u64::from(head.whole_bytes());
                heads.extend(placed(number, at, head));
                at = next;
            }
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

fn placed(segment: u32, offset: u64, head: ItemHead) -> Option<(ItemHead, Place)> {
    let offset = u32::try_from(offset).map_err(|_| StoreError::TooLarge).ok()?;
    let length = head.whole_bytes();
    Some((head, Place { segment, offset, length }))
}
