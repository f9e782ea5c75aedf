//! What a node has beside its content, for those who can read it only.

use super::TAG_BYTES;

/// Plain: time, and what it may be used for.
const PLAIN_BYTES: usize = 8 + 1;

/// Sealed.
pub(crate) const ATTRIBUTES_BYTES: usize = PLAIN_BYTES + TAG_BYTES;

const EXECUTABLE: u8 = 1;

/// What a node has beside its content. A host does not see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// When the content was changed last, in nanoseconds since 1970. A claim of who sealed it.
    pub modified_ns: i64,
    /// Whether it may be run as a program.
    pub executable: bool,
}

impl Attributes {
    pub(super) fn encode(self) -> [u8; PLAIN_BYTES] {
        let mut bytes = [0; PLAIN_BYTES];
        bytes[..8].copy_from_slice(&self.modified_ns.to_le_bytes());
        bytes[8] = if self.executable { EXECUTABLE } else { 0 };
        bytes
    }

    /// Nothing where there is anything that is not known.
    pub(super) fn decode(bytes: &[u8]) -> Option<Attributes> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let executable = match rest {
            [0] => false,
            [EXECUTABLE] => true,
            _ => return None,
        };
        Some(Attributes { modified_ns: i64::from_le_bytes(*time), executable })
    }
}
