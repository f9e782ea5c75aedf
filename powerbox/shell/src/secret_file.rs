//! A secret key in a file that the person named, for where no node is. It lies there as it is, for whoever can read it: only its
//! owner may.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Doing as _, Failure, Outcome};

/// The secret half of a key: Ed25519's or X25519's.
const SECRET_BYTES: usize = 32;
/// Nobody else reads it.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Any right of the group or of others.
const OTHERS: u32 = 0o077;

/// What a key is for.
#[derive(Debug)]
pub(crate) struct Kind {
    /// What the file begins with, before the key: one kind is not taken for another.
    pub(crate) mark: &'static [u8],
    /// `an author's key`
    pub(crate) noun: &'static str,
    /// What whoever has it can do: `whoever has it signs in your name`
    pub(crate) danger: &'static str,
    /// What to do where the file is another thing.
    pub(crate) next: &'static str,
}

/// A key.
pub(crate) struct Secret {
    pub(crate) bytes: Zeroizing<[u8; SECRET_BYTES]>,
    /// It was made just now.
    pub(crate) made: bool,
}

/// The key in that file.
///
/// # Errors
/// It cannot be read, is not a key of that kind, or others may read it.
pub(crate) fn load(path: &Path, kind: &Kind) -> Outcome<Secret> {
    let file = File::open(path).doing(|| format!("cannot read {}", path.display()))?;
    Ok(Secret { bytes: read(file, path, kind)?, made: false })
}

/// The key in that file; made where there is none yet.
///
/// # Errors
/// It cannot be read or made, is not a key of that kind, or others may read it.
pub(crate) fn load_or_make(path: &Path, kind: &Kind) -> Outcome<Secret> {
    match File::open(path) {
        Ok(file) => Ok(Secret { bytes: read(file, path, kind)?, made: false }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Secret { bytes: make(path, kind)?, made: true }),
        Err(error) => Err(Failure::new(format!("cannot read {}", path.display())).because(error)),
    }
}

/// A secret that lies in a file is for its owner only. A pipe is nobody else's.
///
/// # Errors
/// Others may read it, or write it.
pub(crate) fn need_private(file: &File, path: &Path, danger: &str) -> Outcome {
    let metadata = file.metadata().doing(|| format!("cannot read {}", path.display()))?;
    if metadata.is_file() && metadata.mode() & OTHERS != 0 {
        return Err(Failure::new(format!("others may read {}", path.display()))
            .because(danger)
            .next(format!("chmod 600 {}", path.display())));
    }
    Ok(())
}

fn read(file: File, path: &Path, kind: &Kind) -> Outcome<Zeroizing<[u8; SECRET_BYTES]>> {
    let reading = || format!("cannot read {}", path.display());
    need_private(&file, path, kind.danger)?;
    let whole_bytes = kind.mark.len() + SECRET_BYTES;
    // Of one more than there should be none is left elsewhere in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(whole_bytes + 1));
    file.take(whole_bytes as u64 + 1).read_to_end(&mut bytes).doing(reading)?;
    let secret = bytes.strip_prefix(kind.mark).and_then(|secret| secret.try_into().ok());
    secret.map(Zeroizing::new).ok_or_else(|| {
        let why = if bytes.starts_with(kind.mark) {
            format!("it has not exactly {whole_bytes} bytes")
        } else {
            "it does not begin as one does".to_owned()
        };
        Failure::new(format!("{} is not {}", path.display(), kind.noun)).because(why).next(kind.next)
    })
}

/// On the disk before anything is done with it.
fn make(path: &Path, kind: &Kind) -> Outcome<Zeroizing<[u8; SECRET_BYTES]>> {
    let writing = || format!("cannot write {}", path.display());
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(secret.as_mut_slice()).doing(|| "this machine gives no random numbers".into())?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).doing(writing)?;
    // Whole or not at all: a link to a finished file, which fails where another was quicker.
    let beside = path.with_extension(format!("key.{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(kind.mark)?;
            file.write_all(secret.as_slice())?;
            file.sync_all()
        })
        .and_then(|()| fs::hard_link(&beside, path))
        .and_then(|()| File::open(folder)?.sync_all());
    // Whatever became of it, nothing is left beside the key.
    let _ = fs::remove_file(&beside);
    written.doing(writing)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    const PLAIN: Kind = Kind { mark: b"", noun: "an author's key", danger: "it signs", next: "put it back" };
    const MARKED: Kind = Kind { mark: b"LKrk\x01", noun: "a reader's key", danger: "it reads", next: "put it back" };

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("latch-key-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        for (name, kind) in [("once", PLAIN), ("once-marked", MARKED)] {
            let folder = folder(name);
            let path = folder.join("deep/my.key");
            assert!(load(&path, &kind).is_err());
            let first = load_or_make(&path, &kind).unwrap();
            let second = load_or_make(&path, &kind).unwrap();
            assert!(first.made && !second.made);
            assert_eq!(first.bytes, second.bytes);
            assert_eq!(first.bytes, load(&path, &kind).unwrap().bytes);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&path).unwrap().len(), 32 + kind.mark.len() as u64);
            assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        let folder = folder("refused");
        let path = folder.join("author.key");
        load_or_make(&path, &PLAIN).unwrap();
        let refused = |kind: &Kind, words: &str| {
            assert!(load_or_make(&path, kind).is_err_and(|failure| failure.to_string().contains(words)), "{words}");
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        refused(&PLAIN, "others may read");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        refused(&MARKED, "not a reader's key");
        for bytes in [31, 33] {
            fs::write(&path, vec![7; bytes]).unwrap();
            refused(&PLAIN, "not an author's key");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
