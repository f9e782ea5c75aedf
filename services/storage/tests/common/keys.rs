//! Keys with real signatures and real seals, in memory: to be asked directly, or served over links in the place of the keys
//! service.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use capnp::Error;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer as _, SigningKey};
use schema::keys_capnp::{signer, unsealer};
use storage_service::store::{Keys, KeysError};
use zeroize::Zeroizing;

const CONTEXT: &str = "latchkey 2026 signature: commits";
const NONCE_BYTES: usize = 24;

pub struct TestKeys {
    signing: SigningKey,
    sealing: XChaCha20Poly1305,
    locked: AtomicBool,
    /// How often it was asked to sign.
    pub signed: AtomicUsize,
    silent: Mutex<bool>,
    answering: Condvar,
}

/// While it lives, nothing is signed: who asks waits.
pub struct Silence(Arc<TestKeys>);

impl Drop for Silence {
    fn drop(&mut self) {
        *self.0.silent.lock().unwrap() = false;
        self.0.answering.notify_all();
    }
}

impl TestKeys {
    pub fn fresh() -> TestKeys {
        let (mut sealing, mut signing) = ([0; 32], [0; 32]);
        getrandom::fill(&mut sealing).unwrap();
        getrandom::fill(&mut signing).unwrap();
        TestKeys {
            signing: SigningKey::from_bytes(&signing),
            sealing: XChaCha20Poly1305::new(&sealing.into()),
            locked: AtomicBool::new(false),
            signed: AtomicUsize::new(0),
            silent: Mutex::new(false),
            answering: Condvar::new(),
        }
    }

    pub fn lock(&self, locked: bool) {
        self.locked.store(locked, Ordering::Relaxed);
    }

    /// Answers no more question for a signature until what is returned is dropped.
    pub fn fall_silent(self: &Arc<Self>) -> Silence {
        *self.silent.lock().unwrap() = true;
        Silence(self.clone())
    }

    pub fn public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    fn unlocked(&self) -> Result<(), KeysError> {
        if self.locked.load(Ordering::Relaxed) { Err(KeysError::Locked) } else { Ok(()) }
    }
}

impl Keys for TestKeys {
    fn unseal_root(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError> {
        self.unlocked()?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(KeysError::Damaged)?;
        let nonce = XNonce::try_from(nonce).unwrap();
        let payload = Payload { msg: sealed, aad: context };
        let secret = self.sealing.decrypt(&nonce, payload).map_err(|_| KeysError::Damaged)?;
        Ok((secret.into(), true))
    }

    fn seal_root(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, KeysError> {
        self.unlocked()?;
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).unwrap();
        let payload = Payload { msg: secret, aad: context };
        let sealed = self.sealing.encrypt(&XNonce::from(nonce), payload).unwrap();
        Ok([&nonce[..], &sealed].concat())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysError> {
        self.unlocked()?;
        self.signed.fetch_add(1, Ordering::Relaxed);
        drop(self.answering.wait_while(self.silent.lock().unwrap(), |silent| *silent).unwrap());
        Ok(self.signing.sign(&blake3::derive_key(CONTEXT, message)).to_bytes())
    }

    fn public_keys(&self) -> Result<Vec<[u8; 32]>, KeysError> {
        Ok(vec![self.public()])
    }

    fn public_key(&self) -> Result<[u8; 32], KeysError> {
        self.unlocked()?;
        Ok(self.public())
    }
}

/// The same over links, as the keys service serves them.
#[derive(Clone)]
pub struct ServedKeys(pub Arc<TestKeys>);

/// In the words of `keys.capnp`.
fn exception(error: KeysError) -> Error {
    Error::failed(match error {
        KeysError::Locked => "locked: unlock the keys first".to_owned(),
        KeysError::Damaged => "damaged: not what was sealed".to_owned(),
        other => format!("io: {other:?}"),
    })
}

impl signer::Server for ServedKeys {
    async fn public_key(
        self: Rc<Self>,
        _: signer::PublicKeyParams,
        mut results: signer::PublicKeyResults,
    ) -> Result<(), Error> {
        results.get().set_key(&self.0.public());
        results.get().set_generation(1);
        Ok(())
    }

    async fn history(
        self: Rc<Self>,
        _: signer::HistoryParams,
        mut results: signer::HistoryResults,
    ) -> Result<(), Error> {
        results.get().init_keys(1).set(0, &self.0.public());
        Ok(())
    }

    async fn sign(self: Rc<Self>, params: signer::SignParams, mut results: signer::SignResults) -> Result<(), Error> {
        let signature = self.0.sign(params.get()?.get_message()?).map_err(exception)?;
        results.get().set_signature(&signature);
        Ok(())
    }
}

impl unsealer::Server for ServedKeys {
    async fn seal(
        self: Rc<Self>,
        params: unsealer::SealParams,
        mut results: unsealer::SealResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let sealed = self.0.seal_root(params.get_secret()?, params.get_context()?).map_err(exception)?;
        results.get().set_sealed(&sealed);
        Ok(())
    }

    async fn unseal(
        self: Rc<Self>,
        params: unsealer::UnsealParams,
        mut results: unsealer::UnsealResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let (secret, current) = self.0.unseal_root(params.get_sealed()?, params.get_context()?).map_err(exception)?;
        results.get().set_secret(&secret);
        results.get().set_current(current);
        Ok(())
    }
}
