//! Reading segments from end to end, with what is wrong in them, a piece at a time.

use super::error::{Outcome, StoreError};
use super::files::Files;
use super::format::{
    FRAME_HEAD_BYTES, FrameHead, Hash, ITEM_HEAD_BYTES, Id, ItemHead, ItemKind, PAYLOAD_LIMIT_BYTES,
    SEGMENT_HEAD_BYTES, SegmentFront, SegmentHead, file_name, number_of, payload_hash,
};
use super::keys::{OwnKeys, TAG_BYTES};
use super::segments::read;
use super::shared::SEGMENT_BYTES;
use super::window::Window;

/// No segment is longer: a frame is added where it ends within `SEGMENT_BYTES`, or is the first. What is beyond was not
/// written by this program, and is not read.
pub(crate) const SEGMENT_LIMIT_BYTES: u64 =
    SEGMENT_BYTES + (SEGMENT_HEAD_BYTES + FRAME_HEAD_BYTES + PAYLOAD_LIMIT_BYTES) as u64;

/// A segment's file as found.
#[derive(Clone)]
pub(crate) struct FoundSegment {
    pub(crate) number: u32,
    pub(crate) length: u64,
    /// Nothing where it is no head of a segment of this number.
    pub(crate) head: Option<SegmentHead>,
    tag: [u8; TAG_BYTES],
}

impl FoundSegment {
    /// One that is known.
    pub(crate) fn known(head: SegmentHead, length: u64) -> Self {
        Self { number: head.number, length, head: Some(head), tag: [0; TAG_BYTES] }
    }

    /// Its head is believed only if the store itself wrote it.
    pub(crate) fn believe(&mut self, store: &Id, keys: &OwnKeys) {
        let tag = self.tag;
        self.head.take_if(|head| !head.is_of(store, &tag, keys));
    }
}

