//! What sealing and hashing take by themselves: XChaCha20-Poly1305 and BLAKE3 over the same bytes, on one core, by the
//! crates that the store uses, and in pieces of the store's own sizes.

use super::CHUNK_BYTES;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

/// What the store seals in one piece.
const SECTOR_BYTES: usize = 16 << 10;

/// A chunk that is sealed, and how to do that again.
pub(crate) struct Sealed {
    cipher: XChaCha20Poly1305,
    bytes: Vec<u8>,
    tags: Vec<Tag>,
}

impl Sealed {
    pub(crate) fn new() -> Result<Self, String> {
        let cipher = XChaCha20Poly1305::new(&[7; 32].into());
        let mut sealed = Self { cipher, bytes: super::bytes(CHUNK_BYTES), tags: Vec::new() };
        sealed.seal()?;
        Ok(sealed)
    }

    /// Seals each sector of what is there once more, and hashes all of it.
    fn seal(&mut self) -> Result<blake3::Hash, String> {
        self.tags.clear();
        for (number, sector) in (0..).zip(self.bytes.chunks_mut(SECTOR_BYTES)) {
            let tag = self.cipher.encrypt_inout_detached(&nonce(number), b"", sector.into());
            self.tags.push(tag.map_err(|error| format!("cannot seal: {error}"))?);
        }
        Ok(blake3::hash(&self.bytes))
    }

    /// Seals and hashes so many chunks.
    pub(crate) fn put(&mut self, times: u64) -> Result<(), String> {
        for _ in 0..times {
            std::hint::black_box(self.seal()?);
        }
        Ok(())
    }

    /// Hashes and opens the chunk so many times.
    pub(crate) fn get(&self, times: u64) -> Result<(), String> {
        let mut buffer = vec![0; CHUNK_BYTES];
        for _ in 0..times {
            buffer.copy_from_slice(&self.bytes);
            std::hint::black_box(blake3::hash(&buffer));
            for ((number, sector), tag) in (0..).zip(buffer.chunks_mut(SECTOR_BYTES)).zip(&self.tags) {
                let opened = self.cipher.decrypt_inout_detached(&nonce(number), b"", sector.into(), tag);
                opened.map_err(|error| format!("cannot open what was sealed: {error}"))?;
            }
        }
        Ok(())
    }
}

/// Nonces must not cost what is not measured here; nobody keeps what is sealed.
fn nonce(number: u64) -> XNonce {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_again_and_nothing_else_does() {
        let mut sealed = Sealed::new().unwrap();
        sealed.put(2).unwrap();
        sealed.get(2).unwrap();
        sealed.bytes[0] ^= 1;
        assert!(sealed.get(1).is_err());
    }
}
