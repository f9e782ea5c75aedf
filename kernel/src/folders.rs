//! Host folders: what makes a folder the same folder after a restart, and as whom its service runs.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, fstat, fstatvfs};

use crate::sys;

/// The group of a user that is not in the host's own list.
const NO_GROUP: u32 = 65_534;

/// What a folder is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub path: String,
    pub file_system: u64,
    /// Where this is empty, the file system has no handles, and `inode` decides.
    pub handle: Vec<u8>,
    pub inode: u64,
}

impl Identity {
    pub(crate) fn of(folder: &OwnedFd, path: String) -> io::Result<Identity> {
        let file_system = fstatvfs(folder)?.f_fsid;
        Ok(Identity { path, file_system, handle: sys::file_handle(folder.as_fd()), inode: fstat(folder)?.st_ino })
    }

    fn is_same(&self, now: &Identity) -> bool {
        let same_file = if self.handle.is_empty() { self.inode == now.inode } else { self.handle == now.handle };
        self.file_system == now.file_system && same_file
    }

    /// Opens the path again. Refuses what is another folder by now.
    pub(crate) fn reopen(&self) -> Result<OwnedFd, String> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::open(&self.path, flags, Mode::empty())
            .map_err(|error| format!("the folder {} cannot be opened: {error}", self.path))?;
        let now = Identity::of(&opened, self.path.clone()).map_err(|error| format!("{}: {error}", self.path))?;
        if self.is_same(&now) { Ok(opened) } else { Err(format!("{} is not the folder that was granted", self.path)) }
    }
}

/// Whether it is a directory.
pub(crate) fn is_folder(descriptor: &OwnedFd) -> bool {
    fstat(descriptor).is_ok_and(|status| rustix::fs::FileType::from_raw_mode(status.st_mode).is_dir())
}

/// As whom a folder's service runs, when the kernel can choose: as the person who offered it; if that is the superuser, as the
/// folder's owner; if that is the superuser too, as it, but only where Landlock and a private root hold it (`fenced`).
pub(crate) fn run_as(person: u32, folder: &OwnedFd, fenced: bool) -> Result<u32, String> {
    let owner = File::from(folder.try_clone().map_err(|error| error.to_string())?)
        .metadata()
        .map_err(|error| format!("the folder's owner cannot be read: {error}"))?
        .uid();
    decide(person, owner, fenced)
}

fn decide(person: u32, owner: u32, fenced: bool) -> Result<u32, String> {
    match (person, owner) {
        (0, 0) if !fenced => {
            Err("a folder of the superuser's, offered by the superuser, needs Landlock and namespaces, \
                                  which this machine lacks: offer it as another user, or give it another owner"
                .to_owned())
        }
        (0, owner) => Ok(owner),
        (person, _) => Ok(person),
    }
}

/// The first group of a user, from the host's own list. Others of a user's groups are not taken along.
pub(crate) fn group_of(user: u32) -> u32 {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    list.lines().find_map(|line| entry(line, user)).unwrap_or(NO_GROUP)
}

/// The group in a line `name:password:user:group:…`, if it is this user's.
fn entry(line: &str, user: u32) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let listed: u32 = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    (listed == user).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_service_runs_as_who_offered_it() {
        assert_eq!(decide(1000, 0, false), Ok(1000));
        assert_eq!(decide(1000, 1001, true), Ok(1000));
        assert_eq!(decide(0, 1001, false), Ok(1001));
        assert_eq!(decide(0, 0, true), Ok(0));
        assert!(decide(0, 0, false).is_err());
    }

    #[test]
    fn groups_come_from_the_hosts_list() {
        assert_eq!(entry("ada:x:1000:1001:Ada:/home/ada:/bin/sh", 1000), Some(1001));
        assert_eq!(entry("ada:x:1000:1001:Ada:/home/ada:/bin/sh", 1001), None);
        assert_eq!(entry("not a line", 0), None);
        assert_eq!(group_of(0), 0);
    }

    #[test]
    fn a_folder_that_was_replaced_is_another() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("docs");
        std::fs::create_dir(&path).unwrap();
        let identity = Identity::of(&File::open(&path).unwrap().into(), path.to_str().unwrap().to_owned()).unwrap();
        assert!(identity.reopen().is_ok());
        std::fs::rename(&path, scratch.path().join("old")).unwrap();
        assert!(identity.reopen().is_err());
        std::fs::create_dir(&path).unwrap();
        assert!(identity.reopen().is_err());
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(scratch.path().join("old"), &path).unwrap();
        assert!(identity.reopen().is_ok());
    }
}
