//! Every `unsafe` of the probe: raw system calls, since what is tried has no safe binding on purpose.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// A system call with up to six arguments.
pub(crate) fn call(number: libc::c_long, arguments: &[usize]) -> Result<usize, Errno> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: none in general: every caller passes numbers and addresses of values that live through the call and are
    // large enough for what the call writes there.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    if result >= 0 {
        return Ok(result.unsigned_abs() as usize);
    }
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    Err(Errno::from_raw_os_error(error))
}

/// A call that, if it succeeds, goes on twice: the second one ends here.
pub(crate) fn call_that_forks(number: libc::c_long, arguments: &[usize]) -> Result<(), Errno> {
    if call(number, arguments)? == 0 {
        // SAFETY: ends the copy.
        unsafe { libc::_exit(0) };
    }
    Ok(())
}

/// Lets a write over the limit of a file fail instead of ending this process.
pub(crate) fn survive_large_files() {
    // SAFETY: ignoring a signal runs nothing.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// A descriptor that this process was born with.
pub(crate) fn adopt(number: RawFd) -> std::io::Result<OwnedFd> {
    rustix::io::fcntl_getfd(
        // SAFETY: it is only looked at, to see that it is open.
        unsafe { std::os::fd::BorrowedFd::borrow_raw(number) },
    )?;
    // SAFETY: it is open, and nobody else in this program owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Attempts to make memory executable: with and without being writable at once.
pub(crate) fn executable_memory(writable: bool) -> Result<(), Errno> {
    let protection = libc::PROT_EXEC | libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let size = 4096_usize;
    let start = call(libc::SYS_mmap, &[0, size, protection as usize, flags as usize, usize::MAX, 0])?;
    call(libc::SYS_munmap, &[start, size]).map(drop)
}
