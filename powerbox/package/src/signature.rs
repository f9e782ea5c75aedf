//! Signatures of the node's keys, which sign nothing but for a purpose: see `Signer` in `keys.capnp`.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// What the contexts of all purposes begin with.
const CONTEXT: &str = "latchkey 2026 signature: ";

/// What is really signed: a hash that binds the purpose.
fn digest(purpose: &str, message: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(&format!("{CONTEXT}{purpose}"));
    hasher.update(message);
    *hasher.finalize().as_bytes()
}

/// Whether that key signed the message for that purpose.
#[must_use]
pub fn verify(purpose: &str, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
    key.verify_strict(&digest(purpose, message), &Signature::from_bytes(signature)).is_ok()
}

/// Signs with a key that is at hand, as the node's keys would.
#[must_use]
pub fn sign(purpose: &str, key: &SigningKey, message: &[u8]) -> [u8; 64] {
    key.sign(&digest(purpose, message)).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_for_one_purpose_and_one_message() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (public, signature) = (key.verifying_key().to_bytes(), sign("log", &key, b"message"));
        assert!(verify("log", &public, b"message", &signature));
        assert!(!verify("author", &public, b"message", &signature));
        assert!(!verify("log", &public, b"another", &signature));
        assert!(!verify("log", &[9; 32], b"message", &signature));
    }
}
