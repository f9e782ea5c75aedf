//! The node's log key: made at the first start, in a file that only the powerbox reads.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ed25519_dalek::SigningKey;

use super::LogError;

/// Where the key is, in the powerbox's folder.
const KEY: &str = "keys/log";

/// The key in `folder`, or a new one. A key that others could have read is refused: its signatures prove nothing.
pub(super) fn load_or_create(folder: &Path) -> Result<SigningKey, LogError> {
    let path = folder.join(KEY);
    match File::open(&path) {
        Ok(mut file) => {
            let mode = file.metadata().map_err(LogError::Io)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(LogError::KeyReadable { mode });
            }
            let mut secret = [0; 32];
            file.read_exact(&mut secret).map_err(|_| LogError::KeyDamaged)?;
            Ok(SigningKey::from_bytes(&secret))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if folder.join(super::RECORDS).exists() {
                return Err(LogError::KeyMissing);
            }
            create(&path)
        }
        Err(error) => Err(LogError::Io(error)),
    }
}

/// Whole or not at all: written beside, synced, then renamed.
fn create(path: &Path) -> Result<SigningKey, LogError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| LogError::Io(std::io::Error::other(error.to_string())))?;
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&secret)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(LogError::Io)?;
    Ok(SigningKey::from_bytes(&secret))
}
