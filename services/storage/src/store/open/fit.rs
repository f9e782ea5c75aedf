//! Bringing the index and the segments together: whether they belong to each other, cutting off what was never made sure of,
//! and applying what the index does not have yet.

use std::collections::BTreeSet;

use super::super::error::Outcome;
use super::super::files::Files;
use super::super::format::{FRAME_HEAD_BYTES, FrameHead, SEGMENT_HEAD_BYTES, Take, file_name, items};
use super::super::index::{self, Index, IndexError, Transaction, apply};
use super::super::keys::OwnKeys;
use super::super::scan::{Bad, FoundFrame, FoundSegment};
use super::super::segments::{copy_to_lost, move_to_lost, read};
use super::plan::Plan;
use super::survey::survey;

/// Why the index does not belong to these segments.
pub(super) fn misplaced(files: &dyn Files, index: &Index, plan: &Plan) -> Outcome<Option<String>> {
    let position = &index.position;
    if position.sequence == 0 {
        let empty = position.rows == 0;
        return Ok((!empty).then(|| "it begins nowhere".to_owned()));
    }
    let Some(segment) = plan.file(position.segment) else {
        return Ok(Some("it ends in a segment that is not there".into()));
    };
    let mut bytes = [0; FRAME_HEAD_BYTES];
    let file = files.open(&file_name(segment.number))?;
    let got = read(file.as_ref(), position.offset, &mut bytes)?;
    let fits = FrameHead::decode(&bytes[..got], None)
        .is_some_and(|(head, chain)| head.sequence == position.sequence && chain == position.chain);
    Ok((!fits).then(|| "it ends in a frame that is not there".to_owned()))
}

/// Why an index that is behind cannot be caught up: of what was given up since, nothing tells it.
pub(super) fn outrun(index: &Index, plan: &Plan, knows_losses: bool) -> Outcome<Option<String>> {
    let there: BTreeSet<u32> = plan.files().map(|segment| segment.number).collect();
    let end = there.last().copied().unwrap_or(0);
    if !knows_losses && plan.segments.iter().any(|planned| planned.file.is_none()) {
        return Ok(Some("a segment is missing".to_owned()));
    }
    let whole = knows_losses || (index.position.segment.max(1)..=end).all(|number| there.contains(&number));
    let mut all_there = true;
    let mut known = BTreeSet::new();
    index.scan(&[index::KNOWN], &[], |key, _| {
        let number = Take(&key[1..]).array().map(u32::from_be_bytes);
        all_there = all_there && number.is_some_and(|number| there.contains(&number));
        known.extend(number);
        Ok(true)
    })?;
    if there.iter().any(|number| *number <= index.position.segment && !known.contains(number)) {
        return Ok(Some("a segment is there again that it did not hear of".to_owned()));
    }
    Ok((!whole || !all_there).then(|| "segments were given up that it did not hear of".to_owned()))
}

/// What was done about a torn end.
#[derive(Default)]
pub(super) struct Cut {
    /// Something was cut off or taken away.
    pub(super) is_done: bool,
    /// What is kept of it, by name.
    pub(super) kept: Vec<String>,
}

/// Cuts off everything from a place on. What is to be kept of it goes to what is lost.
pub(super) fn cut(files: &dyn Files, found: &mut Vec<FoundSegment>, torn: &Bad, keep: Keep) -> Outcome<Cut> {
    let keep_bytes = if torn.from < SEGMENT_HEAD_BYTES as u64 { 0 } else { torn.from };
    let mut cut = Cut::default();
    let mut gone = Vec::new();
    for segment in found.iter_mut() {
        if segment.number == torn.segment && torn.until > 0 && keep_bytes > 0 {
            if keep != Keep::Nothing {
                match copy_to_lost(files, segment.number, keep_bytes) {
                    Ok(name) => cut.kept.push(name),
                    Err(error) if keep == Keep::All => return Err(error.into()),
                    Err(_) => {}
                }
            }
            let file = files.open(&file_name(segment.number))?;
            file.set_length(keep_bytes)?;
            file.sync()?;
            cut.is_done |= segment.length > keep_bytes;
            segment.length = keep_bytes;
        } else if segment.number > torn.segment || (segment.number == torn.segment && torn.until > 0) {
            // One without a head of its own may be another segment under a wrong name.
            let is_other = segment.head.is_none() && segment.length > SEGMENT_HEAD_BYTES as u64;
            gone.push((segment.number, keep != Keep::Nothing || is_other));
        }
    }
    cut.is_done |= !gone.is_empty();
    // From the end, so that what is left after a failure is still a beginning.
    for (number, keep) in gone.iter().rev() {
        if *keep {
            cut.kept.extend(move_to_lost(files, &[*number])?);
        } else {
            files.remove(&file_name(*number))?;
        }
    }
    found.retain(|segment| gone.iter().all(|(number, _)| *number != segment.number));
    files.sync_folder("segments")?;
    Ok(cut)
}

/// How much of a torn end is kept for people.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    /// As far as there is room.
    IfPossible,
    All,
}

/// Applies the frames that the index does not have.
pub(super) fn catch_up(files: &dyn Files, index: &mut Index, plan: &Plan, keys: &OwnKeys) -> Outcome<u64> {
    let (from, last) = (index.position.segment, index.position.sequence);
    let mut replayed = 0;
    survey(files, plan, from, keys, |segment, frame| {
        if frame.head.sequence <= last {
            return Ok(());
        }
        replayed += 1;
        let mut changes = Transaction::new(index);
        apply_frame(&mut changes, segment, frame)?;
        changes.move_to((segment.number, frame.offset), frame.head.sequence, frame.chain);
        let ready = changes.ready()?;
        Ok(index.commit(ready)?)
    })?;
    Ok(replayed)
}

fn apply_frame(
    changes: &mut Transaction<'_>,
    segment: &FoundSegment,
    frame: &FoundFrame<'_>,
) -> Result<(), IndexError> {
    let found = items(frame.payload).ok_or_else(|| IndexError("a frame does not consist of items".into()))?;
    let begin = frame.offset + FRAME_HEAD_BYTES as u64;
    apply(changes, &found, (segment.number, begin), frame.head.sequence)
}
