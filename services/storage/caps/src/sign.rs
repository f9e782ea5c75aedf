//! Signatures. The private keys live in another process; what it signs is the same here and there: Ed25519 over
//! BLAKE3 in the mode derive_key of the message, with the context of the purpose "commits".

use crate::PublicKey;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use std::fmt;

/// What the keys of stores sign with: see `Signer` of `keys.capnp`.
const SIGNATURE_CONTEXT: &str = "latchkey 2026 signature: commits";

/// The most that is signed at once, which is the most that `Signer.sign` takes.
pub(crate) const MESSAGE_LIMIT_BYTES: usize = 64 << 10;

/// An Ed25519 signature.
pub type Signature = [u8; 64];

/// The length of a [`Signature`].
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// What every message begins with, ended by a zero byte: a signature for one of these things is none for another, and
/// none for anything else that the same key signs.
#[derive(Clone, Copy)]
pub(crate) enum Signed {
    Node,
    Readcap,
    WritecapLink,
}

impl Signed {
    pub(crate) const LONGEST_LABEL_BYTES: usize = 28;

    fn label(self) -> &'static [u8] {
        match self {
            Signed::Node => b"latchkey caps sealed node\0",
            Signed::Readcap => b"latchkey caps readcap\0",
            Signed::WritecapLink => b"latchkey caps writecap link\0",
        }
    }

    fn message(self, body: &[u8]) -> Vec<u8> {
        [self.label(), body].concat()
    }
}

/// One key that signs, wherever it is.
pub trait Signer {
    /// Its public half.
    fn public_key(&self) -> PublicKey;

    /// Signs the message, which has at most 64 KiB: Ed25519 over the 32 bytes that BLAKE3 derive_key gives of it with the
    /// context "latchkey 2026 signature: commits".
    fn sign(&self, message: &[u8]) -> Result<Signature, NotSigned>;
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSigned {
    /// The keys are locked: unlock them and try again.
    Locked,
    /// Whoever has the key cannot be reached, or failed.
    Unavailable,
    /// The signature is not that key's: the key was changed meanwhile. Try again.
    OtherKey,
}

impl fmt::Display for NotSigned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            NotSigned::Locked => "the keys are locked",
            NotSigned::Unavailable => "the key that signs cannot be reached",
            NotSigned::OtherKey => "it was signed by another key",
        })
    }
}

impl std::error::Error for NotSigned {}

/// Signs, and looks whether it is a signature by that key.
pub(crate) fn sign(signer: &dyn Signer, what: Signed, body: &[u8]) -> Result<Signature, NotSigned> {
    let signature = signer.sign(&what.message(body))?;
    if is_signed(&signer.public_key(), what, body, &signature) { Ok(signature) } else { Err(NotSigned::OtherKey) }
}

/// Whether the key signed it. Strict: no second form of a signature passes, and no key of small order.
pub(crate) fn is_signed(key: &PublicKey, what: Signed, body: &[u8], signature: &Signature) -> bool {
    let hash = blake3::derive_key(SIGNATURE_CONTEXT, &what.message(body));
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| key.verify_strict(&hash, &signature).is_ok())
}

/// A key in this process, for tools and tests. The private half is overwritten when it is dropped.
pub struct LocalSigner(SigningKey);

impl LocalSigner {
    /// The key of this seed (RFC 8032's private key).
    pub fn from_seed(seed: &[u8; 32]) -> LocalSigner {
        LocalSigner(SigningKey::from_bytes(seed))
    }
}

impl Signer for LocalSigner {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, NotSigned> {
        Ok(self.0.sign(&blake3::derive_key(SIGNATURE_CONTEXT, message)).to_bytes())
    }
}
