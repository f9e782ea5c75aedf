//! Sealing content, sector by sector.
//!
//! Each sealing draws a salt of 32 bytes, and its key comes from the node's key, that salt, and everything else that says
//! what this is. The number of the sector is the nonce: no key is used for two sealings, so no nonce is used twice, also
//! where a version is sealed anew after a crash or by two writers at once.

use super::attributes::{ATTRIBUTES_BYTES, Attributes};
use super::{Draft, SECTOR_BYTES, SECTOR_PLAIN_BYTES, SealError};
use crate::entropy::{Entropy, draw};
use crate::node::{Kind, NodeId};
use crate::{NodeKey, Principal};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// In the place of a sector's number: no content has so many.
const ATTRIBUTES_SECTOR: u64 = u64::MAX;

const CONTENT_CONTEXT: &str = "latchkey 2026 sealed node: content";

/// What a sector belongs to. All of it is bound to the sector, beside its number.
pub(super) struct Place {
    pub(super) root: Principal,
    pub(super) node: NodeId,
    pub(super) kind: Kind,
    pub(super) version: u64,
    pub(super) generation: u32,
    pub(super) salt: [u8; 32],
}

impl Place {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.root.0.to_vec();
        bytes.extend(self.node.0);
        bytes.push(self.kind.code());
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.salt);
        bytes
    }
}

/// Seals and opens the sectors of one sealing.
pub(super) struct Sectors {
    cipher: XChaCha20Poly1305,
    place: Vec<u8>,
}

impl Sectors {
    pub(super) fn new(place: &Place, key: &NodeKey) -> Sectors {
        let place = place.bytes();
        let material = Zeroizing::new([key.as_bytes().as_slice(), &place].concat());
        let key = Zeroizing::new(blake3::derive_key(CONTENT_CONTEXT, &material));
        Sectors { cipher: XChaCha20Poly1305::new(&Key::from(*key)), place }
    }

    fn seal(&self, sector: u64, plain: &[u8]) -> Option<Vec<u8>> {
        self.cipher.encrypt(&nonce(sector), Payload { msg: plain, aad: &self.bound(sector) }).ok()
    }

    pub(super) fn open(&self, sector: u64, sealed: &[u8]) -> Option<Vec<u8>> {
        self.cipher.decrypt(&nonce(sector), Payload { msg: sealed, aad: &self.bound(sector) }).ok()
    }

    fn seal_attributes(&self, attributes: Attributes) -> Option<[u8; ATTRIBUTES_BYTES]> {
        self.seal(ATTRIBUTES_SECTOR, &attributes.encode())?.try_into().ok()
    }

    pub(super) fn open_attributes(&self, sealed: &[u8; ATTRIBUTES_BYTES]) -> Option<Attributes> {
        Attributes::decode(&self.open(ATTRIBUTES_SECTOR, sealed)?)
    }

    fn bound(&self, sector: u64) -> Vec<u8> {
        [self.place.as_slice(), &sector.to_le_bytes()].concat()
    }
}

fn nonce(sector: u64) -> XNonce {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&sector.to_le_bytes());
    XNonce::from(nonce)
}

/// Seals content that comes in pieces, for what should not be in memory whole. [`finish`](super::finish) signs what comes out.
pub struct ContentSealer {
    place: Place,
    sectors: Sectors,
    attributes: Attributes,
    sealed_attributes: [u8; ATTRIBUTES_BYTES],
    /// What is not a whole sector yet.
    pending: Zeroizing<Vec<u8>>,
    next: u64,
    size_bytes: u64,
    hasher: blake3::Hasher,
}

/// What the metadata says about the content.
pub struct SealedContent {
    pub(super) place: Place,
    pub(super) attributes: Attributes,
    pub(super) sealed_attributes: [u8; ATTRIBUTES_BYTES],
    pub(super) size_bytes: u64,
    pub(super) hash: [u8; 32],
}

impl ContentSealer {
    /// Begins the content of a draft.
    pub fn new(draft: &Draft<'_>, entropy: &mut dyn Entropy) -> Result<ContentSealer, SealError> {
        let Draft { readable, kind, version, attributes, .. } = *draft;
        if version == 0 || readable.generation == 0 {
            return Err(SealError::BadNumber);
        }
        let place = Place {
            root: readable.root,
            node: readable.path.node(),
            kind,
            version,
            generation: readable.generation,
            salt: draw(entropy)?,
        };
        let sectors = Sectors::new(&place, &readable.key);
        // sealed here and once only, since one key and nonce must not seal two things
        let sealed_attributes = sectors.seal_attributes(attributes).ok_or(SealError::TooLarge)?;
        Ok(ContentSealer {
            place,
            sectors,
            attributes,
            sealed_attributes,
            pending: Zeroizing::new(Vec::with_capacity(SECTOR_PLAIN_BYTES)),
            next: 0,
            size_bytes: 0,
            hasher: blake3::Hasher::new(),
        })
    }

    /// Takes the next bytes; the sectors that are full are added to `sealed`.
    pub fn push(&mut self, mut plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), SealError> {
        let size_bytes = self.size_bytes.checked_add(plain.len() as u64);
        self.size_bytes = size_bytes.filter(|size| *size <= super::SIZE_LIMIT_BYTES).ok_or(SealError::TooLarge)?;
        while !plain.is_empty() {
            let taken = plain.len().min(SECTOR_PLAIN_BYTES - self.pending.len());
            self.pending.extend_from_slice(&plain[..taken]);
            plain = &plain[taken..];
            if self.pending.len() == SECTOR_PLAIN_BYTES {
                self.flush(sealed)?;
            }
        }
        Ok(())
    }

    /// Ends it; the last sector is added to `sealed`.
    pub fn end(mut self, sealed: &mut Vec<u8>) -> Result<SealedContent, SealError> {
        if !self.pending.is_empty() {
            self.flush(sealed)?;
        }
        Ok(SealedContent {
            place: self.place,
            attributes: self.attributes,
            sealed_attributes: self.sealed_attributes,
            size_bytes: self.size_bytes,
            hash: *self.hasher.finalize().as_bytes(),
        })
    }

    fn flush(&mut self, sealed: &mut Vec<u8>) -> Result<(), SealError> {
        // the cipher refuses only what is longer than 256 GiB
        let sector = self.sectors.seal(self.next, &self.pending).ok_or(SealError::TooLarge)?;
        debug_assert!(sector.len() <= SECTOR_BYTES);
        self.hasher.update(&sector);
        sealed.extend(sector);
        self.next += 1;
        self.pending.clear();
        Ok(())
    }
}
