//! Keys of a node, in memory, with real cryptography.

use std::sync::atomic::{AtomicBool, Ordering};

use chacha20poly1305::aead::Aead;
use chacha20poly1305::aead::Payload;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use super::super::{Keys, KeysError, SIGNATURE_CONTEXT};

pub(crate) struct TestKeys {
    signing: SigningKey,
    sealing: [u8; 32],
    pub(crate) locked: AtomicBool,
}

impl TestKeys {
    pub(crate) fn new() -> Self {
        Self { signing: SigningKey::from_bytes(&[7; 32]), sealing: [9; 32], locked: AtomicBool::new(false) }
    }

    fn unlocked(&self) -> Result<(), KeysError> {
        if self.locked.load(Ordering::Relaxed) { Err(KeysError::Locked) } else { Ok(()) }
    }
}

impl Keys for TestKeys {
    fn unseal_root(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError> {
        self.unlocked()?;
        let (nonce, body) = sealed.split_first_chunk::<24>().ok_or(KeysError::Damaged)?;
        let cipher = XChaCha20Poly1305::new(&self.sealing.into());
        let payload = Payload { msg: body, aad: context };
        let opened = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeysError::Damaged)?;
        Ok((Zeroizing::new(opened), true))
    }

    fn seal_root(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, KeysError> {
        self.unlocked()?;
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).unwrap();
        let cipher = XChaCha20Poly1305::new(&self.sealing.into());
        let body = cipher.encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: context }).unwrap();
        Ok([&nonce[..], &body].concat())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysError> {
        self.unlocked()?;
        Ok(self.signing.sign(&blake3::derive_key(SIGNATURE_CONTEXT, message)).to_bytes())
    }

    fn public_key(&self) -> Result<[u8; 32], KeysError> {
        Ok(self.signing.verifying_key().to_bytes())
    }
}
