//! What detached runs print: two files for each instance, which its sandbox uses in turn, and which `logs` reads. A
//! file begins with the number of bytes printed before its first one (8 bytes, little endian), and is empty where it
//! holds nothing.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use schema::package_capnp::limits::OUTPUT_MAXIMUM_BYTES;

use crate::problem::{Problem, on_disk};

/// Where the files are, in the powerbox's folder.
const FOLDER: &str = "output";
/// The most that is written into a file and read from it: what the largest limit of a manifest allows, and its number.
pub(crate) const FILE_LIMIT_BYTES: u64 = OUTPUT_MAXIMUM_BYTES + HEADER_BYTES as u64;
/// The number before the printed bytes.
const HEADER_BYTES: usize = 8;

/// How often a read is begun anew where the app overwrites what is being read.
const ATTEMPTS: usize = 8;

/// A piece of what an instance printed and is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    /// Oldest first.
    pub bytes: Vec<u8>,
    /// How many were printed before the first of these.
    pub at: u64,
    /// How many were printed in all.
    pub end: u64,
}

fn paths(folder: &Path, instance: &str) -> [PathBuf; 2] {
    // Names of instances have no slash.
    ["0", "1"].map(|number| folder.join(FOLDER).join(format!("{instance}.{number}")))
}

/// The two files of an instance, to be given to its sandbox.
pub(crate) fn open(folder: &Path, instance: &str) -> Result<[OwnedFd; 2], Problem> {
    let open = |path: &PathBuf| {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        file.map(OwnedFd::from).map_err(on_disk("the files for the app's output"))
    };
    let [first, second] = paths(folder, instance);
    Ok([open(&first)?, open(&second)?])
}

/// Removes them.
pub(crate) fn remove(folder: &Path, instance: &str) {
    for path in paths(folder, instance) {
        let _ = std::fs::remove_file(path);
    }
}

/// At most `limit` bytes of what an instance printed, from the byte numbered `from` on or from the first later one that
/// is kept. It may print on meanwhile: what was overwritten while it was read is not given.
#[must_use]
pub(crate) fn read(folder: &Path, instance: &str, from: u64, limit: usize) -> Printed {
    let attempt = || {
        let parts = paths(folder, instance).iter().filter_map(|path| Part::open(path)).collect();
        read_parts(parts, from, limit)
    };
    (0..ATTEMPTS).find_map(|_| attempt()).unwrap_or_default()
}

fn read_parts(mut parts: Vec<Part>, from: u64, limit: usize) -> Option<Printed> {
    parts.sort_by_key(|part| part.before);
    // What does not follow on is being overwritten.
    if let [first, second] = parts.as_slice()
        && first.end() != second.before
    {
        parts.remove(0);
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Some(Printed::default()) };
    let (begin, end) = (first.before, last.end());
    let at = from.clamp(begin, end);
    let mut bytes = Vec::new();
    for part in &parts {
        bytes.extend(part.read(at + bytes.len() as u64, limit - bytes.len())?);
    }
    Some(Printed { bytes, at, end })
}

/// One of the two files, as it was when it was opened.
struct Part {
    file: File,
    before: u64,
    length: u64,
}

impl Part {
    fn open(path: &Path) -> Option<Part> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len().min(FILE_LIMIT_BYTES).checked_sub(HEADER_BYTES as u64)?;
        Some(Part { before: Self::number(&file)?, file, length })
    }

    fn number(file: &File) -> Option<u64> {
        let mut number = [0; HEADER_BYTES];
        file.read_exact_at(&mut number, 0).ok()?;
        Some(u64::from_le_bytes(number))
    }

    fn end(&self) -> u64 {
        self.before.saturating_add(self.length)
    }

    /// At most so much from the byte with this number on; nothing at all where it is not the same file any more.
    fn read(&self, at: u64, limit: usize) -> Option<Vec<u8>> {
        let left = usize::try_from(self.end().saturating_sub(at)).unwrap_or(usize::MAX);
        let mut bytes = match at.checked_sub(self.before) {
            Some(_) => vec![0; left.min(limit)],
            None => Vec::new(),
        };
        if !bytes.is_empty() {
            self.file.read_exact_at(&mut bytes, at - self.before + HEADER_BYTES as u64).ok()?;
        }
        (Self::number(&self.file)? == self.before).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, number: usize, before: u64, printed: &[u8]) {
        std::fs::create_dir_all(folder.join(FOLDER)).unwrap();
        let bytes = [&before.to_le_bytes()[..], printed].concat();
        std::fs::write(&paths(folder, "search")[number], bytes).unwrap();
    }

    #[test]
    fn all_that_is_kept_is_read_piece_by_piece() {
        let folder = tempfile::tempdir().unwrap();
        let printed: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        // The first 10 bytes are gone; the second file is the older one.
        write(folder.path(), 1, 10, &printed[..2_000_000]);
        write(folder.path(), 0, 2_000_010, &printed[2_000_000..]);
        let (mut found, mut from) = (Vec::new(), 0);
        loop {
            let piece = read(folder.path(), "search", from, 900 * 1024);
            assert_eq!((piece.at, piece.end), (from.max(10), 3_000_010));
            assert!(piece.bytes.len() <= 900 * 1024);
            if piece.bytes.is_empty() {
                break;
            }
            from = piece.at + piece.bytes.len() as u64;
            found.extend(piece.bytes);
        }
        assert!(found == printed);
    }

    #[test]
    fn what_does_not_follow_on_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, 0, b"old");
        write(folder.path(), 1, 90, b"new");
        let expected = Printed { bytes: b"new".to_vec(), at: 90, end: 93 };
        assert_eq!(read(folder.path(), "search", 0, 100), expected);
        assert_eq!(read(folder.path(), "other", 0, 100), Printed::default());
        // An empty file holds nothing.
        std::fs::write(&paths(folder.path(), "search")[1], b"").unwrap();
        assert_eq!(read(folder.path(), "search", 1, 100), Printed { bytes: b"ld".to_vec(), at: 1, end: 3 });
    }
}
