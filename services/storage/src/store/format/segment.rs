//! What a segment begins with, and what its file is called.

use super::super::keys::{OwnKeys, TAG_BYTES};
use super::{FORMAT, Hash, Id, SEQUENCE_LIMIT, Take};

const MAGIC: [u8; 8] = *b"\x89LKSEG\r\n";
const CONTEXT: &str = "latchkey 2026 store segment v1";

/// What the hash covers: magic, format, four zero bytes, store, number, first sequence, chain: 8 + 4 + 4 + 16 + 8 + 8 + 32.
const HASHED_BYTES: usize = 80;
/// The same, the hash, and the tag.
pub(crate) const SEGMENT_HEAD_BYTES: usize = HASHED_BYTES + 32 + TAG_BYTES;

/// The head of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) store: Id,
    pub(crate) number: u32,
    /// Of the first frame in it.
    pub(crate) first_sequence: u64,
    /// The chain before that frame.
    pub(crate) chain: Hash,
}

/// What stands at the front of a segment's file.
pub(crate) enum SegmentFront {
    /// With its tag, which tells whether this store wrote it.
    Head(SegmentHead, [u8; TAG_BYTES]),
    Newer {
        format: u32,
    },
    Other,
}

impl SegmentHead {
    pub(crate) fn encode(&self, keys: &OwnKeys) -> [u8; SEGMENT_HEAD_BYTES] {
        let mut bytes = [0; SEGMENT_HEAD_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store);
        bytes[32..40].copy_from_slice(&u64::from(self.number).to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.chain);
        let hash = blake3::derive_key(CONTEXT, &bytes[..HASHED_BYTES]);
        bytes[HASHED_BYTES..HASHED_BYTES + 32].copy_from_slice(&hash);
        bytes[HASHED_BYTES + 32..].copy_from_slice(&keys.segment_tag(&hash));
        bytes
    }

    /// Whether it is the head of a segment of this store, which wrote it.
    pub(crate) fn is_of(&self, store: &Id, tag: &[u8; TAG_BYTES], keys: &OwnKeys) -> bool {
        self.store == *store && self.encode(keys)[HASHED_BYTES + 32..] == *tag
    }

    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEAD_BYTES]) -> SegmentFront {
        Self::take(bytes).unwrap_or(SegmentFront::Other)
    }

    fn take(bytes: &[u8; SEGMENT_HEAD_BYTES]) -> Option<SegmentFront> {
        let mut take = Take(bytes);
        if take.array::<8>()? != MAGIC {
            return None;
        }
        let format = take.u32()?;
        // In every format, so that a damaged head is not taken for a newer one.
        let (hash, tag) = bytes[HASHED_BYTES..].split_first_chunk()?;
        if *hash != blake3::derive_key(CONTEXT, &bytes[..HASHED_BYTES]) {
            return None;
        }
        if format > FORMAT {
            return Some(SegmentFront::Newer { format });
        }
        if format != FORMAT || take.u32()? != 0 {
            return None;
        }
        let (store, number) = (take.array()?, u32::try_from(take.u64()?).ok()?);
        let (first_sequence, chain) = (take.u64()?, take.array()?);
        let fits = (1..=SEQUENCE_LIMIT).contains(&first_sequence);
        let tag = tag.try_into().ok()?;
        fits.then_some(SegmentFront::Head(Self { store, number, first_sequence, chain }, tag))
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u32) -> String {
    format!("segments/{number:08}.seg")
}

/// The number of the segment with this name in its folder.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".seg")?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = all_digits.then(|| digits.parse().ok())??;
    // One name for each number.
    file_name(number).ends_with(&format!("/{name}")).then_some(number)
}
