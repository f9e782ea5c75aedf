//! Every `unsafe` of the kernel: the system calls that have no safe binding.
#![allow(unsafe_code)]

use rustix::process::Pid;
use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `SO_PASSRIGHTS`, from Linux 6.16: whether a socket takes descriptors.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Of `clone3`, from Linux 5.7: libc has it too narrow.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Sets whether a socket takes descriptors. Machines that do not know it are as before: no error.
pub(crate) fn pass_rights(socket: BorrowedFd<'_>, allowed: bool) {
    let value = libc::c_int::from(allowed);
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: value lives through the call and has that length.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const value).cast(), length) };
}

/// A descriptor that reads as the signals that ask for an orderly stop, which no longer interrupt anything.
pub(crate) fn stop_signals() -> Result<OwnedFd> {
    // SAFETY: the set is initialised by sigemptyset before any other use and lives through every call; the descriptor
    // is new.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        let number = check(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Moves this process, which must have no threads, into new namespaces.
pub(crate) fn unshare(namespaces: libc::c_int) -> Result<()> {
    // SAFETY: no pointers; with these flags descriptors and working folder stay as they are.
    check(unsafe { libc::unshare(namespaces) }).map(drop)
}

/// Makes a child, a copy of this process, in that cgroup if there is one: to be moved there it would wait some 10 ms for
/// all processors. Returns its number; none to the child itself.
pub(crate) fn fork(cgroup: Option<BorrowedFd<'_>>) -> Result<Option<Pid>> {
    // SAFETY: the kernel has one thread, so the child is an ordinary copy of it, in which everything may be done.
    let Some(into) = cgroup else { return Ok(Pid::from_raw(check(unsafe { libc::fork() })?)) };
    // SAFETY: numbers, of which 0 means none.
    let mut wanted: libc::clone_args = unsafe { std::mem::zeroed() };
    let (signal, cgroup) = (libc::SIGCHLD as u64, into.as_raw_fd() as u64);
    (wanted.flags, wanted.exit_signal, wanted.cgroup) = (CLONE_INTO_CGROUP, signal, cgroup);
    // SAFETY: as before; the structure lives through the call and has that length.
    let number = unsafe { libc::syscall(libc::SYS_clone3, &raw const wanted, size_of_val(&wanted)) };
    Ok(Pid::from_raw(check(number as libc::c_int)?))
}

/// In a child: has it become something else than the command by itself. Returns why not.
pub(crate) fn change(command: &mut Command, become_it: impl FnMut() -> Result<()> + Send + Sync + 'static) -> Error {
    // SAFETY: the child has one thread as well.
    unsafe { command.pre_exec(become_it) }.exec()
}

/// In a child: makes these descriptors its 3, 4, …; every other but the standard ones closes when it executes its image.
pub(crate) fn give(descriptors: &[RawFd]) -> Result<()> {
    let mut next = 3;
    for descriptor in descriptors {
        // SAFETY: what had that number is used by nobody in this copy from here on.
        next = 1 + check(unsafe { libc::dup2(*descriptor, next) })?;
    }
    // SAFETY: no pointers, and nothing is closed yet.
    check(unsafe { libc::close_range(next as u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) }).map(drop)
}

/// In a child: executes an image, with its name as the only argument and no environment. Returns why not.
pub(crate) fn execute(image: RawFd, name: &CStr) -> Error {
    let (arguments, environment) = ([name.as_ptr(), std::ptr::null()], [std::ptr::null::<libc::c_char>()]);
    let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the lists end with null and live through the call.
    unsafe { libc::syscall(libc::SYS_execveat, image, path, arguments.as_ptr(), environment.as_ptr(), flags) };
    Error::last_os_error()
}
