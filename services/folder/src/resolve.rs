//! From a path to a descriptor, never outside: `openat2` with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS.
//!
//! The kernel checks each step of the way while it walks, so no check of ours can be overtaken by a rename or a
//! swapped link. Mount points inside are crossed, as the person who looks into the folder crosses them.
//!
//! What is opened is looked at first, with O_PATH, which opens nothing: the driver of a device or the other end of a
//! FIFO never learns of it. A name that is swapped between the look and the opening is noticed (it is another file)
//! and all is tried again; such an opening has O_NONBLOCK and O_NOCTTY, so that it can neither hang nor take a terminal.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use files::path::RelativePath;
use files::patience::{Patience, Stuck, patiently};
use files::problem::{Problem, Word};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use vat::words::Rights;

use crate::limits::RESOLVE_TRIES;
use crate::metadata::Identity;

/// The path of the directory itself.
const HERE: &CStr = c".";

/// Makes sure that this machine can resolve paths safely, before anything is served.
pub fn probe(folder: BorrowedFd<'_>) -> Result<(), Problem> {
    match open_once(folder, HERE, OFlags::PATH | OFlags::DIRECTORY, Mode::empty(), Patience::Disk) {
        Ok(_) => Ok(()),
        Err(Errno::NOSYS | Errno::INVAL | Errno::TOOBIG) => Err(Problem::new(
            Word::Io,
            "this system has no openat2, without which symbolic links cannot be kept inside: Linux 5.6 or newer is needed",
        )),
        Err(Errno::NOTDIR) => Err(Problem::new(Word::NotDirectory, "what is offered is not a directory")),
        Err(errno) => Err(errno.into()),
    }
}

/// A descriptor that names what is at the path and opens nothing (O_PATH).
pub fn look(
    directory: BorrowedFd<'_>,
    path: &RelativePath,
    follow_link: bool,
    patience: Patience,
) -> Result<OwnedFd, Stuck> {
    let follow = if follow_link { OFlags::empty() } else { OFlags::NOFOLLOW };
    open(directory, path.whole(), OFlags::PATH | follow, Mode::empty(), patience)
}

/// The directory at the path, readable if the system lets us read it (it may be one that can be passed, not listed).
pub fn open_directory(directory: BorrowedFd<'_>, path: &RelativePath, patience: Patience) -> Result<OwnedFd, Stuck> {
    open_any_directory(directory, path.whole(), patience)
}

/// The same for the directory itself: another descriptor of it.
pub fn reopen_directory(directory: BorrowedFd<'_>) -> Result<OwnedFd, Problem> {
    patiently(open_any_directory(directory, HERE, Patience::Disk))
}

fn open_any_directory(directory: BorrowedFd<'_>, path: &CStr, patience: Patience) -> Result<OwnedFd, Stuck> {
    // O_DIRECTORY is checked by the kernel before anything is opened.
    match open(directory, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty(), patience) {
        Err(Stuck::Problem(problem)) if problem.word() == Word::NotPermitted => {
            open(directory, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty(), patience)
        }
        result => result,
    }
}

/// The directory that holds the last name of a path, only to make, rename or remove that name in it.
pub fn open_parent(directory: BorrowedFd<'_>, path: &RelativePath) -> Result<OwnedFd, Problem> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let parent = path.parent();
    let text = parent.as_ref().map_or(HERE, RelativePath::whole);
    patiently(open(directory, text, flags, Mode::empty(), Patience::Disk))
}

/// An existing regular file, opened as its rights need.
pub fn open_file(
    directory: BorrowedFd<'_>,
    path: &RelativePath,
    rights: Rights,
    patience: Patience,
) -> Result<OwnedFd, Stuck> {
    if patience == Patience::Memory && rights.complete().append {
        // It may have to read a quota.
        return Err(Stuck::WouldWait);
    }
    for _ in 0..RESOLVE_TRIES {
        let seen = regular(&look(directory, path, true, patience)?)?;
        let file = open(directory, path.whole(), access(rights), Mode::empty(), patience)?;
        if rustix::fs::fstat(&file).map(|stat| Identity::of(&stat))? == seen {
            return Ok(file);
        }
    }
    Err(Errno::AGAIN.into())
}

