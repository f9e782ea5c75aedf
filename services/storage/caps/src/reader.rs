//! Keys sealed to one reader: HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20Poly1305. What comes out are 80 bytes that look like chance: nothing in them tells whose they are, so two of
//! one reader have nothing in common. A reader finds its own by trying.

use crate::decode::{DecodeError, Decoder};
use crate::entropy::{Entropy, NoEntropy, draw};
use crate::node::NodeKey;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

type Public = <X25519HkdfSha256 as Kem>::PublicKey;
type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

/// The encapsulated key (32), the sealed key (32) and its tag (16).
pub const SEALED_KEY_BYTES: usize = 32 + 32 + 16;

/// A node's key, sealed to a reader.
pub type SealedKey = [u8; SEALED_KEY_BYTES];

/// Whom something is sealed to: an X25519 public key (RFC 7748).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReaderPublic(pub [u8; 32]);

/// The private half of a [`ReaderPublic`]. It is overwritten when it is dropped.
#[derive(Clone)]
pub struct ReaderSecret(Zeroizing<[u8; 32]>);

impl ReaderSecret {
    /// A new one.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<ReaderSecret, NoEntropy> {
        Ok(ReaderSecret::from_bytes(draw(entropy)?))
    }

    /// One that is known: an X25519 private key.
    pub fn from_bytes(bytes: [u8; 32]) -> ReaderSecret {
        ReaderSecret(Zeroizing::new(bytes))
    }

    /// Its public half.
    pub fn public(&self) -> ReaderPublic {
        ReaderPublic(self.secret().map_or([0; 32], |secret| X25519HkdfSha256::sk_to_pk(&secret).to_bytes().into()))
    }

    /// Any 32 bytes are a private key.
    fn secret(&self) -> Option<Secret> {
        Secret::from_bytes(self.0.as_slice()).ok()
    }
}

impl fmt::Debug for ReaderSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReaderSecret(…)")
    }
}

/// What the sealed key is for. It is HPKE's `info`: a key that was sealed for one thing opens for nothing else.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Entry,
    Readcap,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Purpose::Entry => b"latchkey 2026 reader entry",
            Purpose::Readcap => b"latchkey 2026 readcap",
        }
    }
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSealed {
    /// The public key is none that a secret can be shared with.
    BadReader,
    NoEntropy,
}

impl From<NoEntropy> for NotSealed {
    fn from(_: NoEntropy) -> NotSealed {
        NotSealed::NoEntropy
    }
}

/// Seals a key to a reader; `bound` is needed again to open it. Takes 32 bytes of chance, from which HPKE's
/// DeriveKeyPair makes the ephemeral key.
pub(crate) fn seal_key(
    key: &NodeKey,
    reader: &ReaderPublic,
    purpose: Purpose,
    bound: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<SealedKey, NotSealed> {
    let public = Public::from_bytes(&reader.0).map_err(|_| NotSealed::BadReader)?;
    let mut material = Material(draw(entropy)?);
    let (encapsulated, sealed) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        purpose.info(),
        key.as_bytes(),
        bound,
        &mut material,
    )
    .map_err(|_| NotSealed::BadReader)?;
    let mut bytes = [0; SEALED_KEY_BYTES];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(&encapsulated.to_bytes());
    second.copy_from_slice(&sealed);
    Ok(bytes)
}

/// Opens what was sealed to this reader for this purpose with the same `bound`; nothing otherwise.
pub(crate) fn open_key(sealed: &SealedKey, reader: &ReaderSecret, purpose: Purpose, bound: &[u8]) -> Option<NodeKey> {
    let encapsulated = Encapsulated::from_bytes(&sealed[..32]).ok()?;
    let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &reader.secret()?,
        &encapsulated,
        purpose.info(),
        &sealed[32..],
        bound,
    );
    let opened = Zeroizing::new(opened.ok()?);
    Some(NodeKey::from_bytes(opened.as_slice().try_into().ok()?))
}

pub(crate) fn decode_sealed(decoder: &mut Decoder<'_>) -> Result<SealedKey, DecodeError> {
    decoder.array()
}

/// The 32 bytes that one encapsulation takes.
struct Material([u8; 32]);

impl TryRng for Material {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The first call gets the material as it is. Another would get what follows from it, never the same again; HPKE makes
    /// one.
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(self.0.len()) {
            piece.copy_from_slice(&self.0[..piece.len()]);
            self.0 = blake3::derive_key("latchkey 2026 reader: further material", &self.0);
        }
        Ok(())
    }
}

impl TryCryptoRng for Material {}

impl Drop for Material {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
