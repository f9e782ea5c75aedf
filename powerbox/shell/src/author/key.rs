//! An author's key in a file that the person named, for where no node is: a build machine's, or a checkout's own. It lies
//! there as it is, for whoever can read it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use ed25519_dalek::SigningKey;

use crate::failure::{Doing as _, Failure, Outcome};

/// Ed25519's secret half.
const SECRET_BYTES: usize = 32;
/// Nobody else reads it.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Any right of the group or of others.
const OTHERS: u32 = 0o077;

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
    match File::open(path) {
        Ok(file) => Ok(AuthorKey { signing: load(file, path)?, made: false }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(AuthorKey { signing: make(path)?, made: true }),
        Err(error) => Err(Failure::new(format!("cannot read {}", path.display())).because(error)),
    }
}

fn load(file: File, path: &Path) -> Outcome<SigningKey> {
    let reading = || format!("cannot read {}", path.display());
    if file.metadata().doing(reading)?.mode() & OTHERS != 0 {
        return Err(Failure::new(format!("others may read {}", path.display()))
            .because("whoever has it signs in your name")
            .next(format!("chmod 600 {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).doing(reading)?;
    let secret: [u8; SECRET_BYTES] = bytes.try_into().map_err(|_| {
        Failure::new(format!("{} is not an author's key", path.display()))
            .because(format!("it has not exactly {SECRET_BYTES} bytes"))
            .next("put back the one you had; where there is none, remove the file and a new key is made: to others you are then a new author")
    })?;
    Ok(SigningKey::from_bytes(&secret))
}

/// On the disk before anything is signed with it.
fn make(path: &Path) -> Outcome<SigningKey> {
    let writing = || format!("cannot write {}", path.display());
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).doing(|| "this machine gives no random numbers".into())?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).doing(writing)?;
    // Whole or not at all: a link to a finished file, which fails where another was quicker.
    let beside = path.with_extension(format!("key.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&beside)
        .and_then(|mut file| file.write_all(&secret).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&beside, path))
        .and_then(|()| File::open(folder)?.sync_all());
    // Whatever became of it, nothing is left beside the key.
    let _ = fs::remove_file(&beside);
    written.doing(writing)?;
    Ok(SigningKey::from_bytes(&secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("latch-key-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = folder("once");
        let path = folder.join("deep/author.key");
        let first = load_or_make(&path).unwrap();
        let second = load_or_make(&path).unwrap();
        assert!(first.made && !second.made);
        assert_eq!(first.signing.to_bytes(), second.signing.to_bytes());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let folder = folder("refused");
        let path = folder.join("author.key");
        load_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load_or_make(&path).is_err_and(|failure| failure.to_string().contains("others may read")));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [7; 31]).unwrap();
        assert!(load_or_make(&path).is_err_and(|failure| failure.to_string().contains("not an author's key")));
        fs::remove_dir_all(folder).unwrap();
    }
}
