//! Every `unsafe` of the kernel: the system calls that have no safe binding, and the steps of a child between clone and exec.
//!
//! The kernel has one thread, so a child made by `clone3` without shared memory is an ordinary copy that may allocate.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_long, c_ulong};

/// `SO_PASSRIGHTS`, from Linux 6.16: whether a socket takes descriptors. The same number on every architecture built for.
const SO_PASSRIGHTS: c_int = 83;

/// The capabilities that a child keeps until it has confined itself: to change its root.
const KEPT: [u32; 2] = [CAP_SYS_CHROOT, CAP_SYS_ADMIN];
const CAP_SYS_CHROOT: u32 = 18;
const CAP_SYS_ADMIN: u32 = 21;
/// Capabilities fit in two words of 32; asking beyond the last known one ends the loop.
const CAPABILITIES_LIMIT: u32 = 64;
/// `SECBIT_NOROOT` and its lock: uid 0 gains nothing by executing.
const NO_ROOT: c_ulong = 0b11;

fn check(result: c_long) -> Result<c_long> {
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result) }
}

fn prctl(option: c_int, first: c_ulong, second: c_ulong) -> Result<()> {
    // SAFETY: every option used here takes numbers, no pointers.
    check(c_long::from(unsafe { libc::prctl(option, first, second, 0, 0) })).map(drop)
}

/// Takes over a descriptor whose number was given on the command line.
pub(crate) fn adopt(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: F_GETFD takes no pointer.
    check(c_long::from(unsafe { libc::fcntl(number, libc::F_GETFD) }))?;
    // SAFETY: it is open, checked just now, before this program has opened any other with a number of its own choice.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
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
    // SAFETY: the set is initialised by sigemptyset before any other use, and lives through every call.
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
    #[repr(C)]
    struct Handle {
        header: libc::file_handle,
        bytes: [u8; libc::MAX_HANDLE_SZ as usize],
    }
    let mut handle = Handle {
        header: libc::file_handle { handle_bytes: libc::MAX_HANDLE_SZ as u32, handle_type: 0, f_handle: [] },
        bytes: [0; libc::MAX_HANDLE_SZ as usize],
    };
    let mut mount = 0;
    let (descriptor, flags) = (file.as_raw_fd(), libc::AT_EMPTY_PATH);
    // SAFETY: the header says how many bytes follow it, and they do; path and mount live through the call.
    let result =
        unsafe { libc::name_to_handle_at(descriptor, c"".as_ptr(), (&raw mut handle).cast(), &raw mut mount, flags) };
    let length = handle.header.handle_bytes as usize;
    match handle.bytes.get(..length) {
        Some(bytes) if result == 0 => [&handle.header.handle_type.to_le_bytes(), bytes].concat(),
        _ => Vec::new(),
    }
}

/// The version of Landlock that this machine offers; 0 for none.
pub(crate) fn landlock_version() -> u32 {
    const VERSION: c_long = 1;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: with this flag no attribute is read.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0_usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// Makes a child with its own copy of everything, in new namespaces. The child gets nothing, the parent its pid and pidfd.
pub(crate) fn clone(namespaces: c_int) -> Result<Option<(u32, OwnedFd)>> {
    let mut pidfd: c_int = -1;
    // SAFETY: all zeroes is a valid value of these plain numbers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from((libc::CLONE_PIDFD | namespaces).cast_unsigned());
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: memory is not shared and there is one thread, so the child continues like the parent does.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) })?;
    if pid == 0 {
        return Ok(None);
    }
    // SAFETY: the system made it for us, and nobody else knows it.
    Ok(Some((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) })))
}

/// Ends a child that could not become what it should, without running anything of the parent's.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// What a child becomes.
pub(crate) struct Child<'a> {
    /// The kernel's process id: if the parent is another by now, the kernel is dead.
    pub kernel: u32,
    /// Descriptors 0, 1, … of the child, and after them the image.
    pub descriptors: &'a [RawFd],
    pub image: RawFd,
    pub name: &'a CStr,
    /// User and group, where the kernel may choose them.
    pub identity: Option<(u32, u32)>,
    /// Resource limits: which, and how much.
    pub limits: &'a [(u32, u64)],
}

