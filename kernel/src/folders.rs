//! Host folders: what makes a folder the same folder after a restart, and as whom its service runs.

use crate::prelude::*;
use rustix::fs::{FileType, Mode, OFlags, fstat, fstatvfs};
use schema::kernel_capnp::folder_identity;

/// The group of a user that is not in the host's own list.
const NO_GROUP: u32 = 65_534;

/// What a folder is known by.
#[derive(Default)]
pub(crate) struct Identity {
    pub path: String,
    file_system: u64,
    handle: Vec<u8>, // where this is empty, the file system has no handles, and `inode` decides
    inode: u64,
}

impl Identity {
    /// Of a descriptor that must be a folder.
    pub(crate) fn of(folder: &OwnedFd, path: String) -> rustix::io::Result<Identity> {
        let (status, file_system) = (fstat(folder)?, fstatvfs(folder)?.f_fsid);
        if !FileType::from_raw_mode(status.st_mode).is_dir() {
            return Err(rustix::io::Errno::NOTDIR);
        }
        Ok(Identity { path, file_system, handle: sys::file_handle(folder.as_fd()), inode: status.st_ino })
    }

    /// Opens the path again. Refuses what is another folder by now.
    pub(crate) fn reopen(&self) -> Result<OwnedFd, String> {
        let failed = |error| format!("the folder {} cannot be opened: {error}", self.path);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(failed)?;
        let now = Identity::of(&opened, String::new()).map_err(failed)?;
        let same_file = if self.handle.is_empty() { self.inode == now.inode } else { self.handle == now.handle };
        let same = same_file && self.file_system == now.file_system;
        same.then_some(opened).ok_or_else(|| format!("{} is not the folder that was granted", self.path))
    }

    pub(crate) fn read_from(reader: folder_identity::Reader<'_>) -> Result<Identity, DoorError> {
        let (path, handle) = (text(reader.get_path())?, reader.get_handle()?.to_vec());
        Ok(Identity { path, file_system: reader.get_file_system(), handle, inode: reader.get_inode() })
    }

    pub(crate) fn write_to(&self, mut builder: folder_identity::Builder<'_>) {
        fill!(builder, set_path(self.path.as_str()), set_file_system(self.file_system));
        fill!(builder, set_handle(&self.handle), set_inode(self.inode));
    }
}

/// As whom a folder's service runs, when the kernel can choose: as the person who offered it; if that is the superuser,
/// as the folder's owner. If that is the superuser too, the service itself refuses to go on without every wall.
pub(crate) fn run_as(person: u32, folder: &OwnedFd) -> rustix::io::Result<u32> {
    if person == 0 { Ok(fstat(folder)?.st_uid) } else { Ok(person) }
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