/// A new file, or (where not exclusive) the one that is there; and whether it was made.
pub fn create_file(
    directory: BorrowedFd<'_>,
    path: &RelativePath,
    rights: Rights,
    exclusive: bool,
) -> Result<(OwnedFd, bool), Problem> {
    let parent = open_parent(directory, path)?;
    let mode = Mode::RUSR | Mode::WUSR | shared_with(&parent)?.intersection(Mode::RGRP | Mode::ROTH);
    // O_EXCL follows no link at the end, so what it opens is the regular file that it made.
    let flags = access(rights) | OFlags::CREATE | OFlags::EXCL;
    for _ in 0..RESOLVE_TRIES {
        match patiently(open(parent.as_fd(), path.name(), flags, mode, Patience::Disk)) {
            Ok(file) => return Ok((file, true)),
            Err(problem) if problem.word() == Word::Exists && !exclusive => {}
            Err(problem) => return Err(problem),
        }
        match patiently(open_file(directory, path, rights, Patience::Disk)) {
            // Removed since, or a link to what is not there.
            Err(problem) if problem.word() == Word::NotFound => {}
            result => return result.map(|file| (file, false)),
        }
    }
    Err(Problem::new(Word::NotFound, "it is a symbolic link to what does not exist"))
}

/// What is made is open to others as far as its directory is: they may see there what they may see in the directory
/// itself. Changing it stays with the owner, and so does everything in a private directory.
pub fn shared_with(parent: &OwnedFd) -> Result<Mode, Problem> {
    let allowed = Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    Ok(Mode::from_raw_mode(rustix::fs::fstat(parent)?.st_mode) & allowed)
}

/// How a file is opened: as much as the rights need, and append-only where they are, so that the kernel holds it too.
fn access(rights: Rights) -> OFlags {
    let rights = rights.complete();
    let way = match (rights.read, rights.append) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        _ => OFlags::RDONLY,
    };
    let end = if rights.append && !rights.write { OFlags::APPEND } else { OFlags::empty() };
    way | end | OFlags::NONBLOCK | OFlags::NOCTTY
}

/// The identity of a regular file; anything else is refused.
fn regular(descriptor: &OwnedFd) -> Result<Identity, Problem> {
    let stat: Stat = rustix::fs::fstat(descriptor)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Identity::of(&stat)),
        FileType::Directory => Err(Errno::ISDIR.into()),
        _ => Err(Problem::new(Word::Special, "it is neither a regular file nor a directory")),
    }
}

fn open(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    mode: Mode,
    patience: Patience,
) -> Result<OwnedFd, Stuck> {
    for _ in 0..RESOLVE_TRIES {
        match open_once(directory, path, flags, mode, patience) {
            Ok(descriptor) => return Ok(descriptor),
            // A rename or a mount happened during the walk.
            Err(Errno::AGAIN) if patience == Patience::Disk => {}
            // EINVAL: before Linux 5.12, which has no RESOLVE_CACHED. EXDEV: a mount point, or a way out.
            Err(Errno::AGAIN | Errno::INVAL | Errno::XDEV) if patience == Patience::Memory => {
                return Err(Stuck::WouldWait);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

fn open_once(
    directory: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    mode: Mode,
    patience: Patience,
) -> Result<OwnedFd, Errno> {
    let waiting = match patience {
        Patience::Memory => ResolveFlags::CACHED | ResolveFlags::NO_XDEV,
        Patience::Disk => ResolveFlags::empty(),
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | waiting;
    rustix::fs::openat2(directory.as_fd(), path, flags | OFlags::CLOEXEC, mode, resolve)
}