/// Turns this child into its image. Returns only what went wrong, and where.
pub(crate) fn become_image(child: &Child<'_>) -> (&'static str, Error) {
    fn step(child: &Child<'_>, at: &mut &'static str) -> Result<()> {
        // SAFETY: plain numbers, and pointers to values that live through each call; nothing else runs in this
        // process, and the descriptors that are closed or replaced are used by nobody afterwards.
        unsafe {
            *at = "descriptors";
            let mut next = 0;
            for descriptor in child.descriptors {
                check(libc::dup2(*descriptor, next).into())?;
                next += 1;
            }
            check(libc::dup3(child.image, next, libc::O_CLOEXEC).into())?;
            check(libc::syscall(libc::SYS_close_range, next + 1, c_int::MAX, 0))?;

            *at = "limits";
            for (which, limit) in child.limits {
                let value = libc::rlimit { rlim_cur: *limit, rlim_max: *limit };
                check(libc::setrlimit(*which, &raw const value).into())?;
            }
            libc::setsid();
            libc::umask(0o077);
            check(libc::chdir(c"/".as_ptr()).into())?;

            *at = "capabilities";
            keep_capabilities(child.identity)?;

            *at = "parent";
            prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
            prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong, 0)?;
            if libc::getppid().cast_unsigned() != child.kernel {
                return Err(Error::other("the kernel is gone"));
            }

            *at = "exec";
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
            let arguments = [child.name.as_ptr(), std::ptr::null()];
            let environment = [std::ptr::null::<libc::c_char>()];
            let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            check(libc::syscall(libc::SYS_execveat, next, path, arguments.as_ptr(), environment.as_ptr(), flags))?;
        }
        Ok(())
    }
    let mut at = "";
    let result = step(child, &mut at);
    (at, result.err().unwrap_or_else(|| Error::other("returned")))
}

/// Takes the identity and drops every capability but those in [`KEPT`], which pass through exec as ambient ones.
/// Without any to begin with (no namespace could be made), there is nothing to do.
fn keep_capabilities(identity: Option<(u32, u32)>) -> Result<()> {
    #[repr(C)]
    #[derive(Default)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    fn set(permitted: u32, permitted_high: u32) -> Result<()> {
        /// `_LINUX_CAPABILITY_VERSION_3`, and this process.
        const HEADER: [u32; 2] = [0x2008_0522, 0];
        let inheritable = KEPT.iter().fold(0, |mask, capability| mask | 1 << capability);
        let sets = [
            Sets { effective: permitted, permitted, inheritable },
            Sets { effective: permitted_high, permitted: permitted_high, inheritable: 0 },
        ];
        // SAFETY: a header of version 3 is followed by two sets, as here; both live through the call.
        check(unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), sets.as_ptr()) }).map(drop)
    }
    fn permitted() -> Result<(u32, u32)> {
        let header: [u32; 2] = [0x2008_0522, 0];
        let mut sets = [Sets::default(), Sets::default()];
        // SAFETY: as above, and the sets are written to.
        check(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) })?;
        Ok((sets[0].permitted, sets[1].permitted))
    }
    let (low, high) = permitted()?;
    let kept = KEPT.iter().fold(0, |mask, capability| mask | 1 << capability);
    if low & kept != kept {
        return Ok(());
    }
    // Inheritable may only grow by what is still in the bounding set, so it comes first.
    set(low, high)?;
    prctl(libc::PR_SET_SECUREBITS, NO_ROOT, 0)?;
    for capability in 0..CAPABILITIES_LIMIT {
        if prctl(libc::PR_CAPBSET_DROP, capability.into(), 0).is_err() {
            break;
        }
    }
    if let Some((user, group)) = identity {
        prctl(libc::PR_SET_KEEPCAPS, 1, 0)?;
        // SAFETY: no pointers but an empty list.
        unsafe {
            check(libc::setgroups(0, std::ptr::null()).into())?;
            check(libc::setresgid(group, group, group).into())?;
            check(libc::setresuid(user, user, user).into())?;
        }
    }
    set(kept, 0)?;
    for capability in KEPT {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as c_ulong, capability.into())?;
    }
    Ok(())
}
