//! Sealing the bodies of items: XChaCha20-Poly1305, bound to the store and to the whole clear head, so that a body opens
//! at its own place only.
//!
//! Nonces are 24 bytes by chance. A key would have to seal 2^80 bodies before two of its nonces were the same with a
//! probability of 2^-32, while a derived nonce would depend on sequences never being given out twice, which a disk that
//! loses its tail cannot promise.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use super::error::{Outcome, StoreError};
use super::format::{ITEM_HEAD_BYTES, Id, ItemHead};
use super::keys::Secret;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// What sealing adds.
pub(crate) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// Seals bodies under one key.
pub(crate) struct Sealer {
    cipher: XChaCha20Poly1305,
    store: Id,
}

impl Sealer {
    pub(crate) fn new(store: Id, key: &Secret) -> Self {
        let mut array = chacha20poly1305::Key::from(**key);
        let cipher = XChaCha20Poly1305::new(&array);
        zeroize::Zeroize::zeroize(array.as_mut_slice());
        Self { cipher, store }
    }

    /// Appends the item: its head, with the length set, and its body.
    pub(crate) fn seal(&self, head: &mut ItemHead, plain: &[&[u8]], into: &mut Vec<u8>) -> Outcome<()> {
        let plain_bytes = plain.iter().map(|piece| piece.len()).sum::<usize>();
        head.length = u32::try_from(plain_bytes + SEAL_BYTES).map_err(|_| StoreError::TooLarge)?;
        let clear = head.encode();
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(no_randomness)?;
        into.extend_from_slice(&clear);
        into.extend_from_slice(&nonce);
        let begin = into.len();
        plain.iter().for_each(|piece| into.extend_from_slice(piece));
        let buffer = (&mut into[begin..]).into();
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &self.bound(&clear), buffer)
            .map_err(|_| StoreError::TooLarge)?;
        into.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens a body in place; the plaintext is the part of `body` that is returned.
    pub(crate) fn open<'a>(&self, head: &ItemHead, body: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (nonce, rest) = body.split_first_chunk_mut::<NONCE_BYTES>()?;
        let (sealed, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        let bound = self.bound(&head.encode());
        let (nonce, tag) = (XNonce::from(*nonce), chacha20poly1305::Tag::from(*tag));
        self.cipher.decrypt_inout_detached(&nonce, &bound, (&mut *sealed).into(), &tag).ok()?;
        Some(sealed)
    }

    fn bound(&self, clear: &[u8; ITEM_HEAD_BYTES]) -> [u8; 16 + ITEM_HEAD_BYTES] {
        let mut bound = [0; 16 + ITEM_HEAD_BYTES];
        bound[..16].copy_from_slice(&self.store);
        bound[16..].copy_from_slice(clear);
        bound
    }
}

/// The system gave no randomness.
pub(crate) fn no_randomness(error: getrandom::Error) -> StoreError {
    StoreError::Io(std::io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::super::format::ItemKind;
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn nothing_that_is_sealed_opens_under_another_key_or_in_another_place() {
        let sealer = |store, key| Sealer::new([store; 16], &Zeroizing::new([key; 32]));
        for kind in [ItemKind::Metadata, ItemKind::Entry, ItemKind::Sector, ItemKind::Snapshot] {
            let mut head = ItemHead::new(kind, [1; 16], [2; 16], 3);
            let mut item = Vec::new();
            sealer(5, 6).seal(&mut head, &[b"what is ", b"sealed"], &mut item).unwrap();
            let head = ItemHead::decode(&item).unwrap();
            let opens =
                |sealer: &Sealer, head: &ItemHead| sealer.open(head, &mut item[ITEM_HEAD_BYTES..].to_vec()).is_some();
            assert!(opens(&sealer(5, 6), &head), "{kind:?}");
            assert!(!opens(&sealer(5, 7), &head), "{kind:?}: another key");
            assert!(!opens(&sealer(4, 6), &head), "{kind:?}: another store");
            for at in 0..ITEM_HEAD_BYTES {
                let mut other = item[..ITEM_HEAD_BYTES].to_vec();
                other[at] ^= 1;
                if let Some(other) = ItemHead::decode(&other) {
                    assert!(!opens(&sealer(5, 6), &other), "{kind:?}: byte {at} of its head");
                }
            }
        }
    }
}
