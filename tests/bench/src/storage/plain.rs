//! The same work on a plain file.

use super::{BLOCK_BYTES, CHUNK_BYTES};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

fn failed(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// Writes so many times these bytes into a new file, to disk.
pub(crate) fn put(path: &Path, chunk: &[u8], times: u64) -> Result<(), String> {
    let failed = failed(path);
    let mut file = File::create_new(path).map_err(&failed)?;
    (0..times).try_for_each(|_| file.write_all(chunk)).map_err(&failed)?;
    file.sync_all().map_err(&failed)
}

/// Reads all of a file.
pub(crate) fn get(path: &Path, length: u64) -> Result<(), String> {
    let failed = failed(path);
    let file = File::open(path).map_err(&failed)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < length {
        let read = file.read_at(&mut buffer, offset).map_err(&failed)?;
        if read == 0 {
            return Err(format!("{} has only {offset} bytes", path.display()));
        }
        offset += read as u64;
    }
    Ok(())
}

/// Blocks of a file that is there.
pub(crate) struct Blocks(File);

impl Blocks {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        OpenOptions::new().read(true).write(true).open(path).map(Self).map_err(failed(path))
    }

    pub(crate) fn read(&self, offset: u64) -> Result<(), String> {
        let mut buffer = [0; BLOCK_BYTES];
        self.0.read_exact_at(&mut buffer, offset).map_err(|error| format!("a plain file cannot be read: {error}"))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8], sync: bool) -> Result<(), String> {
        let written = self.0.write_all_at(bytes, offset);
        let synced = written.and_then(|()| if sync { self.0.sync_data() } else { Ok(()) });
        synced.map_err(|error| format!("a plain file cannot be written: {error}"))
    }
}
