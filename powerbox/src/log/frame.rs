//! The bytes around a record.

use crate::record::RECORD_LIMIT_BYTES;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// What the file begins with.
const MAGIC: [u8; 8] = *b"\x89LKLOG\r\n";
/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 2;
/// Magic, format, four zero bytes, the log's identity: 8 + 4 + 4 + 32.
pub(super) const HEADER_BYTES: usize = 48;

const RECORD_MAGIC: [u8; 4] = *b"LKRD";
/// Magic, length, hash.
pub(super) const RECORD_HEAD_BYTES: usize = 40;
/// The longest frame.
pub(super) const FRAME_LIMIT_BYTES: usize = RECORD_HEAD_BYTES + RECORD_LIMIT_BYTES;

const RECORD_CONTEXT: &str = "latchkey 2026 log record v1";
const HEADER_CONTEXT: &str = "latchkey 2026 log header v1";

/// The header of a log with this identity.
pub(super) fn header(identity: &[u8; 32]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..].copy_from_slice(identity);
    bytes
}

/// The format that a header says; nothing where it is no header.
pub(super) fn read_header(bytes: &[u8; HEADER_BYTES]) -> Option<u32> {
    let format = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    bytes.starts_with(&MAGIC).then_some(format)
}

/// The hash before the first record.
pub(super) fn genesis(header: &[u8; HEADER_BYTES]) -> Hash {
    blake3::derive_key(HEADER_CONTEXT, header)
}

/// The hash of a record, which binds all before it.
pub(super) fn chain(before: &Hash, position: u64, payload: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(RECORD_CONTEXT);
    hasher.update(before);
    hasher.update(&position.to_le_bytes());
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

/// A record's frame and hash.
pub(super) fn record(before: &Hash, position: u64, payload: &[u8]) -> (Vec<u8>, Hash) {
    let hash = chain(before, position, payload);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let frame = [&RECORD_MAGIC[..], &length.to_le_bytes(), &hash, payload].concat();
    (frame, hash)
}

/// What stands at the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front<'a> {
    /// A record that claims this hash.
    Record {
        /// What it claims.
        hash: Hash,
        /// What it says.
        payload: &'a [u8],
    },
    /// The beginning of one, cut short.
    Short,
    /// Something else.
    Other,
}

/// What stands at the front of these bytes.
pub(super) fn front(bytes: &[u8]) -> Front<'_> {
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else { return Front::Short };
    if *magic != RECORD_MAGIC {
        return Front::Other;
    }
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Front::Short };
    let length = u32::from_le_bytes(*length) as usize;
    if length > RECORD_LIMIT_BYTES {
        return Front::Other;
    }
    let Some((hash, rest)) = rest.split_first_chunk::<32>() else { return Front::Short };
    rest.get(..length).map_or(Front::Short, |payload| Front::Record { hash: *hash, payload })
}
