//! Every `unsafe` of the kernel: the system calls that have no safe binding.
#![allow(unsafe_code)]

use libc::{c_int, c_long};
use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `SO_PASSRIGHTS`, from Linux 6.16: whether a socket takes descriptors.
const SO_PASSRIGHTS: c_int = 83;
/// Descriptors of the kernel's that a child needs get at least this number, clear of those that the child is given.
const LIFTED: RawFd = 16;

fn check(result: c_long) -> Result<c_long> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Another descriptor of the same, where no child's own will be.
pub(crate) fn lift(descriptor: impl AsFd) -> Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, LIFTED)?)
}

/// Sets whether a socket takes descriptors. Machines that do not know it are as before: no error.
pub(crate) fn pass_rights(socket: BorrowedFd<'_>, allowed: bool) {
    let value = c_int::from(allowed);
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: value lives through the call and has that length.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const value).cast(), length) };
}

/// A descriptor that reads as the signals that ask for an orderly stop, which no longer interrupt anything.
pub(crate) fn stop_signals() -> Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before any other use, and lives through every call; the
    // descriptor is new.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        check(c_long::from(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())))?;
        let number = check(c_long::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?;
        Ok(OwnedFd::from_raw_fd(number as RawFd))
    }
}

/// What names a file of a file system for good: the handle's type, little endian, then the handle. Empty where the
/// file system has none.
pub(crate) fn file_handle(file: BorrowedFd<'_>) -> Vec<u8> {
    const ROOM: usize = libc::MAX_HANDLE_SZ as usize;
    #[repr(C)]
    struct Handle(libc::file_handle, [u8; ROOM]);
    let header = libc::file_handle { handle_bytes: ROOM as u32, handle_type: 0, f_handle: [] };
    let (mut handle, mut mount) = (Handle(header, [0; ROOM]), 0);
    let (number, at, to) = (file.as_raw_fd(), libc::AT_EMPTY_PATH, (&raw mut handle).cast());
    // SAFETY: the header says how many bytes follow it, and they do; everything lives through the call.
    let result = unsafe { libc::name_to_handle_at(number, c"".as_ptr(), to, &raw mut mount, at) };
    match handle.1.get(..handle.0.handle_bytes as usize) {
        Some(bytes) if result == 0 => [&handle.0.handle_type.to_le_bytes(), bytes].concat(),
        _ => Vec::new(),
    }
}

/// Moves the kernel into new namespaces, which it must not have threads for.
pub(crate) fn unshare(namespaces: c_int) -> Result<()> {
    // SAFETY: no pointers; descriptors and working folder stay as they are with these flags.
    check(c_long::from(unsafe { libc::unshare(namespaces) })).map(drop)
}

/// Makes a child with its own copy of everything, in new namespaces. The child gets nothing, the parent its pid and pidfd.
pub(crate) fn clone(namespaces: c_int) -> Result<Option<(u32, OwnedFd)>> {
    let mut pidfd: c_int = -1;
    // SAFETY: all zeroes is a valid value of these plain numbers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from((libc::CLONE_PIDFD | namespaces).cast_unsigned());
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: memory is not shared and there is one thread: the child is an ordinary copy that may go on like the parent.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) })?;
    // SAFETY: in the parent it is a new descriptor that nobody else knows.
    Ok((pid != 0).then(|| (pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) })))
}

/// Ends a child that could not become what it should, without running anything of the parent's.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// In a child: makes these lifted descriptors its 0, 1, …; every other closes when it executes its image.
pub(crate) fn give(descriptors: &[OwnedFd]) -> Result<()> {
    for (number, descriptor) in (0..).zip(descriptors) {
        // SAFETY: what had that number is the parent's, and used by nobody in this copy from here on.
        check(c_long::from(unsafe { libc::dup2(descriptor.as_raw_fd(), number) }))?;
    }
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: no pointers, and nothing is closed yet.
    check(unsafe { libc::syscall(libc::SYS_close_range, descriptors.len(), c_int::MAX, flags) }).map(drop)
}

/// In a child: executes an image, with its name as the only argument and no environment. Returns why not.
pub(crate) fn execute(image: &OwnedFd, name: &CStr) -> Error {
    let (arguments, environment) = ([name.as_ptr(), std::ptr::null()], [std::ptr::null::<libc::c_char>()]);
    let (number, path, flags) = (image.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the set is initialised by sigemptyset; the lists end with null and live through the call.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::syscall(libc::SYS_execveat, number, path, arguments.as_ptr(), environment.as_ptr(), flags);
    }
    Error::last_os_error()
}
