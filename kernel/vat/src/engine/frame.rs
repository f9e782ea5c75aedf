//! Reading frames: every claim of a header is checked before anything is reserved for it.

use super::fault::Fault;
use crate::bounds::{Bounds, NESTING_LIMIT, SEGMENTS_LIMIT, TRAVERSAL_FACTOR, TRAVERSAL_FLOOR_WORDS};
use crate::transport::Transport;
use capnp::Word;
use capnp::message::{Reader, ReaderOptions, ReaderSegments};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

const WORD_BYTES: usize = 8;

/// The longest header: the count, a length for each segment, padding to a word.
const HEADER_LIMIT_BYTES: usize = (SEGMENTS_LIMIT / 2 + 1) * WORD_BYTES;

/// What one read takes at most. Large enough that a pipeline of small calls comes in one go.
const READ_BYTES: usize = 64 << 10;

thread_local! {
    /// What is read into before it is known how much belongs together. All links of a thread share it, so that an
    /// idle link holds none.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// The segments of a message, in one piece of memory.
pub(crate) struct Frame {
    words: Vec<Word>,
    /// Where each segment ends, in words; empty for a single segment, as nearly every message has.
    ends: Vec<u32>,
}

impl Frame {
    fn bytes(&self) -> &[u8] {
        Word::words_to_bytes(&self.words)
    }

    /// A message with this frame, for bounded reading.
    fn into_message(self) -> Message {
        let limit_words = self.words.len() * TRAVERSAL_FACTOR + TRAVERSAL_FLOOR_WORDS;
        let mut options = ReaderOptions::new();
        options.traversal_limit_in_words(Some(limit_words)).nesting_limit(NESTING_LIMIT);
        let size_bytes = self.words.len() * WORD_BYTES;
        Message { reader: Reader::new(self, options), size_bytes }
    }
}

impl ReaderSegments for Frame {
    fn get_segment(&self, id: u32) -> Option<&[u8]> {
        let index = id as usize;
        if self.ends.is_empty() {
            return if index == 0 { Some(self.bytes()) } else { None };
        }
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.bytes().get(start * WORD_BYTES..end * WORD_BYTES)
    }

    fn len(&self) -> usize {
        self.ends.len().max(1)
    }
}

/// A message that came in.
pub(crate) struct Message {
    pub(crate) reader: Reader<Frame>,
    /// Without its header.
    pub(crate) size_bytes: usize,
}

/// What a header says.
struct Header {
    length_bytes: usize,
    words: usize,
    ends: Vec<u32>,
}

impl Header {
    /// The header at the beginning of `bytes`; nothing if it is not all there.
    fn parse(bytes: &[u8], message_limit_bytes: usize) -> Result<Option<Header>, Fault> {
        let Some(count) = word32(bytes, 0) else { return Ok(None) };
        let count = u64::from(count) + 1;
        if count > SEGMENTS_LIMIT as u64 {
            return Err(Fault::Segments(count));
        }
        let count = count as usize;
        let length_bytes = (count / 2 + 1) * WORD_BYTES;
        if bytes.len() < length_bytes {
            return Ok(None);
        }
        let mut ends = Vec::new();
        let mut words = 0u64;
        for index in 0..count {
            words += u64::from(word32(bytes, 4 + index * 4).unwrap_or(0));
            if count > 1 {
                // below 64 segments of 2^32 words this can be over 2^32; the check below then refuses the frame
                ends.push(words as u32);
            }
        }
        if words * WORD_BYTES as u64 > message_limit_bytes as u64 {
            return Err(Fault::TooLarge(words * WORD_BYTES as u64));
        }
        if words == 0 {
            return Err(Fault::Empty);
        }
        Ok(Some(Header { length_bytes, words: words as usize, ends }))
    }
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A frame whose body is not all there yet.
struct Partial {
    frame: Frame,
    filled_bytes: usize,
}

/// Turns bytes into messages.
#[derive(Default)]
pub(crate) struct FrameReader {
    ready: VecDeque<Message>,
    partial: Option<Partial>,
    /// The beginning of a header.
    header: Vec<u8>,
    fault: Option<Fault>,
    /// Frames that were all there.
    whole_frames: u64,
}

impl FrameReader {
    /// The number of the frame that was begun and is not all there, if there is one.
    pub(crate) fn begun_frame(&self) -> Option<u64> {
        (self.partial.is_some() || !self.header.is_empty()).then_some(self.whole_frames)
    }

    /// The next message; nothing at the end of the stream, whether or not a frame was begun.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        transport: &mut dyn Transport,
        bounds: &Bounds,
    ) -> Poll<Result<Option<Message>, Fault>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Poll::Ready(Ok(Some(message)));
            }
            if let Some(fault) = self.fault.take() {
                return Poll::Ready(Err(fault));
            }
            let read = match &mut self.partial {
                Some(partial) => ready!(partial.poll_fill(context, transport)),
                None => ready!(self.poll_scratch(context, transport, bounds)),
            };
            // a reset means that the other end went with bytes of ours unread: for reading it is an end
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(Ok(None));
            }
            if self.partial.as_ref().is_some_and(Partial::is_whole)
                && let Some(partial) = self.partial.take()
            {
                self.finish(partial.frame);
            }
        }
    }

    fn finish(&mut self, frame: Frame) {
        self.whole_frames += 1;
        self.ready.push_back(frame.into_message());
    }

    /// Reads once into the shared piece of memory and takes apart what came.
    fn poll_scratch(
        &mut self,
        context: &mut Context<'_>,
        transport: &mut dyn Transport,
        bounds: &Bounds,
    ) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let kept = self.header.len();
            let count = match ready!(transport.poll_read(context, &mut scratch[kept..])) {
                Ok(count @ 1..) => count,
                end => return Poll::Ready(end),
            };
            scratch[..kept].copy_from_slice(&self.header);
            self.header.clear();
            if let Err(fault) = self.split(&scratch[..kept + count], bounds) {
                self.fault = Some(fault);
            }
            Poll::Ready(Ok(count))
        })
    }

    fn split(&mut self, mut bytes: &[u8], bounds: &Bounds) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let Some(header) = Header::parse(bytes, bounds.message_bytes)? else {
                debug_assert!(bytes.len() < HEADER_LIMIT_BYTES);
                self.header.extend_from_slice(bytes);
                return Ok(());
            };
            bytes = &bytes[header.length_bytes..];
            let mut frame = Frame { words: Word::allocate_zeroed_vec(header.words), ends: header.ends };
            let body = Word::words_to_bytes_mut(&mut frame.words);
            let count = body.len().min(bytes.len());
            body[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if count < frame.bytes().len() {
                self.partial = Some(Partial { frame, filled_bytes: count });
            } else {
                self.finish(frame);
            }
        }
        Ok(())
    }
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.filled_bytes == self.frame.bytes().len()
    }

    fn poll_fill(&mut self, context: &mut Context<'_>, transport: &mut dyn Transport) -> Poll<io::Result<usize>> {
        let body = Word::words_to_bytes_mut(&mut self.frame.words);
        let count = ready!(transport.poll_read(context, &mut body[self.filled_bytes..]))?;
        self.filled_bytes += count;
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Peer;
    use crate::testing::{MemoryEnd, pair};
    use capnp::message::Builder;
    use std::io::IoSlice;
    use std::task::Waker;

    fn write(end: &mut MemoryEnd, bytes: &[u8]) {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(count)) = end.poll_write(&mut context, &[IoSlice::new(bytes)]) else { panic!() };
        assert_eq!(count, bytes.len());
    }

    fn next(reader: &mut FrameReader, end: &mut MemoryEnd) -> Poll<Result<Option<Message>, Fault>> {
        reader.poll_next(&mut Context::from_waker(Waker::noop()), end, &Bounds::for_peer(Peer::App))
    }

    fn text(message: &Message) -> String {
        message.reader.get_root::<capnp::text::Reader<'_>>().unwrap().to_string().unwrap()
    }

    fn encoded(text: &str, first_segment_words: u32) -> Vec<u8> {
        let allocator = capnp::message::HeapAllocator::new().first_segment_words(first_segment_words);
        let mut message = Builder::new(allocator);
        message.set_root::<capnp::text::Owned>(text).unwrap();
        capnp::serialize::write_message_to_words(&message)
    }

    #[test]
    fn messages_come_whole_however_the_bytes_are_cut() {
        let large = "x".repeat(100_000);
        let texts = ["one", large.as_str(), "three"];
        let stream: Vec<u8> = [encoded("one", 100), encoded(&large, 1), encoded("three", 1)].concat();
        for step in [1, 7, 8, 9, 64, 4_096, 99_999, stream.len()] {
            let (mut here, mut there) = pair(1 << 20);
            let mut reader = FrameReader::default();
            let mut read = Vec::new();
            for part in stream.chunks(step) {
                write(&mut there, part);
                while let Poll::Ready(Ok(Some(message))) = next(&mut reader, &mut here) {
                    read.push(text(&message));
                }
            }
            assert_eq!(read, texts, "in steps of {step}");
            assert_eq!(reader.begun_frame(), None);
        }
    }

    #[test]
    fn what_came_before_a_bad_header_is_still_read() {
        let (mut here, mut there) = pair(1 << 20);
        let mut reader = FrameReader::default();
        write(&mut there, &[encoded("good", 10), vec![255; 8]].concat());
        assert!(matches!(next(&mut reader, &mut here), Poll::Ready(Ok(Some(_)))));
        assert!(matches!(next(&mut reader, &mut here), Poll::Ready(Err(Fault::Segments(4_294_967_296)))));
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_as_soon_as_it_is_there() {
        type Expected = fn(&Fault) -> bool;
        let claims: [(&[u32], Expected); 4] = [
            (&[0, u32::MAX], |fault| matches!(fault, Fault::TooLarge(_))),
            (&[1, u32::MAX, u32::MAX, 0], |fault| matches!(fault, Fault::TooLarge(_))),
            (&[SEGMENTS_LIMIT as u32, 1], |fault| matches!(fault, Fault::Segments(_))),
            (&[0, 0], |fault| *fault == Fault::Empty),
        ];
        for (claim, expected) in claims {
            let (mut here, mut there) = pair(1 << 10);
            let bytes: Vec<u8> = claim.iter().flat_map(|word| word.to_le_bytes()).collect();
            write(&mut there, &bytes);
            let Poll::Ready(Err(fault)) = next(&mut FrameReader::default(), &mut here) else { panic!("{claim:?}") };
            assert!(expected(&fault), "{claim:?}: {fault}");
        }
    }

    #[test]
    fn a_frame_that_is_begun_shows() {
        let (mut here, mut there) = pair(1 << 10);
        let mut reader = FrameReader::default();
        for part in [&[0u8, 0, 0][..], &[0, 9, 0, 0, 0], &[1; 8]] {
            write(&mut there, part);
            assert!(next(&mut reader, &mut here).is_pending());
            assert_eq!(reader.begun_frame(), Some(0));
        }
        drop(there);
        assert!(matches!(next(&mut reader, &mut here), Poll::Ready(Ok(None))));
    }
}
