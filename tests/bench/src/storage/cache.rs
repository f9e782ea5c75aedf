//! What the system keeps of files in memory, and what comes from the disk.

use rustix::fs::{Advice, fadvise};
use rustix::process::Pid;
use std::fs::File;
use std::path::Path;

/// Makes the system forget what it has of a file, or of every file in a folder. It keeps what is not on the disk yet.
pub(crate) fn forget(path: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(failed)?;
        return entries.flatten().try_for_each(|entry| forget(&entry.path()));
    }
    let file = match File::open(path) {
        // The store gives segments up by itself.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(failed)?,
    };
    fadvise(&file, 0, None, Advice::DontNeed).map_err(|error| failed(error.into()))
}

/// How many bytes a process has made the system read from a disk; nothing where that is not told.
pub(crate) fn read_from_disk(process: Pid) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/io", process.as_raw_nonzero())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.trim().parse().ok()
}
