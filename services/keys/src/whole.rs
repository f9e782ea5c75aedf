//! A file that is the old one or the new one, whatever fails when: the new one is written beside it, made sure of, and
//! only then given its name. Every trace of one that was not finished is removed at the next start.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// The file of keys.
pub const FILE: &str = "keyring";
/// The new one before it has its name.
pub const BESIDE: &str = "keyring.new";
/// Where one that cannot be used is kept when a backup takes its place, with a number.
pub const ASIDE: &str = "keyring.unusable";
/// How many are kept so at most: each stands for keys that somebody may still want to rescue, so none is overwritten.
pub const ASIDE_LIMIT: usize = 100;

/// What is done with the folder, and nothing more, so that a test can put a disk in its place that loses power.
pub trait Folder: Send {
    /// What is in a file, at most `limit` bytes of it and one more; nothing where there is none.
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>>;
    /// Makes a file that was not there, for its owner only.
    ///
    /// # Errors
    /// Those of the file system.
    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>>;
    /// Gives a file another name, in the place of what had that name.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; nothing is done where there is none.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes sure of the names in the folder.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is being made.
pub trait NewFile {
    /// Adds all of these bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes sure of its bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&mut self) -> io::Result<()>;
}

/// Writes the file of keys. Where it fails, the old one may still be there or the new one; never a mixture.
///
/// # Errors
/// Those of the file system.
pub fn replace(folder: &dyn Folder, bytes: &[u8]) -> io::Result<()> {
    folder.remove(BESIDE)?;
    let written = write_beside(folder, bytes);
    if written.is_err() {
        // What is half written helps nobody; if it cannot be removed now, the next start does.
        let _ = folder.remove(BESIDE);
    }
    written?;
    folder.rename(BESIDE, FILE)?;
    folder.sync()
}

fn write_beside(folder: &dyn Folder, bytes: &[u8]) -> io::Result<()> {
    let mut file = folder.create(BESIDE)?;
    file.write(bytes)?;
    file.sync()
}

/// Removes what was not finished and reads the file of keys.
///
/// # Errors
/// Those of the file system.
pub fn load(folder: &dyn Folder, limit: usize) -> io::Result<Option<Vec<u8>>> {
    folder.remove(BESIDE)?;
    // A name that was given right before power was lost may be there and not yet for good.
    folder.sync()?;
    folder.read(FILE, limit)
}

/// Puts a file of keys that cannot be used where it is in nobody's way.
///
/// # Errors
/// Those of the file system, or too many are there already.
pub fn set_aside(folder: &dyn Folder) -> io::Result<()> {
    for number in 1..=ASIDE_LIMIT {
        let name = format!("{ASIDE}.{number}");
        if folder.read(&name, 0)?.is_none() {
            folder.rename(FILE, &name)?;
            return folder.sync();
        }
    }
    Err(io::Error::other(format!("there are {ASIDE_LIMIT} files {ASIDE}.* already: remove some")))
}

/// A folder on the disk, which is this process's alone.
#[derive(Debug)]
pub struct OnDisk(OwnedFd);

impl OnDisk {
    /// Takes a folder, for as long as nobody else has it.
    ///
    /// # Errors
    /// Another process has it, or those of the file system.
    pub fn new(folder: impl AsFd) -> io::Result<OnDisk> {
        // Whoever opened it may have done so with O_PATH: what is locked and synced is opened here.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(folder, ".", flags, Mode::empty())?;
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            Errno::WOULDBLOCK => io::Error::other("another process has this folder of keys"),
            errno => errno.into(),
        })?;
        Ok(OnDisk(folder))
    }
}

impl Folder for OnDisk {
    fn read(&self, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        // What was put there in the place of a file does not make anybody wait, and no link is followed.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::other(format!("{name} is no file")));
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1) as u64).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Box::new(File::from(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }
}

impl NewFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    fn opened(folder: &Path) -> OnDisk {
        OnDisk::new(File::open(folder).unwrap()).unwrap()
    }

    #[test]
    fn the_file_is_its_owners_alone_and_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let disk = opened(folder.path());
        assert_eq!(load(&disk, 10).unwrap(), None);
        for content in [b"first".as_slice(), b"second"] {
            replace(&disk, content).unwrap();
            assert_eq!(load(&disk, 10).unwrap().unwrap(), content);
        }
        let file = folder.path().join(FILE).metadata().unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_more_is_read_than_tells_that_it_is_too_long() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), [7; 100]).unwrap();
        assert_eq!(opened(folder.path()).read(FILE, 10).unwrap().unwrap(), [7; 11]);
    }

    #[test]
    fn what_was_put_in_the_place_of_a_file_is_neither_followed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let disk = opened(folder.path());
        std::fs::write(folder.path().join("other"), b"other").unwrap();
        symlink("other", folder.path().join("link")).unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(&disk.0, "fifo", rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for name in ["link", "folder", "fifo"] {
            disk.read(name, 10).unwrap_err();
            disk.create(name).err().unwrap();
        }
        assert_eq!(std::fs::read(folder.path().join("other")).unwrap(), b"other");
    }

    #[test]
    fn what_cannot_be_used_is_put_aside_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let disk = opened(folder.path());
        for number in 1..=ASIDE_LIMIT {
            replace(&disk, &[u8::try_from(number).unwrap()]).unwrap();
            set_aside(&disk).unwrap();
        }
        replace(&disk, b"last").unwrap();
        assert!(set_aside(&disk).unwrap_err().to_string().contains("remove some"));
        assert_eq!(load(&disk, 10).unwrap().unwrap(), b"last");
        for number in 1..=ASIDE_LIMIT {
            let aside = disk.read(&format!("{ASIDE}.{number}"), 10).unwrap().unwrap();
            assert_eq!(aside, [u8::try_from(number).unwrap()]);
        }
    }

    #[test]
    fn a_folder_is_one_processs_until_that_lets_go_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = opened(folder.path());
        let again = OnDisk::new(File::open(folder.path()).unwrap()).unwrap_err();
        assert!(again.to_string().contains("another process"));
        drop(first);
        opened(folder.path());
    }
}
