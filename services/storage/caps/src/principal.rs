//! Who: public keys that sign, and their hashes.

use crate::decode::DecodeError;
use std::fmt;

/// Keeps the hash of a key apart from every other hash.
const PRINCIPAL_CONTEXT: &str = "latchkey 2026 principal";

/// An Ed25519 public key (RFC 8032), as 32 bytes. Whether it is a point of the curve shows at the first signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// The name of a public key: BLAKE3 in the mode derive_key over its 32 bytes. The root principal is a store's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(pub [u8; 32]);

impl PublicKey {
    /// What this key is called.
    pub fn principal(&self) -> Principal {
        Principal(blake3::derive_key(PRINCIPAL_CONTEXT, &self.0))
    }

    pub(crate) fn decode(decoder: &mut crate::decode::Decoder<'_>) -> Result<PublicKey, DecodeError> {
        Ok(PublicKey(decoder.array()?))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, formatter)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Principal({self})")
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, formatter)
    }
}

pub(crate) fn hexadecimal(bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}
