//! Building the index anew from the segments.

use std::collections::BTreeSet;

use vat::fault;

use super::super::error::{Outcome, StoreError};
use super::super::files::Files;
use super::super::format::{FRAME_HEAD_BYTES, Hash, Id, ItemHead, items};
use super::super::index::{self, Index, Transaction, apply, apply_one, comes_first};
use super::super::keys::OwnKeys;
use super::super::log::Log;
use super::super::scan::{FoundFrame, FoundSegment};
use super::super::segments::Segments;
use super::super::shared::Options;
use super::doubt::{Doubt, judge};
use super::plan::Plan;
use super::survey::{Survey, survey};

/// Items that are gathered before they are applied: 4 MB.
const GATHERED_ITEMS: usize = 20_000;
/// Rows that are written together: with what they hold, some 20 MB.
const GATHERED_ROWS: usize = 60_000;

/// A new index.
pub(crate) struct Built {
    pub(crate) index: Index,
    pub(crate) doubt: Doubt,
    /// Whether all that is in doubt was written down already.
    pub(crate) is_written: bool,
    /// Each byte that there is to be was read and is there: what is in doubt was lost before.
    pub(crate) is_whole: bool,
}

/// Builds the index anew. It is of use once what is lost was written down. What reading the segments shows is as it was when they
/// were read for it.
pub(super) fn build(
    files: &dyn Files,
    options: &Options,
    plan: &Plan,
    by: (&Id, &OwnKeys),
    seen: &mut Survey,
    sure: (u64, u64),
) -> Outcome<Built> {
    Index::remove(&options.index)?;
    let mut index = Index::open(&options.index, by.1)?;
    index.set_judged(false)?;
    // First what everything else is judged by.
    let _ = survey(files, plan, 0, by.1, |segment, frame| {
        let first: Vec<_> =
            items(frame.payload).into_iter().flatten().filter(|item| comes_first(item.head.kind)).collect();
        if first.is_empty() {
            return Ok(());
        }
        let mut changes = Transaction::new(&index);
        for item in first {
            let begin = frame.offset + FRAME_HEAD_BYTES as u64;
            apply(&mut changes, &[item], (segment.number, begin), 0)?;
        }
        let ready = changes.ready()?;
        Ok(index.commit(ready)?)
    })?;
    fault::point("open.half_built");
    let mut versions = None;
    let last_commit = seen.last_commit.as_ref().map(|(sequence, _)| *sequence);
    let mut gathered = Gathered::default();
    let again = survey(files, plan, 0, by.1, |segment, frame| {
        if Some(frame.head.sequence) == last_commit {
            gathered.flush(&mut index)?;
            versions = Some(index.position.versions);
        }
        gathered.add(segment.number, frame)?;
        if gathered.is_enough() {
            gathered.flush(&mut index)?;
        }
        Ok(())
    })?;
    gathered.flush(&mut index)?;
    let lost_end = seen.lost_end.take();
    *seen = again;
    seen.name_lost_end(lost_end);
    index.clear_left()?;
    let before = Doubt::load(files, &index, by)?;
    let doubt = judge(&index, seen, versions, sure)?;
    let is_whole = seen.bad.is_empty() && doubt.is_empty();
    let doubt = doubt.and(before.clone());
    // After it was judged, because what was removed is not to be missed.
    settle_all(&mut index)?;
    let is_written = doubt == before;
    if is_written {
        index.set_judged(true)?;
    }
    Ok(Built { index, doubt, is_written, is_whole })
}

/// Builds the index anew while the store is in use.
pub(crate) fn rebuild(segments: &Segments, options: &Options, log: &Log) -> Outcome<Built> {
    let files = segments.files.as_ref();
    let known = segments.all().into_values();
    let plan =
        Plan::of_known(known.map(|segment| (FoundSegment::known(segment.head, segment.length), segment.end)).collect());
    let by = (&log.store, &log.keys);
    let mut seen = survey(files, &plan, 0, by.1, |_, _| Ok(()))?;
    build(files, options, &plan, by, &mut seen, (log.sequence, 0))
}

/// Frames that are applied together: the heads of their items, and where those are.
#[derive(Default)]
struct Gathered {
    items: Vec<(ItemHead, index::Place, u64)>,
    segments: BTreeSet<u32>,
    /// The last of them.
    last: Option<(u32, u64, u64, Hash)>,
}

impl Gathered {
    fn add(&mut self, segment: u32, frame: &FoundFrame<'_>) -> Outcome<()> {
        for item in items(frame.payload).into_iter().flatten().filter(|item| !comes_first(item.head.kind)) {
            let begin = frame.offset + (FRAME_HEAD_BYTES + item.offset) as u64;
            let offset = u32::try_from(begin).map_err(|_| StoreError::TooLarge)?;
            let place = index::Place::of(&item, segment, offset);
            self.items.push((item.head, place, frame.head.sequence));
        }
        self.segments.insert(segment);
        self.last = Some((segment, frame.offset, frame.head.sequence, frame.chain));
        Ok(())
    }

    fn is_enough(&self) -> bool {
        self.items.len() >= GATHERED_ITEMS
    }

    fn flush(&mut self, index: &mut Index) -> Outcome<()> {
        let Some((segment, offset, sequence, chain)) = self.last.take() else { return Ok(()) };
        let mut changes = Transaction::new(index);
        for number in std::mem::take(&mut self.segments) {
            index::note_segment(&mut changes, number)?;
        }
        for (head, place, frame) in self.items.drain(..) {
            apply_one(&mut changes, &head, place, head.sequence == frame)?;
            if changes.size() > GATHERED_ROWS {
                // The position stays: until it moves, what was applied of these frames is applied again.
                let ready = changes.ready()?;
                index.commit(ready)?;
                changes = Transaction::new(index);
            }
        }
        changes.move_to((segment, offset), sequence, chain);
        let ready = changes.ready()?;
        Ok(index.commit(ready)?)
    }
}

/// Forgets removals of which nothing is left that they remove, some at a time.
fn settle_all(index: &mut Index) -> Outcome<()> {
    for letter in [index::ENTRY, index::NODE, index::SNAPSHOT] {
        let mut from = Vec::new();
        loop {
            let (mut settled, begin) = (Vec::new(), std::mem::take(&mut from));
            index.scan(&[letter], &begin, |whole, value| {
                let row = index::Row::decode(value).ok_or_else(index::row_damaged)?;
                let (key, _) = index::split(whole).ok_or_else(index::row_damaged)?;
                if row.gone
                    && let Some(dead) = index::dead_key(key)
                    && index.number(&dead)? == 0
                {
                    settled.push(key.to_vec());
                    // The next key after this one.
                    from = [whole, &[0]].concat();
                }
                Ok(settled.len() < GATHERED_ITEMS)
            })?;
            let last = settled.len() < GATHERED_ITEMS;
            let mut changes = Transaction::new(index);
            for key in settled {
                index::settle(&mut changes, &key)?;
            }
            let ready = changes.ready()?;
            index.commit(ready)?;
            if last {
                break;
            }
        }
    }
    Ok(())
}
