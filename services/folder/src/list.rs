//! Pages of a directory. The cursor is the file system's own (`d_off`): opaque, valid for this directory, and nothing
//! is kept for it here, so that any number of pages may be under way. A cursor that was made up gives some page of
//! this same directory, or an error; it can show nothing else.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::PoisonError;

use rustix::fs::{AtFlags, RawDir, RawDirEntry, SeekFrom};
use rustix::io::Errno;

use crate::limits::{ENTRY_OVERHEAD_BYTES, PAGE_LIMIT_BYTES, PAGE_LIMIT_ENTRIES};
use crate::metadata::Metadata;
use crate::place::Place;
use crate::problem::{Problem, Word};
use crate::resolve::{Patience, patiently};

/// What the system writes entries into; as much as the C library takes.
const BUFFER_BYTES: usize = 32 << 10;

/// Part of a directory.
#[derive(Debug, Default)]
pub struct Page {
    /// In the file system's order.
    pub entries: Vec<Entry>,
    /// Where the next page begins.
    pub cursor: u64,
    /// Whether there is nothing after this page.
    pub end: bool,
}

/// A name in a directory, and what has it.
#[derive(Debug)]
pub struct Entry {
    /// Without NUL and '/'; any other bytes.
    pub name: Vec<u8>,
    /// Of the entry itself: links are not followed.
    pub metadata: Metadata,
}

/// The page at the cursor: at most `limit` entries (0: as many as a page may have), at least one unless it is the last.
pub fn page(place: &Place, cursor: u64, limit: usize) -> Result<Page, Problem> {
    let limit = if limit == 0 { PAGE_LIMIT_ENTRIES } else { limit.min(PAGE_LIMIT_ENTRIES) };
    let page = {
        // The position belongs to the descriptor, which every call on this directory shares.
        let _position = place.position.lock().unwrap_or_else(PoisonError::into_inner);
        rustix::fs::seek(place, SeekFrom::Start(cursor)).map_err(seeking)?;
        read(place, cursor, limit)?
    };
    patiently(place.still_inside(Patience::Disk))?;
    Ok(page)
}

fn read(place: &Place, cursor: u64, limit: usize) -> Result<Page, Problem> {
    let mut page = Page { cursor, ..Page::default() };
    let mut bytes = 0;
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
    let mut directory = RawDir::new(place.as_fd(), &mut buffer);
    while page.entries.len() < limit && bytes < PAGE_LIMIT_BYTES {
        let Some(found) = directory.next() else {
            page.end = true;
            break;
        };
        let found = found.map_err(reading)?;
        page.cursor = found.next_entry_cookie();
        if let Some(entry) = entry(place, &found)? {
            bytes += entry.name.len() + ENTRY_OVERHEAD_BYTES;
            page.entries.push(entry);
        }
    }
    Ok(page)
}

/// Nothing for `.`, `..`, and for what was removed since its name was read.
fn entry(place: &Place, found: &RawDirEntry<'_>) -> Result<Option<Entry>, Problem> {
    let name = found.file_name();
    if matches!(name.to_bytes(), b"." | b"..") {
        return Ok(None);
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let metadata = match rustix::fs::statat(place, name, flags) {
        Ok(stat) => Metadata::of(&stat),
        Err(Errno::NOENT) => return Ok(None),
        // A directory that may be listed and not passed, or a mount that its owner keeps to himself.
        Err(Errno::ACCESS | Errno::PERM) => Metadata::of_unseen(found.file_type(), found.ino()),
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
