//! What the store does with its folder, and nothing more, so that a test can put a disk in its place that loses power or
//! fails.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Advice, AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use vat::fault;

/// A folder and its folders. Names are relative to it.
pub trait Files: Send + Sync {
    /// Opens a file that is there, for reading and writing. Whatever else has that name is refused, and waited for by nobody
    /// ([`is_no_regular_file`]).
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoreFile>>;
    /// Makes a file that is not there, for its owner only.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StoreFile>>;
    /// Gives a file another name, in the place of what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a file away.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names in a folder, without `.` and `..`.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes a folder where there is none.
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    /// Makes sure of the names in a folder; an empty name is the folder itself.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// How many bytes can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Keeps others out for as long as what is returned lives; nothing where somebody else does.
    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// One file.
pub trait StoreFile: Send + Sync {
    /// How long it is, in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Reads what fits into the buffer; less only at the end. Returns how much.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of these bytes.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what is beyond.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes sure of its bytes and its length.
    fn sync(&self) -> io::Result<()>;
    /// Begins to bring bytes to the disk that are in the system's memory only, and waits for none of them: who makes sure of
    /// the file waits for less. Nothing is promised.
    fn begin_sync(&self, _offset: u64, _length: u64) {}
    /// Begins to fetch bytes that are likely to be read next, and waits for none of them.
    fn begin_read(&self, _offset: u64, _length: u64) {}
}

/// An error of [`Files::open`]: what has that name is a folder, a link, a pipe or a device.
pub(crate) fn is_no_regular_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// Puts a file in the place of the one of that name, wholly or not at all.
pub(crate) fn replace(files: &dyn Files, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = format!("{name}.new");
    if let Err(error) = files.remove(&beside)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = files.create(&beside)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    fault::point("file.beside");
    files.rename(&beside, name)?;
    files.sync_folder("")
}

/// A folder on the disk.
pub struct OnDisk(OwnedFd);

impl OnDisk {
    /// The folder at this path.
    pub fn new(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    fn folder(&self, name: &str) -> io::Result<OwnedFd> {
        let name = if name.is_empty() { "." } else { name };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?)
    }

    fn open_with(&self, name: &str, more: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | more;
        rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)
    }
}

impl Files for OnDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        let refused = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no regular file"));
        // To open a device may take for ever.
        let file = match self.open_with(name, OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => File::from(file),
            // A link, a folder, or something that nobody serves.
            Err(error) if [Errno::LOOP, Errno::ISDIR, Errno::NXIO].contains(&error) => return Err(refused()),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.is_file() { Ok(Arc::new(file)) } else { Err(refused()) }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        Ok(Arc::new(File::from(self.open_with(name, OFlags::CREATE | OFlags::EXCL)?)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(self.folder(folder)?)? {
            if let Ok(name) = entry?.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.0, folder, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.folder(folder)?)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let about = rustix::fs::fstatfs(&self.0)?;
        Ok(about.f_bavail.saturating_mul(u64::try_from(about.f_bsize).unwrap_or(0)))
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = self.open_with(name, OFlags::CREATE)?;
        match rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl StoreFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        // With the length, without which the bytes could not be read again.
        self.sync_data()
    }

    fn begin_sync(&self, offset: u64, length: u64) {
        // Linux begins to write what is not written before it forgets it, and forgets nothing that is on its way. Unlike a sync
        // in another thread this takes no error away from who makes sure of the file.
        let _ = rustix::fs::fadvise(self, offset, NonZeroU64::new(length), Advice::DontNeed);
    }

    fn begin_read(&self, offset: u64, length: u64) {
        let _ = rustix::fs::fadvise(self, offset, NonZeroU64::new(length), Advice::WillNeed);
    }
}
