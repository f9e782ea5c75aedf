//! Reading segments from end to end, with what is wrong in them.

use std::sync::Arc;

use super::error::{Outcome, StoreError};
use super::files::{Files, StoreFile};
use super::format::{
    FRAME_HEAD_BYTES, FrameHead, Hash, PAYLOAD_LIMIT_BYTES, SEGMENT_HEAD_BYTES, SegmentFront, SegmentHead, file_name,
    number_of, payload_hash,
};
use super::log::read;
use super::shared::SEGMENT_BYTES;

/// No segment is longer: it takes no frame beyond its length, but for one that is too large for any. What a file has beyond this is not
/// of the store, and is not read into memory.
const SEGMENT_LIMIT_BYTES: u64 = SEGMENT_BYTES + (SEGMENT_HEAD_BYTES + FRAME_HEAD_BYTES + PAYLOAD_LIMIT_BYTES) as u64;

/// A segment's file as found.
pub(crate) struct FoundSegment {
    pub(crate) number: u32,
    pub(crate) file: Arc<dyn StoreFile>,
    pub(crate) length: u64,
    /// Nothing where it is no head of a segment of this number.
    pub(crate) head: Option<SegmentHead>,
}

/// All segments that are there, by number.
pub(crate) fn find_segments(files: &dyn Files) -> Outcome<Vec<FoundSegment>> {
    let mut found = Vec::new();
    for name in files.list("segments")? {
        let Some(number) = number_of(&name) else { continue };
        let file = files.open(&file_name(number))?;
        let length = file.length()?.min(SEGMENT_LIMIT_BYTES);
        let mut bytes = [0; SEGMENT_HEAD_BYTES];
        let got = read(file.as_ref(), 0, &mut bytes)?;
        let head = match SegmentHead::decode(&bytes) {
            _ if got < bytes.len() => None,
            SegmentFront::Newer { format } => return Err(StoreError::Newer { format }),
            SegmentFront::Head(head) => (head.number == number).then_some(head),
            SegmentFront::Other => None,
        };
        found.push(FoundSegment { number, file, length, head });
    }
    found.sort_by_key(|segment| segment.number);
    Ok(found)
}

/// A frame as found.
pub(crate) struct FoundFrame<'a> {
    pub(crate) offset: u64,
    pub(crate) head: FrameHead,
    /// After it.
    pub(crate) chain: Hash,
    pub(crate) payload: &'a [u8],
}

/// Bytes that are no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) segment: u32,
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// The frames that were there, as their neighbours tell; the last is unknown at the end of all.
    pub(crate) first: u64,
    pub(crate) last: Option<u64>,
    pub(crate) why: &'static str,
}

/// Where a reader of frames is: the next sequence and the chain before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) sequence: u64,
    pub(crate) chain: Hash,
}

/// Reads a segment from an offset on. `each` is given every good frame, in order; what lies between is added to `bad`.
/// Returns what is expected after it.
pub(crate) fn scan(
    segment: &FoundSegment,
    from: u64,
    mut expected: Expected,
    bad: &mut Vec<Bad>,
    mut each: impl FnMut(FoundFrame<'_>) -> Outcome<()>,
) -> Outcome<Expected> {
    let mut bytes = vec![0; usize::try_from(segment.length).map_err(|_| StoreError::TooLarge)?];
    let got = read(segment.file.as_ref(), 0, &mut bytes)?;
    bytes.truncate(got);
    let mut at = usize::try_from(from).map_err(|_| StoreError::TooLarge)?;
    while at < bytes.len() {
        match frame_at(&bytes, at) {
            Some((head, chain, payload)) if head.sequence == expected.sequence && head.before == expected.chain => {
                expected = Expected { sequence: head.sequence + 1, chain };
                let end = at + FRAME_HEAD_BYTES + head.length as usize;
                if payload_hash(payload) == head.payload {
                    each(FoundFrame { offset: at as u64, head, chain, payload })?;
                } else {
                    let (first, last) = (head.sequence, Some(head.sequence));
                    let (from, until) = (at as u64, end as u64);
                    let why = "its content does not have the hash that its head says";
                    bad.push(Bad { segment: segment.number, from, until, first, last, why });
                }
                at = end;
            }
            _ => {
                let next = next_frame(&bytes, at + 1, expected.sequence);
                let until = next.as_ref().map_or(bytes.len(), |(offset, _)| *offset);
                bad.push(Bad {
                    segment: segment.number,
                    from: at as u64,
                    until: until as u64,
                    first: expected.sequence,
                    last: next.as_ref().map(|(_, head)| head.sequence.saturating_sub(1)),
                    why: "this is no frame that follows the one before",
                });
                if let Some((_, head)) = next {
                    expected = Expected { sequence: head.sequence, chain: head.before };
                }
                at = until;
            }
        }
    }
    Ok(expected)
}

/// The frame that begins here, if its head is whole and its payload within.
fn frame_at(bytes: &[u8], at: usize) -> Option<(FrameHead, Hash, &[u8])> {
    let (head, chain) = FrameHead::decode(bytes.get(at..)?)?;
    let begin = at + FRAME_HEAD_BYTES;
    let payload = bytes.get(begin..begin + head.length as usize)?;
    Some((head, chain, payload))
}

/// The next whole frame that comes later than the one expected.
fn next_frame(bytes: &[u8], mut from: usize, expected: u64) -> Option<(usize, FrameHead)> {
    while let Some(at) = FrameHead::candidate(bytes, from) {
        if let Some((head, _, payload)) = frame_at(bytes, at)
            && head.sequence >= expected
            && payload_hash(payload) == head.payload
        {
            return Some((at, head));
        }
        from = at + 1;
    }
    None
}
