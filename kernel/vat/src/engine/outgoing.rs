//! Output that waits: messages of a turn leave in one write; large ones are not copied.

use crate::transport::Transport;
use capnp::message::{Builder, HeapAllocator};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll};

/// Messages up to this size are copied together; larger ones are written from where they are.
const COPY_LIMIT_BYTES: usize = 8 << 10;

/// When what is copied together is worth a write of its own.
const GATHER_BYTES: usize = 64 << 10;

/// Pieces of one write. Linux takes 1,024; more than a few are worth nothing.
const PIECES_LIMIT: usize = 16;

/// Room that an idle link keeps.
const KEPT_BYTES: usize = 4 << 10;

enum Chunk {
    /// Headers and whole small messages.
    Gathered(Vec<u8>),
    /// The segments of a large one.
    Segments(Rc<Builder<HeapAllocator>>),
}

/// A link's output.
#[derive(Default)]
pub(crate) struct Outgoing {
    chunks: VecDeque<Chunk>,
    /// How much of the first chunk was written.
    written_bytes: usize,
    /// All that waits.
    waiting_bytes: usize,
    /// All that was ever written.
    written_total_bytes: u64,
    kept: Vec<u8>,
    /// What waits for the link's budget of bytes, in order, each with what it costs of it.
    held: VecDeque<(Rc<Builder<HeapAllocator>>, u64)>,
    held_bytes: usize,
}

impl Outgoing {
    /// What waits to be written.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The same with what must not be written yet.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.waiting_bytes + self.held_bytes
    }

    /// Whether something must not be written yet: then nothing that comes after it may be.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Keeps a message back that cannot be paid for.
    pub(crate) fn hold(&mut self, message: &Rc<Builder<HeapAllocator>>, cost_bytes: u64) {
        self.held_bytes += message.size_in_words() * 8;
        self.held.push_back((message.clone(), cost_bytes));
    }

    /// Lets messages go that were kept back, in their order, as long as they can be paid for.
    pub(crate) fn release<E>(&mut self, mut pay: impl FnMut(u64) -> Poll<Result<(), E>>) -> Result<(), E> {
        while let Some((message, cost_bytes)) = self.held.pop_front() {
            if pay(cost_bytes)?.is_pending() {
                self.held.push_front((message, cost_bytes));
                break;
            }
            self.held_bytes -= message.size_in_words() * 8;
            self.push(&message);
        }
        Ok(())
    }

    pub(crate) fn written_total_bytes(&self) -> u64 {
        self.written_total_bytes
    }

    /// Adds a message with its frame's header.
    pub(crate) fn push(&mut self, message: &Rc<Builder<HeapAllocator>>) {
        let segments = message.get_segments_for_output();
        let body_bytes: usize = segments.iter().map(|segment| segment.len()).sum();
        let header_bytes = (segments.len() / 2 + 1) * 8;
        self.waiting_bytes += header_bytes + body_bytes;

        let gathered = self.gathered();
        gathered.extend_from_slice(&(segments.len() as u32 - 1).to_le_bytes());
        for segment in segments.iter() {
            gathered.extend_from_slice(&((segment.len() / 8) as u32).to_le_bytes());
        }
        if segments.len().is_multiple_of(2) {
            gathered.extend_from_slice(&[0; 4]);
        }
        if body_bytes <= COPY_LIMIT_BYTES {
            segments.iter().for_each(|segment| gathered.extend_from_slice(segment));
        } else {
            self.chunks.push_back(Chunk::Segments(message.clone()));
        }
    }

    fn gathered(&mut self) -> &mut Vec<u8> {
        if !matches!(self.chunks.back(), Some(Chunk::Gathered(bytes)) if bytes.len() < GATHER_BYTES) {
            self.chunks.push_back(Chunk::Gathered(std::mem::take(&mut self.kept)));
        }
        match self.chunks.back_mut() {
            Some(Chunk::Gathered(bytes)) => bytes,
            _ => &mut self.kept,
        }
    }

    /// Writes what can be written; ready when nothing waits any more.
    pub(crate) fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        transport: &mut dyn Transport,
    ) -> Poll<io::Result<()>> {
        while self.waiting_bytes > 0 {
            let mut pieces = [IoSlice::new(&[]); PIECES_LIMIT];
            let count = self.pieces(&mut pieces);
            match transport.poll_write(context, &pieces[..count]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn pieces<'a>(&'a self, pieces: &mut [IoSlice<'a>; PIECES_LIMIT]) -> usize {
        let mut skip = self.written_bytes;
        let mut count = 0;
        let mut add = |segment: &'a [u8]| {
            let passed = skip.min(segment.len());
            skip -= passed;
            if passed < segment.len() && count < PIECES_LIMIT {
                pieces[count] = IoSlice::new(&segment[passed..]);
                count += 1;
            }
        };
        for chunk in self.chunks.iter().take(PIECES_LIMIT) {
            match chunk {
                Chunk::Gathered(bytes) => add(bytes),
                Chunk::Segments(message) => message.get_segments_for_output().iter().for_each(|segment| add(segment)),
            }
        }
        count
    }

    fn advance(&mut self, count: usize) {
        self.waiting_bytes -= count;
        self.written_total_bytes += count as u64;
        self.written_bytes += count;
        while let Some(chunk) = self.chunks.front() {
            let length = match chunk {
                Chunk::Gathered(bytes) => bytes.len(),
                Chunk::Segments(message) => message.size_in_words() * 8,
            };
            if self.written_bytes < length {
                break;
            }
            self.written_bytes -= length;
            if let Some(Chunk::Gathered(mut bytes)) = self.chunks.pop_front()
                && bytes.capacity() <= KEPT_BYTES
            {
                bytes.clear();
                self.kept = bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pair;
    use std::task::Waker;

    fn message(size: usize) -> Rc<Builder<HeapAllocator>> {
        let mut message = Builder::new(HeapAllocator::new().first_segment_words(4));
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        message.set_root::<capnp::data::Owned>(&bytes[..]).unwrap();
        Rc::new(message)
    }

    #[test]
    fn what_arrives_is_what_the_messages_are_however_slowly_it_goes() {
        let sizes = [0, 1, 100, 9_000, 3, 200_000, 8_000, 8_000, 8_000];
        let messages: Vec<_> = sizes.iter().map(|size| message(*size)).collect();
        let expected: Vec<u8> =
            messages.iter().flat_map(|message| capnp::serialize::write_message_to_words(message)).collect();
        for window in [1, 13, 1_000, 1 << 20] {
            let (mut here, mut there) = pair(window);
            let mut outgoing = Outgoing::default();
            messages.iter().for_each(|message| outgoing.push(message));
            assert_eq!(outgoing.waiting_bytes(), expected.len());
            let mut context = Context::from_waker(Waker::noop());
            let mut arrived = Vec::new();
            let mut buffer = [0; 4_096];
            loop {
                let flushed = outgoing.poll_flush(&mut context, &mut here).is_ready();
                while let Poll::Ready(Ok(count @ 1..)) = there.poll_read(&mut context, &mut buffer) {
                    arrived.extend_from_slice(&buffer[..count]);
                }
                if flushed {
                    break;
                }
            }
            assert!(arrived == expected, "through a window of {window}");
            assert_eq!(outgoing.waiting_bytes(), 0);
        }
    }
}
