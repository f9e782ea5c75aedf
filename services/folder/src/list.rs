//! Pages of a directory. The cursor is the file system's own (`d_off`): opaque, valid for this directory, and nothing
//! is kept for it here, so that any number of pages may be under way. A cursor that was made up gives some page of
//! this same directory, or an error; it can show nothing else.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use files::page::{self, Entry, Page};
use files::patience::{Patience, patiently};
use files::problem::{Problem, Word};
use rustix::fs::{AtFlags, RawDir, RawDirEntry, SeekFrom, StatxFlags};
use rustix::io::Errno;

use crate::metadata;
use crate::place::Place;
use crate::resolve::reopen_directory;

/// What the system writes entries into; as much as the C library takes.
const BUFFER_BYTES: usize = 32 << 10;

/// The page at the cursor: at most `limit` entries (0: as many as a page may have), at least one unless it is the last.
pub fn page(place: &Place, cursor: u64, limit: usize) -> Result<Page, Problem> {
    let page = at_cursor(place, cursor, page::limit(limit));
    // Why a directory cannot be read that was moved out does not matter.
    patiently(place.still_inside(Patience::Disk))?;
    page
}

fn at_cursor(place: &Place, cursor: u64, limit: usize) -> Result<Page, Problem> {
    // The position belongs to the descriptor, which all calls on this directory share, so each has one of its own. They
    // do not wait for each other: one may be at an entry that does not answer.
    let directory = reopen_directory(place.as_fd())?;
    rustix::fs::seek(&directory, SeekFrom::Start(cursor)).map_err(seeking)?;
    let looked_at = if place.is_local() { AtFlags::STATX_DONT_SYNC } else { AtFlags::empty() };
    read(&directory, looked_at, cursor, limit)
}

fn read(from: &OwnedFd, looked_at: AtFlags, cursor: u64, limit: usize) -> Result<Page, Problem> {
    let mut page = Page::at(cursor);
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
    let mut directory = RawDir::new(from.as_fd(), &mut buffer);
    while !page.is_full(limit) {
        let Some(found) = directory.next() else {
            page.end = true;
            break;
        };
        let found = found.map_err(reading)?;
        page.cursor = found.next_entry_cookie();
        if let Some(entry) = entry(from.as_fd(), looked_at, &found)? {
            page.push(entry);
        }
    }
    Ok(page)
}

/// Nothing for `.`, `..`, and for what was removed since its name was read.
///
/// In a local directory nothing but a mount point can need more than is in memory. What is there about that is enough to
/// list it; so whatever is mounted there, the directory around it can be listed.
fn entry(from: BorrowedFd<'_>, looked_at: AtFlags, found: &RawDirEntry<'_>) -> Result<Option<Entry>, Problem> {
    let name = found.file_name();
    if matches!(name.to_bytes(), b"." | b"..") {
        return Ok(None);
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | looked_at;
    let metadata = match rustix::fs::statx(from, name, flags, StatxFlags::BASIC_STATS) {
        Ok(stat) => metadata::of_entry(&stat),
        Err(Errno::NOENT) => return Ok(None),
        // A directory that may be listed and not passed, or a mount that its owner keeps to himself.
        Err(Errno::ACCESS | Errno::PERM) => metadata::of_unseen(found.file_type(), found.ino()),
        Err(errno) => return Err(errno.into()),
    };
    Ok(Some(Entry { name: name.to_bytes().to_vec(), metadata }))
}

fn seeking(errno: Errno) -> Problem {
    match errno {
        Errno::INVAL => Problem::new(Word::BadPath, "this cursor is none of this directory's"),
        errno => reading(errno),
    }
}

fn reading(errno: Errno) -> Problem {
    match errno {
        // Opened with O_PATH, because it could not be opened for reading.
        Errno::BADF => Problem::new(Word::NotPermitted, "the operating system does not permit listing this directory"),
        // Removed while open: it has no entries any more.
        Errno::NOENT => Problem::new(Word::NotFound, "this directory was removed"),
        Errno::INVAL => Problem::new(Word::Io, "an entry is larger than this service reads"),
        errno => errno.into(),
    }
}