/// All segments that are there, by number.
pub(crate) fn find_segments(files: &dyn Files) -> Outcome<Vec<FoundSegment>> {
    let mut found = Vec::new();
    for name in files.list("segments")? {
        let Some(number) = number_of(&name) else { continue };
        let file = files.open(&file_name(number))?;
        let length = file.length()?;
        let mut bytes = [0; SEGMENT_HEAD_BYTES];
        let got = read(file.as_ref(), 0, &mut bytes)?;
        let (head, tag) = match SegmentHead::decode(&bytes) {
            SegmentFront::Newer { format } => return Err(StoreError::Newer { format }),
            SegmentFront::Head(head, tag) if got == bytes.len() && head.number == number => (Some(head), tag),
            _ => (None, [0; TAG_BYTES]),
        };
        found.push(FoundSegment { number, length, head, tag });
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
    /// The frames that were there, as their neighbours tell: none, if the last comes before the first; the last is unknown at
    /// the end of all.
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

impl Default for Expected {
    fn default() -> Self {
        Self::BEGIN
    }
}

impl Expected {
    /// Before the first frame of a store.
    pub(crate) const BEGIN: Self = Self { sequence: 1, chain: [0; 32] };

    /// The first frame that is lost where, instead of this, something later comes next. Where that comes next indeed, but after
    /// another frame than the one before, it is that one: there were two of them, and one was put in the place of the other.
    pub(crate) fn lost_before(self, next: Self) -> u64 {
        let other = next.sequence == self.sequence && next.chain != self.chain;
        if other { self.sequence.saturating_sub(1) } else { self.sequence }
    }

    /// At the begin of a segment.
    pub(crate) fn at_begin_of(head: &SegmentHead) -> Self {
        Self { sequence: head.first_sequence, chain: head.chain }
    }
}

/// What is found in a segment, one after the other.
pub(crate) enum Found<'a> {
    Frame(FoundFrame<'a>),
    /// Whether what comes next is known to follow what came before.
    Bad(Bad, bool),
}

/// Reads a segment from an offset on. `each` is given every good frame, in order; what lies between is added to `bad`.
/// Without the store's keys nobody can say whether a frame is its own. Returns what is expected after it.
pub(crate) fn scan(
    files: &dyn Files,
    keys: Option<&OwnKeys>,
    segment: &FoundSegment,
    from: u64,
    expected: Expected,
    bad: &mut Vec<Bad>,
    mut each: impl FnMut(FoundFrame<'_>) -> Outcome<()>,
) -> Outcome<Expected> {
    scan_all(files, keys, segment, from, expected, |found| match found {
        Found::Frame(frame) => each(frame),
        Found::Bad(one, _) => {
            bad.push(one);
            Ok(())
        }
    })
}

/// The same with all that is found in the order in which it is there.
pub(crate) fn scan_all(
    files: &dyn Files,
    keys: Option<&OwnKeys>,
    segment: &FoundSegment,
    from: u64,
    mut expected: Expected,
    mut each: impl FnMut(Found<'_>) -> Outcome<()>,
) -> Outcome<Expected> {
    let number = segment.number;
    let file = files.open(&file_name(number))?;
    let end = segment.length.min(SEGMENT_LIMIT_BYTES);
    let mut window = Window::new(file.as_ref(), end);
    let mut at = from;
    while at < segment.length {
        let follows = |(head, _): &(FrameHead, Hash)| {
            head.sequence == expected.sequence && head.before == expected.chain && fits(head, at, end)
        };
        if let Some((head, chain)) = FrameHead::decode(window.at(at, FRAME_HEAD_BYTES)?, keys).filter(follows) {
            expected = Expected { sequence: head.sequence + 1, chain };
            let payload = window.at(at + FRAME_HEAD_BYTES as u64, head.length as usize)?;
            let until = end_of(&head, at);
            if payload_hash(payload) == head.payload {
                each(Found::Frame(FoundFrame { offset: at, head, chain, payload }))?;
            } else {
                let (first, last) = (head.sequence, Some(head.sequence));
                let why = "its content does not have the hash that its head says";
                each(Found::Bad(Bad { segment: number, from: at, until, first, last, why }, true))?;
            }
            at = until;
            continue;
        }
        let next = next_frame(&mut window, keys, at, end, expected.sequence)?;
        let until = next.as_ref().map_or(segment.length, |(offset, _)| *offset);
        let why = "this is no frame of this store that follows the one before";
        let Some((_, head)) = next else {
            let first = expected.sequence;
            each(Found::Bad(Bad { segment: number, from: at, until, first, last: None, why }, true))?;
            break;
        };
        let next = Expected { sequence: head.sequence, chain: head.before };
        let (first, last) = (expected.lost_before(next), Some(next.sequence - 1));
        each(Found::Bad(Bad { segment: number, from: at, until, first, last, why }, next == expected))?;
        expected = next;
        at = until;
    }
    Ok(expected)
}

/// Gives the payloads of the frames that begin with a commit, wherever they are. Of other frames no more than the heads is looked at.
pub(crate) fn scan_commits(
    files: &dyn Files,
    keys: &OwnKeys,
    segment: &FoundSegment,
    mut each: impl FnMut(&FrameHead, &[u8]),
) -> Outcome<()> {
    let file = files.open(&file_name(segment.number))?;
    let end = segment.length.min(SEGMENT_LIMIT_BYTES);
    let mut window = Window::new(file.as_ref(), end);
    let mut at = SEGMENT_HEAD_BYTES as u64;
    while let Some((offset, head)) = next_frame(&mut window, Some(keys), at, end, 0)? {
        let begin = offset + FRAME_HEAD_BYTES as u64;
        let first = ItemHead::decode(window.at(begin, ITEM_HEAD_BYTES)?);
        if first.is_some_and(|first| first.kind == ItemKind::Commit) {
            let payload = window.at(begin, head.length as usize)?;
            if payload_hash(payload) == head.payload {
                each(&head, payload);
            }
        }
        at = end_of(&head, offset);
    }
    Ok(())
}

/// Where a frame ends that begins here.
fn end_of(head: &FrameHead, at: u64) -> u64 {
    at + FRAME_HEAD_BYTES as u64 + u64::from(head.length)
}

fn fits(head: &FrameHead, at: u64, end: u64) -> bool {
    end_of(head, at) <= end
}

/// The next frame whose head is whole and that comes later than the one expected. Each byte is looked at once or twice,
/// whatever they are.
fn next_frame(
    window: &mut Window<'_>,
    keys: Option<&OwnKeys>,
    mut from: u64,
    end: u64,
    expected: u64,
) -> Outcome<Option<(u64, FrameHead)>> {
    loop {
        let bytes = window.from(from, FRAME_HEAD_BYTES)?;
        if bytes.len() < FRAME_HEAD_BYTES {
            return Ok(None);
        }
        let Some(candidate) = FrameHead::candidate(bytes) else {
            // The last bytes may be the beginning of one.
            from += (bytes.len() + 1 - FRAME_HEAD_BYTES) as u64;
            continue;
        };
        from += candidate as u64;
        if let Some((head, _)) = FrameHead::decode(window.at(from, FRAME_HEAD_BYTES)?, keys)
            && head.sequence >= expected
            && fits(&head, from, end)
        {
            return Ok(Some((from, head)));
        }
        from += 1;
    }
}
