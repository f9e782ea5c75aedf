//! What detached runs print: two files for each instance, which its sandbox uses in turn, and which `logs` reads. A
//! file begins with the number of bytes printed before its first one (8 bytes, little endian), and is empty where it
//! holds nothing.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::problem::{Problem, on_disk};

/// Where the files are, in the powerbox's folder.
const FOLDER: &str = "output";
/// The most that is written into a file and read from it: what the largest limit of a manifest allows, and its number.
pub(crate) const FILE_LIMIT_BYTES: u64 = OUTPUT_LIMIT_BYTES + HEADER_BYTES as u64;
/// The most output that a node keeps of one instance, whatever its manifest asks for.
pub(crate) const OUTPUT_LIMIT_BYTES: u64 = 16 << 20;
/// The number before the printed bytes.
const HEADER_BYTES: usize = 8;

/// What an instance printed and is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    /// Oldest first.
    pub bytes: Vec<u8>,
    /// Bytes before those that are gone.
    pub dropped: u64,
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

/// What an instance printed. While it prints on, the two files may be a moment apart.
#[must_use]
pub(crate) fn read(folder: &Path, instance: &str) -> Printed {
    let mut parts: Vec<(u64, Vec<u8>)> = paths(folder, instance).iter().filter_map(|path| read_part(path)).collect();
    parts.sort_by_key(|(before, _)| *before);
    let mut printed = Printed::default();
    let mut expected = None;
    for (before, bytes) in parts {
        // What does not follow on was overwritten while this was read.
        if expected != Some(before) {
            printed = Printed { bytes: Vec::new(), dropped: before };
        }
        expected = Some(before + bytes.len() as u64);
        printed.bytes.extend_from_slice(&bytes);
    }
    printed
}

fn read_part(path: &Path) -> Option<(u64, Vec<u8>)> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_LIMIT_BYTES).read_to_end(&mut bytes).ok()?;
    let (before, printed) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    Some((u64::from_le_bytes(*before), printed.to_vec()))
}
