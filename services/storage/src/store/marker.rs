//! The marker that a clean close leaves: the keyed hash of all files of the index. Where it fits, the index need not be
//! read through.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::files::{Files, is_no_regular_file, replace};
use super::format::Hash;
use super::index::check_folder;
use super::keys::OwnKeys;
use super::segments::read;

pub(crate) const MARKER: &str = "index.marker";

/// Takes the marker away, so that it is there for one opening only; whether it fits the index.
pub(crate) fn take(files: &dyn Files, index: &Path, keys: &OwnKeys) -> io::Result<bool> {
    let file = match files.open(MARKER) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if is_no_regular_file(&error) => {
            // The next close can leave one, unless it is a folder, which stays: then the index is read through each time.
            let _ = files.remove(MARKER);
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let mut claimed: Hash = [0; 32];
    let got = read(file.as_ref(), 0, &mut claimed)?;
    files.remove(MARKER)?;
    files.sync_folder("")?;
    // An index that cannot be read is no reason not to open the store.
    Ok(got == claimed.len() && digest(index, keys).is_ok_and(|hash| hash == claimed))
}

/// Leaves the marker.
pub(crate) fn leave(files: &dyn Files, index: &Path, keys: &OwnKeys) -> io::Result<()> {
    replace(files, MARKER, &digest(index, keys)?)
}

/// The hash of every file below a folder, by name.
fn digest(folder: &Path, keys: &OwnKeys) -> io::Result<Hash> {
    check_folder(folder).map_err(|why| io::Error::other(why.0))?;
    let mut hasher = blake3::Hasher::new_keyed(&keys.marker);
    add_folder(folder, &mut hasher)?;
    Ok(*hasher.finalize().as_bytes())
}

fn add_folder(folder: &Path, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut buffer = vec![0; 1 << 20];
    for entry in entries {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name);
        if entry.file_type()?.is_dir() {
            add_folder(&entry.path(), hasher)?;
            continue;
        }
        let mut file = File::open(entry.path())?;
        hasher.update(&file.metadata()?.len().to_le_bytes());
        loop {
            let got = file.read(&mut buffer)?;
            if got == 0 {
                break;
            }
            hasher.update(&buffer[..got]);
        }
    }
    Ok(())
}
