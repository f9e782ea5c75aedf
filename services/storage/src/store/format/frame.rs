//! Frames: what is applied wholly or not at all. The hash of a frame's head is the chain: it binds the head before it
//! and, through its hash, the payload. The tag says that this store wrote it.

use super::super::keys::{OwnKeys, TAG_BYTES};
use super::{Hash, Take};

const MAGIC: [u8; 4] = *b"LKFR";
const CHAIN_CONTEXT: &str = "latchkey 2026 store frame v1";
const PAYLOAD_CONTEXT: &str = "latchkey 2026 store payload v1";

/// What the check covers: magic, length, sequence, chain before, hash of the payload: 4 + 4 + 8 + 32 + 32.
const CHECKED_BYTES: usize = 80;
/// The same, the check, which is the beginning of the chain after this frame, and the tag.
pub(crate) const FRAME_HEAD_BYTES: usize = CHECKED_BYTES + 8 + TAG_BYTES;
/// The longest payload. The largest operation is a write of 8 MiB: 513 sectors, each with 128 bytes around it, and
/// the metadata: below 8.1 MiB. A commit names no more than fits: see `log.rs`.
pub(crate) const PAYLOAD_LIMIT_BYTES: usize = 12 << 20;
/// The last sequence that a reader believes: at a million frames a second it is reached after 146,000 years. What is beyond
/// would leave no room to count on.
pub(crate) const SEQUENCE_LIMIT: u64 = 1 << 62;

/// The head of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) length: u32,
    /// 1 for the first frame of a store, and 1 more for each that follows.
    pub(crate) sequence: u64,
    pub(crate) before: Hash,
    pub(crate) payload: Hash,
}

impl FrameHead {
    /// The head and the chain after it.
    pub(crate) fn encode(&self, keys: &OwnKeys) -> ([u8; FRAME_HEAD_BYTES], Hash) {
        let mut bytes = [0; FRAME_HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.before);
        bytes[48..80].copy_from_slice(&self.payload);
        let chain = blake3::derive_key(CHAIN_CONTEXT, &bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..CHECKED_BYTES + 8].copy_from_slice(&chain[..8]);
        bytes[CHECKED_BYTES + 8..].copy_from_slice(&keys.tag(&chain));
        (bytes, chain)
    }

    /// The head and the chain after it, if these bytes are a whole head, and, where its keys are known, one of this store's.
    pub(crate) fn decode(bytes: &[u8], keys: Option<&OwnKeys>) -> Option<(Self, Hash)> {
        let mut take = Take(bytes.get(..FRAME_HEAD_BYTES)?);
        if take.array::<4>()? != MAGIC {
            return None;
        }
        let (length, sequence) = (take.u32()?, take.u64()?);
        // Before anything is hashed: bytes may be full of what looks like the beginning of one.
        if length as usize > PAYLOAD_LIMIT_BYTES || !(1..=SEQUENCE_LIMIT).contains(&sequence) {
            return None;
        }
        let (before, payload) = (take.array()?, take.array()?);
        let chain = blake3::derive_key(CHAIN_CONTEXT, &bytes[..CHECKED_BYTES]);
        let fits = take.array::<8>()? == chain[..8]
            && keys.is_none_or(|keys| keys.tag(&chain) == bytes[CHECKED_BYTES + 8..FRAME_HEAD_BYTES]);
        fits.then_some((Self { length, sequence, before, payload }, chain))
    }

    /// Where in these bytes a head may begin.
    pub(crate) fn candidate(bytes: &[u8]) -> Option<usize> {
        bytes.windows(MAGIC.len()).position(|window| window == MAGIC)
    }
}

/// The hash of a frame's payload.
pub(crate) fn payload_hash(payload: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(PAYLOAD_CONTEXT);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}
