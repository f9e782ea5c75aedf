//! What lies in the folder of the index is looked at before anything there is opened. The database would wait for ever for who
//! writes into a pipe, read whatever a link leads to, and read files to their ends that have none. Where something is there that
//! it does not make, the index is of no use: it is removed, without following any link, and built anew.

use std::ffi::{CStr, CString};
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, renameat, unlinkat};
use rustix::io::Errno;

use super::super::scan::SEGMENT_LIMIT_BYTES;
use super::table::IndexError;

/// Where the segments are, beside the index (`FORMAT.md`).
const SEGMENTS: &str = "segments";

/// Folders in one another: sled has one below its own, for what is longer than a quarter of a segment of its log, 128 KiB.
const DEPTH_LIMIT: usize = 1;
/// Files and folders. Sled has its log, its settings and at most three snapshots of its table of pages; no row of ours is so
/// long that it makes a file of its own, though a page that holds many may for a while.
const ENTRIES_LIMIT: usize = 1_000;
/// An index of so many bytes is never too large: it is read within a second. One of 100,000 files has 40 MB, and sled's log may
/// be several times as long as what is in it.
const FLOOR_BYTES: u64 = 256 << 20;
/// A larger one may have so many times the bytes of the segments. 1,000,000 files have 600 MB of them, and an index of 400 MB.
/// To read more than this would take longer than building it anew, which reads the segments three times.
const TIMES_SEGMENTS: u64 = 4;

/// Names that are removed before the folder is read on: few enough to keep, however many there are.
const REMOVED_AT_ONCE: usize = 1_000;

/// Whether all that is there can be of the database, and be read in the time that it is worth.
pub(crate) fn check(index: &Path) -> Result<(), IndexError> {
    let about = match std::fs::symlink_metadata(index) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        about => about.map_err(|error| unreadable(&error))?,
    };
    if !about.is_dir() {
        return Err(IndexError("where its folder should be is something else".into()));
    }
    let mut seen = Seen::default();
    seen.add_folder(index, 0)?;
    if seen.bytes > FLOOR_BYTES && seen.bytes > TIMES_SEGMENTS.saturating_mul(segment_bytes(index)) {
        return Err(IndexError(format!("it has {} bytes, which is more than it can need", seen.bytes)));
    }
    Ok(())
}

/// The same; what fails it is removed.
pub(super) fn check_or_remove(index: &Path) -> Result<(), IndexError> {
    check(index).map_err(|why| match remove(index) {
        Ok(()) => why,
        Err(error) => IndexError(format!("{why}, and it cannot be removed: {error}")),
    })
}

/// What was counted.
#[derive(Default)]
struct Seen {
    entries: usize,
    bytes: u64,
}

impl Seen {
    fn add_folder(&mut self, folder: &Path, depth: usize) -> Result<(), IndexError> {
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(&error))? {
            let entry = entry.map_err(|error| unreadable(&error))?;
            self.entries += 1;
            if self.entries > ENTRIES_LIMIT {
                return Err(IndexError("its folder has more files than its database makes".into()));
            }
            // Of the entry itself, not of what a link leads to.
            let about: Metadata = entry.metadata().map_err(|error| unreadable(&error))?;
            let kind = about.file_type();
            if kind.is_dir() && depth < DEPTH_LIMIT {
                self.add_folder(&entry.path(), depth + 1)?;
            } else if kind.is_file() {
                self.bytes = self.bytes.saturating_add(about.len());
            } else {
                let name = entry.file_name();
                let what = format!("`{}` in its folder is not of its database", name.to_string_lossy().escape_debug());
                return Err(IndexError(what));
            }
        }
        Ok(())
    }
}

/// The bytes of all segments, as far as any is read. Nothing where they are not beside the index.
fn segment_bytes(index: &Path) -> u64 {
    let segments = index.parent().map(|folder| folder.join(SEGMENTS));
    let entries = segments.and_then(|segments| std::fs::read_dir(segments).ok());
    let files = entries.into_iter().flatten().flatten().filter_map(|entry| entry.metadata().ok());
    files.filter(Metadata::is_file).fold(0, |sum, about| sum.saturating_add(about.len().min(SEGMENT_LIMIT_BYTES)))
}

fn unreadable(error: &io::Error) -> IndexError {
    IndexError(format!("its folder cannot be read: {error}"))
}

/// Removes what is there. However deep somebody made it, this takes two descriptors: a folder within a folder is first
/// brought up into the outermost.
pub(super) fn remove(index: &Path) -> rustix::io::Result<()> {
    match unlinkat(CWD, index, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    }
    let outermost = open_folder(CWD, index)?;
    let mut brought_up = 0u64;
    empty(outermost.as_fd(), |name| {
        let folder = open_folder(outermost.as_fd(), name)?;
        empty(folder.as_fd(), |inner| {
            loop {
                brought_up += 1;
                match renameat(&folder, inner, &outermost, format!("{brought_up}.removed")) {
                    // Something has that name already.
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                    done => break done,
                }
            }
        })?;
        unlinkat(&outermost, name, AtFlags::REMOVEDIR)
    })?;
    unlinkat(CWD, index, AtFlags::REMOVEDIR)
}

fn open_folder(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> rustix::io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// Removes what is in a folder. A folder in it is left to `each`, after which it has to be somewhere else.
fn empty(folder: BorrowedFd<'_>, mut each: impl FnMut(&CStr) -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    loop {
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
            if names.len() == REMOVED_AT_ONCE {
                break;
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            match unlinkat(folder, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => each(name)?,
                removed => removed?,
            }
        }
    }
}
