//! The first 120 bytes: what they say and what is refused from them alone.

use crate::manifest::MANIFEST_LIMIT_BYTES;
use crate::refusal::Refusal;
use crate::verify::COMPONENT_LIMIT_BYTES;

/// What a package begins with.
pub const MAGIC: [u8; 8] = *b"\x89LATCH\r\n";
/// The format that this version writes and reads.
pub const FORMAT: u32 = 2;
/// Magic, format, two lengths, key, signature: 8 + 4 + 4 + 8 + 32 + 64.
pub const HEADER_BYTES: usize = 120;
/// What of the header the signature covers: everything before it.
const SIGNED_BYTES: usize = HEADER_BYTES - 64;
/// Keeps this digest apart from every other use of BLAKE3.
pub const DIGEST_CONTEXT: &str = "latchkey 2026 package digest v2";
/// What an author's key signs packages for, see `keys.capnp`.
pub const PURPOSE: &str = "author";

/// The header of a package, within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the manifest.
    pub manifest_bytes: u32,
    /// Length of the component.
    pub component_bytes: u64,
    /// The author's public key, as claimed until the signature is checked.
    pub author: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
}

impl Header {
    /// Reads a header and refuses what is out of bounds.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, Refusal> {
        let mut fields = Fields(bytes);
        if fields.take::<8>() != MAGIC {
            return Err(Refusal::NotAPackage);
        }
        let format = u32::from_le_bytes(fields.take());
        if format != FORMAT {
            return Err(Refusal::Format(format));
        }
        let header = Header {
            manifest_bytes: u32::from_le_bytes(fields.take()),
            component_bytes: u64::from_le_bytes(fields.take()),
            author: fields.take(),
            signature: fields.take(),
        };
        if header.manifest_bytes as usize > MANIFEST_LIMIT_BYTES {
            return Err(Refusal::ManifestTooLarge(u64::from(header.manifest_bytes)));
        }
        if header.component_bytes > COMPONENT_LIMIT_BYTES {
            return Err(Refusal::ComponentTooLarge(header.component_bytes));
        }
        Ok(header)
    }

    /// The bytes of this header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.manifest_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.component_bytes.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.author);
        bytes[56..120].copy_from_slice(&self.signature);
        bytes
    }

    /// What is signed, and what the package is known by.
    #[must_use]
    pub fn digest(&self, manifest: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(DIGEST_CONTEXT);
        hasher.update(&self.encode()[..SIGNED_BYTES]);
        hasher.update(manifest);
        *hasher.finalize().as_bytes()
    }

    /// The length of the whole file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.manifest_bytes) + self.component_bytes
    }
}

/// Takes fixed-size fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        // The callers take exactly HEADER_BYTES in all, so this never comes up short.
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *field
    }
}
