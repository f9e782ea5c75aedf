//! The keys themselves: what they are, and what is done with them. Nothing here waits, reads a clock or knows a file.
//!
//! # Encoding of what is secret
//! It is only ever written sealed, see [`crate::envelope`]; beside it stands [`Public`], which says how many keys there are.
//!
//! | bytes | |
//! | --- | --- |
//! | 4 × 32 | the seeds (RFC 8032) of the Ed25519 keys of device, log, author, commits |
//! | 32 | the key that seals for store |
//! | 32 | the one before it; absent where store has had only one |
//!
//! # What is sealed for the store
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | format, 1 |
//! | 4 | generation of the key, little endian |
//! | 24 | nonce |
//! | n + 16 | ciphertext and tag: XChaCha20-Poly1305 |
//!
//! The key is BLAKE3 in the mode derive_key with the context [`STORE_CONTEXT`] over the sealing key; bound to it are the first
//! five bytes and then the caller's context.

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::bytes::Reader;
use crate::problem::{Problem, Word};
use crate::public::{Public, PublicKey};
use crate::purpose::{Purpose, Signing};
use crate::sealing;
use crate::secret::{KEY_BYTES, Key};

/// See the module.
pub const STORE_CONTEXT: &str = "latchkey 2026 sealing: store";
/// The longest encoding of what is secret.
pub const SECRETS_LIMIT_BYTES: usize = (Signing::ALL.len() + 2) * KEY_BYTES;

const SEALED_FORMAT: u8 = 1;
/// Format and generation.
const SEALED_HEAD_BYTES: usize = 1 + 4;
/// What is sealed for the store is longer than the secret by this.
pub const SEALED_OVERHEAD_BYTES: usize = SEALED_HEAD_BYTES + sealing::OVERHEAD_BYTES;

/// All keys of a node.
#[derive(Clone)]
pub struct Keyring {
    /// Each key erases itself.
    signing: [Box<SigningKey>; Signing::ALL.len()],
    sealing: Key,
    sealing_before: Option<Key>,
    public: Public,
}

/// What is public of it.
impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Keyring").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Keyring {
    /// New keys for every purpose.
    ///
    /// # Errors
    /// There is no randomness (`io`).
    pub fn generate(now_ms: u64) -> Result<Keyring, Problem> {
        let signing = [new_signing_key()?, new_signing_key()?, new_signing_key()?, new_signing_key()?];
        let public = Public::first(std::array::from_fn(|at| signing[at].verifying_key().to_bytes()), now_ms);
        Ok(Keyring { signing, sealing: Key::random()?, sealing_before: None, public })
    }

    /// What is public of it.
    #[must_use]
    pub fn public(&self) -> &Public {
        &self.public
    }

    /// The Ed25519 signature of a message for a purpose, see `keys.capnp`.
    #[must_use]
    pub fn sign(&self, purpose: Signing, message: &[u8]) -> [u8; 64] {
        let digest = blake3::derive_key(purpose.context(), message);
        self.signing[purpose.index()].sign(&digest).to_bytes()
    }

    /// Seals a secret for the store.
    ///
    /// # Errors
    /// There is no randomness (`io`).
    pub fn seal(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut sealed = vec![SEALED_FORMAT];
        sealed.extend(self.public.current(Purpose::Store).generation.to_le_bytes());
        let bound = [&sealed, context].concat();
        sealed.extend(sealing::seal(&self.sealing.derive(STORE_CONTEXT), &bound, secret)?);
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made, and says whether that was with the key in use.
    ///
    /// # Errors
    /// The bytes, the context or the key is another (`damaged`), or a newer version made them (`notSupported`).
    pub fn unseal(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), Problem> {
        let other = || Problem::damaged("these bytes were not sealed by this node's keys for this context");
        let (head, rest) = sealed.split_at_checked(SEALED_HEAD_BYTES).ok_or_else(other)?;
        let [format, generation @ ..]: [u8; SEALED_HEAD_BYTES] = head.try_into().map_err(|_| other())?;
        if format != SEALED_FORMAT {
            return Err(Problem::new(
                Word::NotSupported,
                format!("sealed in format {format}, which is newer than this"),
            ));
        }
        let (generation, in_use) = (u32::from_le_bytes(generation), self.public.current(Purpose::Store).generation);
        let key = match &self.sealing_before {
            _ if generation == in_use => &self.sealing,
            Some(before) if generation.checked_add(1) == Some(in_use) => before,
            _ => {
                return Err(Problem::damaged(format!(
                    "sealed by key {generation}, which is not kept; {in_use} is in use"
                )));
            }
        };
        let bound = [head, context].concat();
        let secret = sealing::open(&key.derive(STORE_CONTEXT), &bound, rest).ok_or_else(other)?;
        Ok((secret, generation == in_use))
    }

    /// A new key in the place of the one in use. Of store the one before is kept.
    ///
    /// # Errors
    /// The purpose has had as many keys as it can (`badInput`), or there is no randomness (`io`). Nothing has changed then.
    pub fn rotate(&mut self, purpose: Purpose, now_ms: u64) -> Result<PublicKey, Problem> {
        match purpose {
            Purpose::Signing(signing) => {
                let key = new_signing_key()?;
                self.public.rotate_signing(signing, key.verifying_key().to_bytes(), now_ms)?;
                self.signing[signing.index()] = key;
            }
            Purpose::Store => {
                let key = Key::random()?;
                self.public.rotate_store(now_ms)?;
                self.sealing_before = Some(std::mem::replace(&mut self.sealing, key));
            }
        }
        Ok(self.public.current(purpose))
    }

    /// What is secret, to be sealed.
    #[must_use]
    pub fn secrets(&self) -> Zeroizing<Vec<u8>> {
        // Whole from the beginning: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRETS_LIMIT_BYTES));
        for key in &self.signing {
            bytes.extend_from_slice(key.as_bytes());
        }
        bytes.extend_from_slice(self.sealing.as_bytes());
        if let Some(before) = &self.sealing_before {
            bytes.extend_from_slice(before.as_bytes());
        }
        bytes
    }

    /// The keyring of what is public and what is secret; nothing where they do not belong together.
    #[must_use]
    pub fn from_parts(public: Public, secrets: &[u8]) -> Option<Keyring> {
        let mut reader = Reader::new(secrets);
        let mut signing = || reader.take(KEY_BYTES).ok().and_then(signing_key);
        let signing = [signing()?, signing()?, signing()?, signing()?];
        for purpose in Signing::ALL {
            let stated = public.current(Purpose::Signing(purpose)).public?;
            if stated != signing[purpose.index()].verifying_key().to_bytes() {
                return None;
            }
        }
        let mut key = || reader.take(KEY_BYTES).ok().and_then(Key::from_slice);
        let sealing = key()?;
        let had_one_before = public.current(Purpose::Store).generation > 1;
        let sealing_before = if had_one_before { Some(key()?) } else { None };
        reader.end().ok()?;
        Some(Keyring { signing, sealing, sealing_before, public })
    }
}

fn new_signing_key() -> Result<Box<SigningKey>, Problem> {
    let seed = Key::random()?;
    Ok(Box::new(SigningKey::from_bytes(seed.as_bytes())))
}

fn signing_key(seed: &[u8]) -> Option<Box<SigningKey>> {
    Some(Box::new(SigningKey::from_bytes(Key::from_slice(seed)?.as_bytes())))
}

#[cfg(test)]
mod tests;
