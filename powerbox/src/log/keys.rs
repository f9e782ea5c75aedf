//! The node's log key: made at the first start, in a file that only the powerbox reads.

use std::io;

use ed25519_dalek::SigningKey;

use super::files::{Files, create_whole};
use super::{LogError, RECORDS};

/// Where the key is, in the powerbox's folder.
const KEY: &str = "keys/log";
/// How long it is.
const KEY_BYTES: usize = 32;

/// The key in the folder, or a new one. A key that others could have read is refused: its signatures prove nothing.
pub(super) fn load_or_create(files: &dyn Files) -> Result<SigningKey, LogError> {
    match files.open(KEY) {
        Ok(file) => {
            let mode = file.mode().map_err(LogError::Io)?;
            if mode & 0o077 != 0 {
                return Err(LogError::KeyReadable { mode });
            }
            // Whoever made it may have been killed before its name was for good.
            files.sync_folder_of(KEY).map_err(LogError::Io)?;
            let bytes = file.read_at(0, KEY_BYTES).map_err(LogError::Io)?;
            let secret: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| LogError::KeyDamaged)?;
            Ok(SigningKey::from_bytes(&secret))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if files.open(RECORDS).is_ok() {
                return Err(LogError::KeyMissing);
            }
            let mut secret = [0; KEY_BYTES];
            getrandom::fill(&mut secret).map_err(|error| LogError::Io(io::Error::other(error.to_string())))?;
            create_whole(files, KEY, &secret).map_err(LogError::Io)?;
            Ok(SigningKey::from_bytes(&secret))
        }
        Err(error) => Err(LogError::Io(error)),
    }
}
