//! Keys of a node, in memory, with real cryptography.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use chacha20poly1305::aead::Aead;
use chacha20poly1305::aead::Payload;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::super::{Keys, KeysError, SIGNATURE_CONTEXT};

pub(crate) struct TestKeys {
    signing: Mutex<Vec<SigningKey>>,
    sealing: Mutex<Sealing>,
    pub(crate) locked: AtomicBool,
}

/// As the keys service has it: the key that seals, the one before, and whether what the present one sealed was opened.
struct Sealing {
    present: [u8; 32],
    before: Option<[u8; 32]>,
    was_used: bool,
}

impl TestKeys {
    pub(crate) fn new() -> Self {
        let sealing = Sealing { present: [9; 32], before: None, was_used: false };
        Self {
            signing: Mutex::new(vec![SigningKey::from_bytes(&[7; 32])]),
            sealing: Mutex::new(sealing),
            locked: AtomicBool::new(false),
        }
    }

    /// Keys of another node.
    pub(crate) fn of_another_node() -> Self {
        let keys = Self::new();
        keys.sealing.lock().unwrap().present = [99; 32];
        keys.forget_signers();
        keys
    }

    /// Another key seals from now on. Refused while the one before may still be needed.
    pub(crate) fn rotate_store(&self) -> Result<(), &'static str> {
        let mut sealing = self.sealing.lock().unwrap();
        if sealing.before.is_some() && !sealing.was_used {
            return Err("nothing that the present key sealed was opened");
        }
        let present = sealing.present.map(|byte| byte.wrapping_add(1));
        *sealing = Sealing { present, before: Some(sealing.present), was_used: false };
        Ok(())
    }

    /// As the keys service does once what the present key sealed was opened.
    pub(crate) fn forget_before(&self) {
        self.sealing.lock().unwrap().before = None;
    }

    /// Another key signs from now on.
    pub(crate) fn rotate_commits(&self) {
        let mut signing = self.signing.lock().unwrap();
        let seed = [7 + u8::try_from(signing.len()).unwrap(); 32];
        signing.push(SigningKey::from_bytes(&seed));
    }

    /// These keys never signed before.
    pub(crate) fn forget_signers(&self) {
        *self.signing.lock().unwrap() = vec![SigningKey::from_bytes(&[77; 32])];
    }

    fn store(&self) -> Result<(), KeysError> {
        if self.locked.load(Ordering::Relaxed) { Err(KeysError::Locked) } else { Ok(()) }
    }
}

impl Keys for TestKeys {
    fn unseal_root(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError> {
        self.store()?;
        let (nonce, body) = sealed.split_first_chunk::<24>().ok_or(KeysError::Damaged)?;
        let mut sealing = self.sealing.lock().unwrap();
        for key in [Some(sealing.present), sealing.before].into_iter().flatten() {
            let cipher = XChaCha20Poly1305::new(&key.into());
            if let Ok(opened) = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: context }) {
                let current = key == sealing.present;
                sealing.was_used |= current;
                return Ok((Zeroizing::new(opened), current));
            }
        }
        Err(KeysError::Damaged)
    }

    fn seal_root(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, KeysError> {
        self.store()?;
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).unwrap();
        let cipher = XChaCha20Poly1305::new(&self.sealing.lock().unwrap().present.into());
        let body = cipher.encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: context }).unwrap();
        Ok([&nonce[..], &body].concat())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysError> {
        self.store()?;
        let signing = self.signing.lock().unwrap();
        Ok(signing.last().unwrap().sign(&blake3::derive_key(SIGNATURE_CONTEXT, message)).to_bytes())
    }

    fn public_key(&self) -> Result<[u8; 32], KeysError> {
        Ok(self.signing.lock().unwrap().last().unwrap().verifying_key().to_bytes())
    }

    fn public_keys(&self) -> Result<Vec<[u8; 32]>, KeysError> {
        Ok(self.signing.lock().unwrap().iter().map(|key| key.verifying_key().to_bytes()).collect())
    }
}
