//! What a folder is known by. This file is unsafe because the system call for a file's handle has no safe binding.

use crate::door::Identity;
use rustix::fs::{FileType, fstat, fstatvfs};
use std::os::fd::{AsRawFd, BorrowedFd};

impl Identity {
    /// Of a descriptor that must be a folder. It asks the file system, which may take as long as it likes.
    ///
    /// # Errors
    /// It is no folder (`NOTDIR`), or the file system's own.
    pub fn of(folder: BorrowedFd<'_>) -> rustix::io::Result<Identity> {
        let (status, file_system) = (fstat(folder)?, fstatvfs(folder)?.f_fsid);
        if !FileType::from_raw_mode(status.st_mode).is_dir() {
            return Err(rustix::io::Errno::NOTDIR);
        }
        Ok(Identity { file_system, handle: file_handle(folder), inode: status.st_ino })
    }
}

/// What names a file of a file system for good: the handle's type, little endian, then the handle. Empty where the
/// file system has none.
fn file_handle(file: BorrowedFd<'_>) -> Vec<u8> {
    const ROOM: usize = libc::MAX_HANDLE_SZ as usize;
    #[repr(C)]
    struct Handle(libc::file_handle, [u8; ROOM]);
    let header = libc::file_handle { handle_bytes: ROOM as u32, handle_type: 0, f_handle: [] };
    let (mut handle, mut mount) = (Handle(header, [0; ROOM]), 0);
    let (number, at, to) = (file.as_raw_fd(), libc::AT_EMPTY_PATH, (&raw mut handle).cast());
    // SAFETY: the header says how many bytes follow it, and they do; everything lives through the call.
    let result = unsafe { libc::name_to_handle_at(number, c"".as_ptr(), to, &raw mut mount, at) };
    let bytes = handle.1.get(..handle.0.handle_bytes as usize).filter(|_| result == 0);
    bytes.map_or_else(Vec::new, |bytes| [&handle.0.handle_type.to_le_bytes(), bytes].concat())
}
