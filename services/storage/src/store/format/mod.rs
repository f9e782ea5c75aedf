//! The bytes on the disk: segments of frames of items. `FORMAT.md` describes them for those who read them without this
//! program.

mod frame;
mod item;
mod segment;

pub(crate) use frame::{FRAME_HEAD_BYTES, FrameHead, PAYLOAD_LIMIT_BYTES, SEQUENCE_LIMIT, payload_hash};
pub(crate) use item::{ITEM_HEAD_BYTES, Item, ItemHead, ItemKind, items, numbers, part_of};
pub(crate) use segment::{SEGMENT_HEAD_BYTES, SegmentFront, SegmentHead, file_name, number_of};

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// What a node, a home or a store is known by: random, and clear on the disk.
pub(crate) type Id = [u8; 16];
/// A BLAKE3 hash.
pub(crate) type Hash = [u8; 32];

/// Takes numbers and arrays off the front of bytes. Everything is little-endian.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Nothing, if all was taken.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
