//! Bytes that nobody else may know: erased when they are let go of, and never shown.

use zeroize::{Zeroize, Zeroizing};

use crate::problem::{Problem, Word};

/// How long every key is.
pub const KEY_BYTES: usize = 32;

/// One key, on the heap, so that moving it leaves no copy behind.
pub struct Key(Box<Zeroizing<[u8; KEY_BYTES]>>);

/// From the heap to the heap: what is derived goes over the stack, and leaves it there.
impl Clone for Key {
    fn clone(&self) -> Key {
        let mut key = Key::zeros();
        key.as_mut().copy_from_slice(self.as_bytes());
        key
    }
}

impl Key {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// The system has none to give (`io`).
    pub fn random() -> Result<Key, Problem> {
        let mut key = Key::zeros();
        fill_random(key.as_mut())?;
        Ok(key)
    }

    /// The key in these bytes; nothing where they are not [`KEY_BYTES`].
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Key> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let mut key = Key::zeros();
        key.as_mut().copy_from_slice(bytes);
        Some(key)
    }

    /// A key to be filled in.
    #[must_use]
    pub fn zeros() -> Key {
        Key(Box::default())
    }

    /// The key that is this one's for one use: BLAKE3 in the mode derive_key. Contexts are constants of the program.
    #[must_use]
    pub fn derive(&self, context: &'static str) -> Key {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(self.as_bytes());
        let mut derived = Key::zeros();
        let mut output = hasher.finalize_xof();
        output.fill(derived.as_mut());
        output.zeroize();
        hasher.zeroize();
        derived
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8; KEY_BYTES] {
        &mut self.0
    }
}

/// Not a byte of it.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// How much of the stack is wiped: more than any function of the cryptography that is used here takes with all that it calls.
const STACK_BYTES: usize = 64 << 10;

/// Does work with secrets and wipes the part of the stack that it used. Ciphers and hashes put parts of keys and of what
/// they seal there, and leave them when they return.
pub fn leaving_nothing<T>(work: impl FnOnce() -> T) -> T {
    let done = apart(work);
    wipe();
    done
}

/// With a frame of its own, and all others below it, so that [`wipe`] reaches them.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn wipe() {
    let mut below = [0_u8; STACK_BYTES];
    std::hint::black_box(&mut below);
}

/// Fills a buffer from the operating system's randomness.
///
/// # Errors
/// The system has none to give (`io`).
pub fn fill_random(buffer: &mut [u8]) -> Result<(), Problem> {
    getrandom::fill(buffer).map_err(|error| Problem::new(Word::Io, format!("no randomness: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Key::from_slice(&[0x42; 32]).unwrap()), "Key(…)");
    }

    #[test]
    fn a_key_has_its_length() {
        assert!(Key::from_slice(&[0; 31]).is_none() && Key::from_slice(&[0; 33]).is_none());
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let key = Key::random().unwrap();
        assert_ne!(key.derive("one").as_bytes(), key.derive("other").as_bytes());
        assert_eq!(key.derive("one").as_bytes(), &blake3::derive_key("one", key.as_bytes()));
    }
}
