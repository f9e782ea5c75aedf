//! The bytes of an open file.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use files::problem::{Problem, Word};
use files::tree::{Piece, ahead};
use rustix::fs::SeekFrom;
use rustix::io::{Errno, ReadWriteFlags};

use crate::limits::UNSIZED_READ_BYTES;

/// The last byte that a file may have: offsets are signed on Linux.
const OFFSET_LIMIT: u64 = i64::MAX as u64;

/// The file's position instead of an offset, for `pwritev2`.
const AT_POSITION: u64 = u64::MAX;

/// What the file has from `offset` on, if the system has all of it in memory: how many bytes were put into `buffer`,
/// which is filled unless the file ends. Nothing where it would wait for the disk (or cannot say).
pub fn read_in_memory(file: BorrowedFd<'_>, offset: u64, buffer: &mut [u8]) -> Option<usize> {
    if offset >= OFFSET_LIMIT {
        return Some(0);
    }
    let mut done = 0;
    while done < buffer.len() {
        let into = &mut [IoSliceMut::new(&mut buffer[done..])];
        match rustix::io::preadv2(file, into, offset + done as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(bytes) => done += bytes,
            Err(_) => return None,
        }
    }
    Some(done)
}

/// What the file has from `offset` on: how many bytes were put into `buffer`, which is filled unless the file ends.
pub fn read(file: BorrowedFd<'_>, offset: u64, buffer: &mut [u8]) -> Result<usize, Problem> {
    if offset >= OFFSET_LIMIT {
        return Ok(0);
    }
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(file, &mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(bytes) => done += bytes,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(done)
}

/// At most `limit` bytes from `offset` on, and none only where the file ends (or none are asked for).
pub fn piece(file: BorrowedFd<'_>, offset: u64, limit: usize) -> Result<Piece, Problem> {
    let ahead = ahead(size(file)?, offset, limit);
    let mut bytes = vec![0; if ahead == 0 { limit.min(UNSIZED_READ_BYTES) } else { ahead }];
    let read = read(file, offset, &mut bytes)?;
    bytes.truncate(read);
    // A file without a size ends where reading finds nothing.
    let end = size(file)? <= offset.saturating_add(read as u64) && (read == 0 || ahead > 0);
    Ok(Piece { bytes, end })
}

/// All bytes at `offset`. After an error some of them may be there.
pub fn write(file: BorrowedFd<'_>, offset: u64, mut bytes: &[u8]) -> Result<(), Problem> {
    let mut at = offset;
    if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > OFFSET_LIMIT) {
        return Err(beyond());
    }
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, at) {
            Ok(0) => return Err(Problem::new(Word::NoSpace, "the file takes no more")),
            Ok(written) => {
                at += written as u64;
                bytes = &bytes[written..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(writing(errno)),
        }
    }
    Ok(())
}

/// All bytes at the end, wherever that is by then, and the offset of the first. The system takes them in one piece; only
/// where it stops in the middle (a full disk) can the rest, tried once more, land after another writer's.
///
/// The file's position tells where they went, so no two calls on one descriptor may overlap.
pub fn append(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<u64, Problem> {
    let mut start = None;
    while !bytes.is_empty() {
        match rustix::io::pwritev2(file, &[IoSlice::new(bytes)], AT_POSITION, ReadWriteFlags::APPEND) {
            Ok(0) => return Err(Problem::new(Word::NoSpace, "the file takes no more")),
            Ok(written) => {
                let end = rustix::fs::seek(file, SeekFrom::Current(0))?;
                start.get_or_insert(end.saturating_sub(written as u64));
                bytes = &bytes[written..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(writing(errno)),
        }
    }
    match start {
        Some(offset) => Ok(offset),
        None => size(file),
    }
}

/// Cuts, or extends with zeros.
pub fn truncate(file: BorrowedFd<'_>, size: u64) -> Result<(), Problem> {
    if size > OFFSET_LIMIT {
        return Err(beyond());
    }
    loop {
        match rustix::fs::ftruncate(file, size) {
            Err(Errno::INTR) => {}
            result => return result.map_err(writing),
        }
    }
}

/// Bytes in the file now.
pub fn size(file: BorrowedFd<'_>) -> Result<u64, Problem> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

fn beyond() -> Problem {
    Problem::new(Word::TooLarge, "no file reaches that far")
}

fn writing(errno: Errno) -> Problem {
    match errno {
        // Of a file that is open: its file system, not its path, does not take this.
        Errno::INVAL => Problem::new(Word::TooLarge, "the file system does not take a file of that size"),
        errno => errno.into(),
    }
}
