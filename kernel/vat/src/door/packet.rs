//! One message in one packet: how every message of a door and of the control channel is packed. A packet holds
//! the message with its segment table, exactly one segment, and nothing after it.

use capnp::message::{Builder, HeapAllocator, Reader, ReaderOptions};
use capnp::serialize::{OwnedSegments, read_message, write_message_to_words};
use capnp::traits::Owned;

use super::DoorError;

/// The largest packet. It is well under the default buffer of a local socket (208 KiB), so that a few wait there.
pub const PACKET_LIMIT_BYTES: usize = 64 * 1024;

/// How many words may be read out of one packet: what it holds four times over, since honest readers look at a
/// list once to count and once to copy, and pointers that overlap must not multiply the work.
const TRAVERSAL_LIMIT_WORDS: usize = PACKET_LIMIT_BYTES / 8 * 4;

/// How deep pointers may nest: a message in a list in a union in the root is 5.
const NESTING_LIMIT: i32 = 8;

/// A single-segment table: the count minus one, and the one segment's length in words.
const TABLE_BYTES: usize = 8;

/// The packet that carries `message`, whose root is a `T`. A message that grew beyond one segment is copied into one.
pub fn pack<T: Owned>(message: &Builder<HeapAllocator>) -> Result<Vec<u8>, DoorError> {
    let words = message.size_in_words();
    if words * 8 + TABLE_BYTES > PACKET_LIMIT_BYTES {
        return Err(DoorError::TooLarge(words * 8));
    }
    if message.get_segments_for_output().len() == 1 {
        return Ok(write_message_to_words(message));
    }
    let room_words = u32::try_from(words).map_err(|_| DoorError::TooLarge(words * 8))?;
    let mut single = Builder::new(HeapAllocator::new().first_segment_words(room_words));
    single.set_root::<T>(message.get_root_as_reader::<T::Reader<'_>>()?)?;
    debug_assert_eq!(single.get_segments_for_output().len(), 1);
    Ok(write_message_to_words(&single))
}

/// The message in a packet, for bounded reading. The bytes may come from anyone.
pub fn unpack(packet: &[u8]) -> Result<Reader<OwnedSegments>, DoorError> {
    if packet.len() > PACKET_LIMIT_BYTES {
        return Err(DoorError::TooLarge(packet.len()));
    }
    // Checked before capnp sees it: the table's claims decide what it reserves.
    let Some((table, body)) = packet.split_first_chunk::<TABLE_BYTES>() else { return Err(DoorError::Frame) };
    let [s0, s1, s2, s3, w0, w1, w2, w3] = *table;
    let words = u64::from(u32::from_le_bytes([w0, w1, w2, w3]));
    if u32::from_le_bytes([s0, s1, s2, s3]) != 0 || words * 8 != body.len() as u64 {
        return Err(DoorError::Frame);
    }
    let mut options = ReaderOptions::new();
    options.traversal_limit_in_words(Some(TRAVERSAL_LIMIT_WORDS)).nesting_limit(NESTING_LIMIT);
    Ok(read_message(packet, options)?)
}
