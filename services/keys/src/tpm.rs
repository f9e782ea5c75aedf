//! A file's key under this machine's TPM 2.0: a sealed data object, which that TPM alone opens.
//!
//! # Encoding
//!
//! | bytes | |
//! | --- | --- |
//! | 4 + n | the object's public area (TPMT_PUBLIC as the TPM writes it), with its length before it |
//! | 4 + n | its private area (the contents of TPM2B_PRIVATE), with its length before it |
//!
//! Lengths are 32 bits, little endian.

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
    fn describe(&self) -> String;

    /// Seals a file's key.
    ///
    /// # Errors
    /// There is none to use (`notSupported`), or it fails (`io`).
    fn seal(&mut self, file_key: &Key) -> Result<TpmLock, Problem>;

    /// Opens it again.
    ///
    /// # Errors
    /// It is another TPM, or it was cleared (`protectionGone`); there is none to use (`notSupported`); it fails (`io`).
    fn open(&mut self, lock: &TpmLock) -> Result<Key, Problem>;
}

/// No TPM, and why.
#[derive(Clone, Debug)]
pub struct NoTpm(pub String);

impl NoTpm {
    /// This program was built without what speaks to one.
    #[must_use]
    pub fn not_built() -> NoTpm {
        NoTpm("this program was built without TPM support".to_owned())
    }

    fn problem(&self) -> Problem {
        Problem::new(Word::NotSupported, format!("no TPM can be used: {}", self.0))
    }
}

impl Tpm for NoTpm {
    fn describe(&self) -> String {
        format!("none: {}", self.0)
    }

    fn seal(&mut self, _: &Key) -> Result<TpmLock, Problem> {
        Err(self.problem())
    }

    fn open(&mut self, _: &TpmLock) -> Result<Key, Problem> {
        Err(self.problem())
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
    fn where_there_is_none_it_says_why() {
        let mut none = NoTpm::not_built();
        assert!(none.describe().contains("without TPM support"));
        assert_eq!(none.seal(&Key::random().unwrap()).unwrap_err().word(), Word::NotSupported);
    }
}
