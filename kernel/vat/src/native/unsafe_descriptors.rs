//! Taking over the descriptors that a process is born with. This file is unsafe because a number becomes a thing that
//! is owned, each number once; and because tokio trusts that what it watches stays the same.

use rustix::io::FdFlags;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Where every process that the kernel starts finds its door.
pub const DOOR_DESCRIPTOR: RawFd = 3;

/// Where the powerbox finds its channel to the kernel.
pub const CONTROL_DESCRIPTOR: RawFd = 4;

/// One bit for each number that was given out.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The descriptor that this process was born with under that number; children do not inherit it further.
///
/// # Errors
/// It is not open, was taken before, or is none of a process's own numbers (3 to 31).
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if !(3..32).contains(&number) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let bit = 1u32 << number;
    if TAKEN.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
        return Err(io::Error::other(format!("descriptor {number} was taken before")));
    }
    // SAFETY: it is borrowed for the next call only, which fails with EBADF where it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: it is open, it was inherited so that nothing in this program opened it, and TAKEN shows that nobody
    // was given it before.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor that tokio watches, for reading and writing. It must not block.
///
/// # Errors
/// The runtime cannot watch it.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    watch_for(descriptor, Interest::READABLE | Interest::WRITABLE)
}

/// The same for one of both.
///
/// # Errors
/// The runtime cannot watch it.
pub fn watch_for(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd gives the same open descriptor for as long as it lives, and AsyncFd hands out only shared
    // references to it here: nobody replaces it.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
