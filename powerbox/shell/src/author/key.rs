//! An author's key in a file that the person named: a build machine's, or a checkout's own.

use std::path::Path;

use ed25519_dalek::SigningKey;

use crate::failure::Outcome;
use crate::secret_file::{self, Kind};

const KIND: Kind = Kind {
    mark: b"",
    noun: "an author's key",
    danger: "whoever has it signs in your name",
    next: "put back the one you had; where there is none, remove the file and a new key is made: to others you are then a new author",
};

/// A key.
pub(super) struct AuthorKey {
    pub(super) signing: SigningKey,
    /// It was made just now.
    pub(super) made: bool,
}

/// The key in that file; made where there is none yet.
///
/// # Errors
/// It cannot be read or made, is not a key, or others may read it.
pub(super) fn load_or_make(path: &Path) -> Outcome<AuthorKey> {
    let secret = secret_file::load_or_make(path, &KIND)?;
    Ok(AuthorKey { signing: SigningKey::from_bytes(&secret.bytes), made: secret.made })
}
