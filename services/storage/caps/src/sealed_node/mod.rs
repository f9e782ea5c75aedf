//! Sealed nodes: what somebody without any key can hold for others, verify, and serve in parts.
//!
//! A sealed node is its *metadata*, signed by the store's own key or by a writer with a writecap, and its *content*, sealed
//! in sectors. The metadata has the root of a BLAKE3 tree over the sealed content, so that any range of sectors can be
//! verified without a key. It says nothing about names, and of its readers only how many there are.
//!
//! Who is given old metadata that is signed and true cannot tell that there is newer by itself: [`Expected::seen`] refuses what is older than what
//! the same caller saw before. To notice that everybody is shown the same old state takes a witness outside.

mod attributes;
mod claim;
mod content;
mod error;
mod metadata;
mod range;
mod seal;
mod stream;
mod verify;

pub use attributes::Attributes;
pub use claim::Claim;
pub use content::{ContentSealer, SealedContent};
pub use error::{NodeError, OpenError, SealError};
pub use metadata::{METADATA_LIMIT_BYTES, READER_LIMIT, SIZE_LIMIT_BYTES};
pub use range::{PROOF_SECTORS_LIMIT, Proofs, RangeError};
pub use seal::{Draft, SealedNode, finish, seal};
pub use stream::{ContentReader, StreamError};
pub use verify::{Expected, Seen, Told, Verified, verify};

/// Plain bytes in a sector. With the tag a sealed sector has 16 KiB, which is one group of 16 chunks in the BLAKE3 tree:
/// so a range of sectors is verified without its neighbours.
pub const SECTOR_PLAIN_BYTES: usize = SECTOR_BYTES - TAG_BYTES;
/// Bytes of a sealed sector; the last one may have fewer.
pub const SECTOR_BYTES: usize = 16 << 10;
/// Bytes of a sector's tag.
pub const TAG_BYTES: usize = 16;
