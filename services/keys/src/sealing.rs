//! Sealing bytes under a key: XChaCha20-Poly1305. Sealed bytes are a nonce (24), the ciphertext (as long as what is sealed)
//! and its tag (16). Nonces are random: with 192 bits two never meet.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::problem::{Problem, Word};
use crate::secret::{Key, fill_random};

/// How long a nonce is.
pub const NONCE_BYTES: usize = 24;
/// What sealed bytes are longer by.
pub const OVERHEAD_BYTES: usize = NONCE_BYTES + 16;

/// Seals; `bound` must be the same to open again, and is not part of the result.
///
/// # Errors
/// There is no randomness (`io`).
pub fn seal(key: &Key, bound: &[u8], secret: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut nonce = [0; NONCE_BYTES];
    fill_random(&mut nonce)?;
    let ciphertext = cipher(key)
        .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: bound })
        .map_err(|_| Problem::new(Word::Io, "more than can be sealed at once"))?;
    Ok([&nonce[..], &ciphertext].concat())
}

/// Opens; nothing where the key, what it was bound to, or a byte is another.
#[must_use]
pub fn open(key: &Key, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let secret = cipher(key).decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: bound }).ok()?;
    Some(Zeroizing::new(secret))
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.as_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_and_context_only() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let sealed = seal(&key, b"here", b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD_BYTES);
        assert_eq!(open(&key, b"here", &sealed).unwrap().as_slice(), b"secret");
        assert!(open(&other, b"here", &sealed).is_none());
        assert!(open(&key, b"there", &sealed).is_none());
        assert_ne!(sealed, seal(&key, b"here", b"secret").unwrap());
    }

    #[test]
    fn no_changed_or_shortened_bytes_are_opened() {
        let key = Key::random().unwrap();
        let sealed = seal(&key, b"", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, b"", &changed).is_none(), "byte {at}");
            assert!(open(&key, b"", &sealed[..at]).is_none(), "length {at}");
        }
    }
}
