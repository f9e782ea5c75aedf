//! A file's key under this machine's TPM 2.0: a sealed data object, which that TPM alone opens.
//!
//! The object stands under a primary key of the owner hierarchy, which the TPM makes anew each time from its own seed and one
//! template ([`commands`]); no password and no state of the machine is bound to it. So it keeps the keys from who
//! has the disk, or a copy of it, and not the machine; not from who can start another system on the machine itself.
//!
//! This process speaks to the TPM over a descriptor that it was given ([`descriptor`]), and without TCG's software stack. That
//! one opens devices by path and connects to everything else by itself, for each command anew, which no confined process can; and
//! six commands are all that it takes.
//!
//! # Encoding
//!
//! | bytes | |
//! | --- | --- |
//! | 4 + n | the object's public area (TPMT_PUBLIC as the TPM writes it), with its length before it |
//! | 4 + n | its private area (the contents of TPM2B_PRIVATE), with its length before it |
//!
//! Lengths are 32 bits, little endian.

pub mod commands;
pub mod descriptor;
mod wire;

use crate::bytes::{Malformed, Reader, put_counted};
use crate::problem::{Problem, Word};
use crate::secret::Key;

/// The longest area of either kind. That of a sealed key with SHA-256 has less than 200 bytes.
const AREA_LIMIT_BYTES: usize = 512;
/// The longest encoding.
pub const TPM_LOCK_LIMIT_BYTES: usize = 2 * (4 + AREA_LIMIT_BYTES);

/// A sealed data object: nothing in it is secret to anybody but its TPM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmLock {
    public: Vec<u8>,
    private: Vec<u8>,
}

impl TpmLock {
    /// An object as the TPM made it.
    ///
    /// # Errors
    /// An area is empty or longer than one can be.
    pub fn new(public: Vec<u8>, private: Vec<u8>) -> Result<TpmLock, Malformed> {
        let fits = |area: &[u8]| !area.is_empty() && area.len() <= AREA_LIMIT_BYTES;
        if fits(&public) && fits(&private) { Ok(TpmLock { public, private }) } else { Err(Malformed) }
    }

    /// Its public area.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Its private area.
    #[must_use]
    pub fn private(&self) -> &[u8] {
        &self.private
    }

    /// Adds the encoding.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        put_counted(bytes, &self.public);
        put_counted(bytes, &self.private);
    }

    /// Takes the encoding, whole.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(bytes: &[u8]) -> Result<TpmLock, Malformed> {
        let mut reader = Reader::new(bytes);
        let public = reader.counted(AREA_LIMIT_BYTES)?.to_vec();
        let private = reader.counted(AREA_LIMIT_BYTES)?.to_vec();
        reader.end()?;
        TpmLock::new(public, private)
    }
}

/// What of a TPM there is. Every call may wait for it.
pub trait Tpm: Send {
    /// Its maker's words, or why there is none to use.
    fn describe(&mut self) -> String;

    /// Seals a file's key.
    ///
    /// # Errors
    /// There is none to use (`notSupported`), or it fails (`io`).
    fn seal(&mut self, file_key: &Key) -> Result<TpmLock, Problem>;

    /// Opens it again.
    ///
    /// # Errors
    /// It is another TPM, it was cleared, or there is none (`protectionGone`); it cannot be used (`notSupported`) or
    /// fails (`io`); the object was changed (`damaged`).
    fn open(&mut self, lock: &TpmLock) -> Result<Key, Problem>;
}

/// This process was given no TPM.
#[derive(Clone, Copy, Debug)]
pub struct NoTpm;

impl Tpm for NoTpm {
    fn describe(&mut self) -> String {
        "none: the keys service was given no TPM".to_owned()
    }

    fn seal(&mut self, _: &Key) -> Result<TpmLock, Problem> {
        Err(Problem::new(Word::NotSupported, "the keys service was given no TPM: use a passphrase"))
    }

    fn open(&mut self, _: &TpmLock) -> Result<Key, Problem> {
        let text = "these keys are in a TPM, and the keys service was given none: give it one, or restore a backup";
        Err(Problem::new(Word::ProtectionGone, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written() {
        let lock = TpmLock::new(vec![1; 48], vec![2; AREA_LIMIT_BYTES]).unwrap();
        let mut bytes = Vec::new();
        lock.encode(&mut bytes);
        assert_eq!(TpmLock::decode(&bytes), Ok(lock));
        for length in 0..bytes.len() {
            assert_eq!(TpmLock::decode(&bytes[..length]), Err(Malformed));
        }
    }

    #[test]
    fn an_area_that_cannot_be_is_refused() {
        assert_eq!(TpmLock::new(vec![], vec![2]), Err(Malformed));
        assert_eq!(TpmLock::new(vec![1], vec![2; AREA_LIMIT_BYTES + 1]), Err(Malformed));
    }

    #[test]
    fn where_there_is_none_it_says_so() {
        assert!(NoTpm.describe().starts_with("none: "));
        assert_eq!(NoTpm.seal(&Key::random().unwrap()).unwrap_err().word(), Word::NotSupported);
        let lock = TpmLock::new(vec![1], vec![2]).unwrap();
        assert_eq!(NoTpm.open(&lock).unwrap_err().word(), Word::ProtectionGone);
    }
}
