//! What a file of keys is locked with: how the key that its secrets are sealed under is itself protected.

use crate::bytes::Malformed;
use crate::passphrase::{PASSPHRASE_LOCK_BYTES, PassphraseLock};
use crate::tpm::{TPM_LOCK_LIMIT_BYTES, TpmLock};

/// The longest encoding of any.
pub const LOCK_LIMIT_BYTES: usize =
    if PASSPHRASE_LOCK_BYTES > TPM_LOCK_LIMIT_BYTES { PASSPHRASE_LOCK_BYTES } else { TPM_LOCK_LIMIT_BYTES };

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// A passphrase opens it.
    Passphrase(PassphraseLock),
    /// This machine's TPM opens it.
    Tpm(TpmLock),
}

impl Lock {
    /// How an encoding says which it is.
    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Lock::Passphrase(_) => 1,
            Lock::Tpm(_) => 2,
        }
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Lock::Passphrase(lock) => lock.encode(bytes),
            Lock::Tpm(lock) => lock.encode(bytes),
        }
    }

    pub(crate) fn decode(kind: u8, bytes: &[u8]) -> Result<Lock, Malformed> {
        match kind {
            1 => PassphraseLock::decode(bytes).map(Lock::Passphrase),
            2 => TpmLock::decode(bytes).map(Lock::Tpm),
            _ => Err(Malformed),
        }
    }
}
