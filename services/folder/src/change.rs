//! Changes to a directory's entries: make, rename, remove, and their way to the disk.

use std::os::fd::{AsFd, OwnedFd};

use files::path::RelativePath;
use files::patience::{Patience, patiently};
use files::problem::{Problem, Word};
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;
use vat::words::Rights;

use crate::place::Place;
use crate::resolve;

/// A new file, or where not exclusive the one that is there, and whether it was made.
pub fn create_file(
    place: &Place,
    path: &RelativePath,
    rights: Rights,
    exclusive: bool,
) -> Result<(OwnedFd, bool), Problem> {
    patiently(place.still_inside(Patience::Disk))?;
    resolve::create_file(place.as_fd(), path, rights, exclusive)
}

/// A new directory, opened. Its parent must exist.
pub fn make_directory(place: &Place, path: &RelativePath) -> Result<OwnedFd, Problem> {
    let parent = parent(place, path)?;
    rustix::fs::mkdirat(&parent, path.name(), Mode::RWXU | resolve::shared_with(&parent)?)?;
    let name = RelativePath::new(path.name().to_bytes())?;
    patiently(resolve::open_directory(parent.as_fd(), &name, Patience::Disk))
}

/// Gives another name, atomically. A symbolic link at the end of either path is not followed: it is what is renamed,
/// or replaced.
pub fn rename(place: &Place, from: &RelativePath, to: &RelativePath, replace: bool) -> Result<(), Problem> {
    let (from_parent, to_parent) = (parent(place, from)?, parent(place, to)?);
    let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    rustix::fs::renameat_with(&from_parent, from.name(), &to_parent, to.name(), flags).map_err(|errno| match errno {
        Errno::XDEV => Problem::new(Word::Io, "the two names are on different file systems"),
        Errno::INVAL if replace => Problem::new(Word::BadPath, "a directory cannot be moved into itself"),
        Errno::INVAL => Problem::new(
            Word::BadPath,
            "a directory cannot be moved into itself, or this file system cannot rename without replacing",
        ),
        errno => errno.into(),
    })
}

/// Removes a name: a file's, a symbolic link's, an empty directory's.
pub fn remove(place: &Place, path: &RelativePath) -> Result<(), Problem> {
    let parent = parent(place, path)?;
    match rustix::fs::unlinkat(&parent, path.name(), AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result.map_err(Problem::from),
    }
    rustix::fs::unlinkat(&parent, path.name(), AtFlags::REMOVEDIR).map_err(Problem::from)
}

/// Returns when the directory's own entries are on disk.
pub fn sync(place: &Place) -> Result<(), Problem> {
    patiently(place.still_inside(Patience::Disk))?;
    match rustix::fs::fsync(place) {
        // File systems that know no such thing for a directory: all of the file system, then.
        Err(Errno::INVAL) => rustix::fs::syncfs(place).map_err(Problem::from),
        Err(Errno::BADF) => Err(Problem::new(Word::NotPermitted, "the operating system does not permit reading it")),
        result => result.map_err(Problem::from),
    }
}

/// The directory of a path's last name, once it is certain that all of it is inside.
fn parent(place: &Place, path: &RelativePath) -> Result<OwnedFd, Problem> {
    let parent = resolve::open_parent(place.as_fd(), path)?;
    patiently(place.still_inside(Patience::Disk))?;
    Ok(parent)
}
