//! Building the index anew from the segments.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use vat::fault;

use super::super::error::{Outcome, StoreError};
use super::super::files::Files;
use super::super::format::{FRAME_HEAD_BYTES, Hash, Id, ItemHead, file_name, items};
use super::super::index::{self, Index, Transaction, apply, apply_one, comes_first};
use super::super::keys::OwnKeys;
use super::super::log::Log;
use super::super::scan::{Bad, Expected, FoundFrame, FoundSegment};
use super::super::segments::Segments;
use super::super::shared::Options;
use super::doubt::{Doubt, judge};
use super::survey::{Survey, survey};

/// Items that are gathered before they are applied: 4 MB.
const GATHERED_ITEMS: usize = 20_000;
/// Rows that are written together: with what they hold, some 20 MB.
const GATHERED_ROWS: usize = 60_000;

type Built = (Index, Doubt, Expected, BTreeMap<u32, Hash>);

/// Builds the index anew.
pub(super) fn build(
    files: &dyn Files,
    options: &Options,
    found: &mut Vec<FoundSegment>,
    (store, keys): (&Id, &OwnKeys),
    seen: &mut Survey,
    sure: (u64, u64),
    tidy: bool,
) -> Outcome<Built> {
    let wiped = catch_unwind(AssertUnwindSafe(|| match std::fs::remove_dir_all(&options.index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }));
    wiped.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))?;
    let mut index = Index::open(&options.index, keys)?;
    let mut extra_bad = missing_segments(files, found, seen, tidy)?;
    // First what everything else is judged by.
    let _ = survey(files, found, 0, (store, keys), Vec::new(), |segment, frame| {
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
    // What the reading itself does not show has to be known before the commits are read that name it.
    extra_bad.extend(seen.bad.iter().filter(|bad| bad.from == bad.until).cloned());
    let mut gathered = Gathered::default();
    let (again, ends, end) = survey(files, found, 0, (store, keys), extra_bad, |segment, frame| {
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
    let (last_commit, listed, lost_end) = (seen.last_commit.take(), seen.listed.take(), seen.lost_end.take());
    *seen = Survey { last_commit, listed, lost_end, ..again };
    seen.name_lost_end();
    let mut once = Vec::new();
    for bad in std::mem::take(&mut seen.bad) {
        if !once.contains(&bad) {
            once.push(bad);
        }
    }
    seen.bad = once;
    index.clear_left()?;
    let doubt = judge(&mut index, seen, versions, sure)?;
    // After it was judged, because what was removed is not to be missed.
    settle_all(&mut index)?;
    Ok((index, doubt, end, ends))
}

/// Builds the index anew while the store is in use.
pub(crate) fn rebuild(segments: &Segments, options: &Options, log: &Log) -> Outcome<(Index, Doubt)> {
    let files = segments.files.as_ref();
    let mut found: Vec<FoundSegment> = segments
        .all()
        .into_iter()
        .map(|(number, segment)| FoundSegment {
            number,
            length: segment.length,
            head: (segment.head.first_sequence > 0).then_some(segment.head),
        })
        .collect();
    let (mut seen, _, _) = survey(files, &found, 0, (&log.store, &log.keys), Vec::new(), |_, _| Ok(()))?;
    let (index, doubt, ..) =
        build(files, options, &mut found, (&log.store, &log.keys), &mut seen, (log.sequence, 0), false)?;
    Ok((index, doubt))
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
            let place = index::Place { segment, offset, length: item.head.whole_bytes() };
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

/// Compares the segments with what the last commit names; removes what was given up, and says what is missing.
pub(super) fn missing_segments(
    files: &dyn Files,
    found: &mut Vec<FoundSegment>,
    seen: &Survey,
    tidy: bool,
) -> Outcome<Vec<Bad>> {
    let Some(listed) = &seen.listed else { return Ok(Vec::new()) };
    let mut bad = Vec::new();
    let last_listed = listed.last().map_or(0, |segment| segment.number);
    for (at, one) in listed.iter().enumerate() {
        let there = found.iter().find(|segment| segment.number == one.number);
        let why = match there.map(|segment| &segment.head) {
            None => "the segment is missing",
            Some(Some(head)) if (head.first_sequence, head.chain) != (one.first_sequence, one.start) => {
                "this is another segment than the one that the commits name"
            }
            // One whose head is damaged is told by the reading of it.
            Some(_) => continue,
        };
        let last = listed.get(at + 1).map(|next| next.first_sequence.saturating_sub(1));
        bad.push(Bad { segment: one.number, from: 0, until: 0, first: one.first_sequence, last, why });
    }
    if !tidy {
        return Ok(bad);
    }
    let given_up: HashSet<u32> = found
        .iter()
        .map(|segment| segment.number)
        .filter(|number| *number <= last_listed && !listed.iter().any(|one| one.number == *number))
        .collect();
    for number in &given_up {
        files.remove(&file_name(*number))?;
    }
    found.retain(|segment| !given_up.contains(&segment.number));
    Ok(bad)
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
