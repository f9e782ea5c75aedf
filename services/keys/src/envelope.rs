//! A whole keyring as a file: what everybody may know of it, and what is secret, sealed. The node's own file and a backup
//! are laid out alike.
//!
//! # Encoding
//!
//! | bytes | |
//! | --- | --- |
//! | 8 | `latchkey` for a node's own file, `ltchback` for a backup |
//! | 2 | format, 1. Of another one nothing else is read |
//! | 1 | the lock: 1 a passphrase ([`crate::passphrase`]), 2 a TPM ([`crate::tpm`]); a backup has a passphrase |
//! | 1 | 0 |
//! | 4 + n | the lock's parameters, with their length before them |
//! | 4 + n | what is public ([`crate::public`]), with its length before it |
//! | 4 + n | what is secret ([`crate::keyring`]), sealed as [`crate::sealing`] says under the file's own random key, with its length before it. Bound to it is everything that stands before this length |
//! | 32 | checksum: BLAKE3 derive_key with [`CHECKSUM_CONTEXT`] over everything before |
//!
//! Numbers are little endian. The checksum finds chance damage before a passphrase is asked for; whoever changes a byte on
//! purpose and makes the checksum anew is found by the seal.

use crate::bytes::{Malformed, Reader, put_counted};
use crate::keyring::{Keyring, SECRETS_LIMIT_BYTES};
use crate::limits::FILE_LIMIT_BYTES;
use crate::lock::{LOCK_LIMIT_BYTES, Lock};
use crate::problem::{Problem, Word};
use crate::public::Public;
use crate::sealing;
use crate::secret::Key;

/// See the module.
pub const CHECKSUM_CONTEXT: &str = "latchkey 2026 keyring file checksum";

const FORMAT: u16 = 1;
const CHECKSUM_BYTES: usize = 32;
/// Magic and format, which every format begins with.
const BEGINNING_BYTES: usize = 8 + 2;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The node's own.
    Node,
    /// To be kept elsewhere.
    Backup,
}

impl Kind {
    const fn magic(self) -> &'static [u8; 8] {
        match self {
            Kind::Node => b"latchkey",
            Kind::Backup => b"ltchback",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Kind::Node => "file of keys",
            Kind::Backup => "backup of keys",
        }
    }
}

/// A file that was read, still locked.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// What opens it.
    pub lock: Lock,
    /// What is public. Nobody but who opens it can be sure of it.
    pub public: Public,
    /// Everything that is bound to what is sealed.
    clear: Vec<u8>,
    sealed: Vec<u8>,
}

/// The bytes of a file with this keyring, sealed under `file_key`, which `lock` protects.
///
/// # Errors
/// There is no randomness (`io`).
pub fn write(kind: Kind, lock: &Lock, file_key: &Key, keyring: &Keyring) -> Result<Vec<u8>, Problem> {
    let mut bytes = kind.magic().to_vec();
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend([lock.kind(), 0]);
    let mut part = Vec::new();
    lock.encode(&mut part);
    put_counted(&mut bytes, &part);
    part.clear();
    keyring.public().encode(&mut part);
    put_counted(&mut bytes, &part);
    let sealed = sealing::seal(file_key, &bytes, &keyring.secrets())?;
    put_counted(&mut bytes, &sealed);
    bytes.extend(blake3::derive_key(CHECKSUM_CONTEXT, &bytes));
    Ok(bytes)
}

/// Reads a file, as far as that goes without what opens it.
///
/// # Errors
/// It is none or was changed (`damaged`), or a newer version wrote it (`notSupported`).
pub fn read(kind: Kind, bytes: &[u8]) -> Result<Envelope, Problem> {
    let damaged = |what: &str| Problem::damaged(format!("this {} {what}", kind.name()));
    if bytes.len() > FILE_LIMIT_BYTES {
        return Err(damaged("is longer than one can be"));
    }
    let (covered, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("is cut off"))?;
    let (beginning, rest) = covered.split_first_chunk::<BEGINNING_BYTES>().ok_or_else(|| damaged("is cut off"))?;
    if !beginning.starts_with(kind.magic()) {
        return Err(damaged("does not begin as one does"));
    }
    if blake3::derive_key(CHECKSUM_CONTEXT, covered) != *checksum {
        return Err(damaged("was changed or cut off"));
    }
    let format = u16::from_le_bytes([beginning[8], beginning[9]]);
    if format != FORMAT {
        let text =
            format!("this {} has format {format}, and this version knows {FORMAT}: use a newer one", kind.name());
        return Err(Problem::new(Word::NotSupported, text));
    }
    let parts = parts(rest).map_err(|_: Malformed| damaged("is not laid out as one is"))?;
    if kind == Kind::Backup && !matches!(parts.0, Lock::Passphrase(_)) {
        return Err(damaged("is under no passphrase"));
    }
    let (lock, public, sealed) = parts;
    let clear = covered[..covered.len() - sealed.len() - 4].to_vec();
    Ok(Envelope { lock, public, clear, sealed: sealed.to_vec() })
}

fn parts(bytes: &[u8]) -> Result<(Lock, Public, &[u8]), Malformed> {
    let mut reader = Reader::new(bytes);
    let lock_kind = reader.u8()?;
    if reader.u8()? != 0 {
        return Err(Malformed);
    }
    let lock = Lock::decode(lock_kind, reader.counted(LOCK_LIMIT_BYTES)?)?;
    let public = Public::decode(reader.counted(FILE_LIMIT_BYTES)?)?;
    let sealed = reader.counted(SECRETS_LIMIT_BYTES + sealing::OVERHEAD_BYTES)?;
    reader.end()?;
    Ok((lock, public, sealed))
}

impl Envelope {
    /// The keyring.
    ///
    /// # Errors
    /// A byte of the file was changed, or it is another file's key (`damaged`).
    pub fn open(&self, file_key: &Key) -> Result<Keyring, Problem> {
        let changed = || Problem::damaged("the file of keys was changed: restore a backup");
        let secrets = sealing::open(file_key, &self.clear, &self.sealed).ok_or_else(changed)?;
        Keyring::from_parts(self.public.clone(), &secrets).ok_or_else(changed)
    }
}

#[cfg(test)]
mod tests;
