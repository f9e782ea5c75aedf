//! Making the index anew from the segments.

use super::*;

/// Rows that are gathered before they are written while the index is built: about 4 MB.
const GATHERED_ROWS: usize = 20_000;

pub(super) fn apply_frame(
    changes: &mut Transaction<'_>,
    segment: &FoundSegment,
    frame: &FoundFrame<'_>,
) -> Result<(), IndexError> {
    let found = items(frame.payload).ok_or_else(|| IndexError("a frame does not consist of items".into()))?;
    let begin = frame.offset + FRAME_HEAD_BYTES as u64;
    apply(changes, &found, (segment.number, begin), frame.head.sequence)
}

pub(super) type Built = (Index, Doubt, Expected, BTreeMap<u32, Hash>);

/// Builds the index anew.
pub(super) fn build(
    files: &Arc<dyn Files>,
    options: &Options,
    found: &mut Vec<FoundSegment>,
    store: &Id,
    seen: &mut Survey,
    sure: (u64, u64),
    tidy: bool,
) -> Outcome<Built> {
    let wiped = catch_unwind(AssertUnwindSafe(|| match std::fs::remove_dir_all(&options.index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }));
    wiped.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))?;
    let mut index = Index::open(&options.index)?;
    let mut extra_bad = missing_segments(files.as_ref(), found, seen, tidy)?;
    // First what everything else is judged by.
    let _ = survey(found, 0, None, store, Vec::new(), |segment, frame| {
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
    let (again, ends, end) = survey(found, 0, None, store, extra_bad, |segment, frame| {
        if Some(frame.head.sequence) == last_commit {
            gathered.flush(&mut index)?;
            versions = Some(index.position.versions);
        }
        gathered.add(segment.number, frame);
        if gathered.rows >= GATHERED_ROWS {
            gathered.flush(&mut index)?;
        }
        Ok(())
    })?;
    gathered.flush(&mut index)?;
    let (last_commit, listed) = (seen.last_commit.take(), seen.listed.take());
    *seen = Survey { last_commit, listed, ..again };
    let mut once = Vec::new();
    for bad in std::mem::take(&mut seen.bad) {
        if !once.contains(&bad) {
            once.push(bad);
        }
    }
    seen.bad = once;
    settle_all(&mut index)?;
    let doubt = judge(&mut index, seen, versions, sure)?;
    Ok((index, doubt, end, ends))
}

/// Builds the index anew while the store is in use.
pub(crate) fn rebuild(segments: &crate::store::log::Segments, options: &Options, log: &Log) -> Outcome<(Index, Doubt)> {
    let mut found: Vec<FoundSegment> = segments
        .all()
        .into_iter()
        .map(|(number, segment)| FoundSegment {
            number,
            file: segment.file,
            length: segment.length,
            head: (segment.head.first_sequence > 0).then_some(segment.head),
        })
        .collect();
    let (mut seen, _, _) = survey(&found, 0, None, &log.store, Vec::new(), |_, _| Ok(()))?;
    let (index, doubt, ..) =
        build(&segments.files, options, &mut found, &log.store, &mut seen, (log.sequence, 0), false)?;
    Ok((index, doubt))
}

/// Frames that are applied together.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) frames: Vec<(u32, u64, u64, Hash, Vec<u8>)>,
    pub(super) rows: usize,
}

impl Gathered {
    pub(super) fn add(&mut self, segment: u32, frame: &FoundFrame<'_>) {
        // Only the heads of items are needed, but they are parsed with their bodies.
        self.rows += 4 + frame.payload.len() / 2_048;
        let payload = frame.payload.to_vec();
        self.frames.push((segment, frame.offset, frame.head.sequence, frame.chain, payload));
    }

    pub(super) fn flush(&mut self, index: &mut Index) -> Outcome<()> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let mut changes = Transaction::new(index);
        for (segment, offset, sequence, chain, payload) in &self.frames {
            // What comes first was applied, as a whole, before.
            index::note_segment(&mut changes, *segment)?;
            for item in items(payload).into_iter().flatten().filter(|item| !comes_first(item.head.kind)) {
                let begin = offset + (FRAME_HEAD_BYTES + item.offset) as u64;
                let place = index::Place {
                    segment: *segment,
                    offset: u32::try_from(begin).map_err(|_| StoreError::TooLarge)?,
                    length: item.head.whole_bytes(),
                };
                apply_one(&mut changes, &item.head, place, item.head.sequence == *sequence)?;
            }
            changes.move_to((*segment, *offset), *sequence, *chain);
        }
        let ready = changes.ready()?;
        index.commit(ready)?;
        *self = Self::default();
        Ok(())
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

/// Forgets removals of which nothing is left that they remove.
pub(super) fn settle_all(index: &mut Index) -> Outcome<()> {
    let mut keys = Vec::new();
    for letter in [index::ENTRY, index::NODE, index::SNAPSHOT] {
        index.scan(&[letter], &[], |whole, value| {
            let row = index::Row::decode(value).ok_or_else(index::row_damaged)?;
            let (key, _) = index::split(whole).ok_or_else(index::row_damaged)?;
            if row.gone {
                keys.push(key.to_vec());
            }
            Ok(true)
        })?;
    }
    let mut changes = Transaction::new(index);
    for key in keys {
        if let Some(dead) = index::dead_key(&key)
            && changes.number(&dead)? == 0
        {
            index::settle(&mut changes, &key)?;
        }
    }
    let ready = changes.ready()?;
    Ok(index.commit(ready)?)
}
