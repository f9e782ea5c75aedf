//! What the log does with its folder, and nothing more, so that a test can put a disk in its place that loses power.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;

/// The powerbox's folder. Names are relative to it.
pub(super) trait Files {
    /// Opens a file that is there, for reading.
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    /// Opens a file for reading and writing, or makes it, for its owner only.
    fn open_or_create(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;
    /// Gives a file another name in the same folder, in the place of what had that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes sure of the names in the folder that a file is in.
    fn sync_folder_of(&self, name: &str) -> io::Result<()>;
}

/// One file.
pub(super) trait LogFile: Send + Sync {
    /// How long it is, in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Reads up to so many bytes; fewer only at the end.
    fn read_at(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>>;
    /// Writes all of these bytes.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts off what is beyond.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes sure of its bytes and its length.
    fn sync(&self) -> io::Result<()>;
    /// Sets blocks aside from an offset on, beyond the end, without making the file longer.
    fn set_aside(&self, from: u64, length: u64) -> rustix::io::Result<()>;
}

/// Makes a file whole or not at all: written beside, synced, then renamed.
pub(super) fn create_whole(files: &dyn Files, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = format!("{name}.new");
    let file = files.open_or_create(&beside)?;
    file.set_length(0)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    files.rename(&beside, name)?;
    files.sync_folder_of(name)
}

/// The folder on the disk.
pub(super) struct OnDisk(pub(super) PathBuf);

impl Files for OnDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(File::open(self.0.join(name))?))
    }

    fn open_or_create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        Ok(Arc::new(options.open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn sync_folder_of(&self, name: &str) -> io::Result<()> {
        File::open(self.0.join(name).parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl LogFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; limit];
        let mut filled = 0;
        while filled < limit {
            match FileExt::read_at(self, &mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
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

    fn set_aside(&self, from: u64, length: u64) -> rustix::io::Result<()> {
        rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, from, length)
    }
}
