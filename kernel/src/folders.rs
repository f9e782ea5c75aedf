//! Host folders, in the child that is to serve one: which folder that is, and whose. Nowhere else does the kernel ask a
//! file system that is not its own: one that does not answer holds up this child alone.

use crate::prelude::*;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use std::io::{Error, Result};

/// The group of a user that is not in the host's own list.
const NO_GROUP: u32 = 65_534;

/// The folder that a child is to serve.
pub(crate) enum Served {
    Given(OwnedFd),
    /// Opened when it is looked for, and then passed on through the kernel's end of the child's own door.
    Named(Resource, OwnedFd),
}

impl Served {
    /// Of a plan. Both descriptors are copies for the child.
    pub(crate) fn of(plan: &Plan, door: &OwnedFd) -> Result<Option<Served>> {
        let named = plan.folder.clone().map(|named| Ok(Served::Named(named, door.try_clone()?)));
        let given = plan.resources.first().filter(|_| plan.image == Image::Folder);
        named.or_else(|| given.map(|(_, given)| Ok(Served::Given(given.try_clone()?)))).transpose()
    }

    /// Finds the folder, with the rights that the child has by now. Returns its owner.
    pub(crate) fn find(&self) -> Result<u32> {
        let status = match self {
            Served::Given(folder) => fstat(folder)?,
            Served::Named(named, door) => {
                let opened = reopen(named)?;
                let message = ToVat::Resource(named.clone()).encode().map_err(Error::other)?;
                vat::socket::send(door, &message, &[opened.as_fd()])?;
                fstat(opened)?
            }
        };
        let is_folder = FileType::from_raw_mode(status.st_mode).is_dir();
        is_folder.then_some(status.st_uid).ok_or_else(|| Error::other("what was given is not a folder"))
    }
}

/// Opens a folder by its path again. Refuses what is another folder by now.
fn reopen(named: &Resource) -> Result<OwnedFd> {
    let (path, granted) = (&named.path, &named.identity);
    let failed = |error| Error::other(format!("the folder {path} cannot be opened: {error}"));
    let opened = open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let now = Identity::of(opened.as_fd()).map_err(failed)?;
    let same_file = if granted.handle.is_empty() { granted.inode == now.inode } else { granted.handle == now.handle };
    let same = same_file && granted.file_system == now.file_system;
    same.then_some(opened).ok_or_else(|| Error::other(format!("{path} is not the folder that was granted")))
}

/// The first group of a user, from the host's own list. Others of a user's groups are not taken along.
pub(crate) fn group_of(user: u32) -> u32 {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    list.lines().find_map(|line| entry(line, user)).unwrap_or(NO_GROUP)
}

/// The group in a line `name:password:user:group:…`, if it is this user's.
fn entry(line: &str, user: u32) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let (listed, group) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse().ok()?);
    (listed == user).then_some(group)
}

#[cfg(test)]
mod tests;
