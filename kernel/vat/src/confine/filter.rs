//! The seccomp layer: one list of system calls for each profile. Everything else is refused with EPERM.
//!
//! Never in a list: making, binding or connecting sockets of any kind, sending to an address, out-of-band data, io_uring, ptrace and the
//! calls that reach into other processes, signals to others, executing, mounting, namespaces, keyrings, bpf.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Compare, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

use super::{ConfineError, Profile};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Memory, time, threads, waiting, and reading and writing what one has.
const EVERYONE: &[c_long] = &[
    // descriptors that it has
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fstat,
    // Both look at a descriptor with an empty path. With a path they tell whether something exists, to a process that
    // has no root to look into.
    libc::SYS_newfstatat,
    libc::SYS_statx,
    // waiting
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    // memory
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    // time and chance
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // itself
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

#[cfg(target_arch = "x86_64")]
const EVERYONE_OLD_NAMES: &[c_long] = &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const EVERYONE_OLD_NAMES: &[c_long] = &[];

/// Reading and writing a file that one has at a place of it.
const OPEN_FILES: &[c_long] = &[
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_ftruncate,
];

/// A folder and what is in it. Where it may reach is for the root and Landlock to say.
const FOLDERS: &[c_long] = &[
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_umask,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_readlinkat,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_flock,
    libc::SYS_fstatfs,
];

/// What an index and the standard library's file functions use besides.
const STATE: &[c_long] = &[
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_getcwd,
    libc::SYS_sync_file_range,
    libc::SYS_copy_file_range,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

#[cfg(target_arch = "x86_64")]
const STATE_OLD_NAMES: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_readlink,
    libc::SYS_access,
    libc::SYS_chmod,
];
#[cfg(not(target_arch = "x86_64"))]
const STATE_OLD_NAMES: &[c_long] = &[];

/// `fcntl` without what makes the kernel send signals (F_SETOWN, F_SETSIG, F_NOTIFY, leases), and without F_SETFL: a
/// file that was given for appending stays one. Sockets are made non-blocking by FIONBIO.
const FCNTL: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];

/// From Linux 6.9: a write that disregards that its file is for appending. libc does not name it yet.
const RWF_NOAPPEND: i32 = 0x20;

/// `ioctl` on sockets and files, none on devices.
const IOCTL: &[u64] = &[libc::FIONBIO, libc::FIOCLEX, libc::FIONREAD];

/// Puts the filter of a profile in force, for every thread and for good.
pub(super) fn apply(profile: Profile) -> Result<(), ConfineError> {
    build(profile).map_err(|error| ConfineError::Seccomp(error.to_string()))
}

fn build(profile: Profile) -> Result<(), seccompiler::Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = |rules, otherwise, matched| -> Result<BpfProgram, seccompiler::Error> {
        Ok(SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()?)
    };
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let allowed = filter(rules(profile)?, refusal, SeccompAction::Allow)?;
    // clone3 has its flags in memory, where no filter sees them. Told that it does not exist, C libraries start their
    // threads with clone, whose flags are seen. Of two filters the stricter answer counts.
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let no_clone3 = filter(Rules::from([(libc::SYS_clone3, vec![])]), SeccompAction::Allow, unknown)?;
    // Applying a filter is in no list, so the wider one comes first.
    apply_filter_all_threads(&no_clone3)?;
    apply_filter_all_threads(&allowed)
}

fn rules(profile: Profile) -> Result<Rules, seccompiler::Error> {
    let mut rules = Rules::new();
    let mut allow = |lists: &[&[c_long]]| {
        for call in lists.iter().copied().flatten() {
            rules.insert(*call, vec![]);
        }
    };
    allow(&[EVERYONE, EVERYONE_OLD_NAMES, &[libc::SYS_clone3]]);
    match profile {
        // It seals what was compiled, in memory.
        Profile::Powerbox => {
            allow(&[OPEN_FILES, FOLDERS, STATE, STATE_OLD_NAMES, &[libc::SYS_memfd_create]]);
        }
        Profile::Storage => allow(&[OPEN_FILES, FOLDERS, STATE, STATE_OLD_NAMES]),
        // It writes one file whole, from descriptor to descriptor.
        Profile::Keys => allow(&[FOLDERS]),
        // It gives what it makes the mode of the directory around it, so it lifts the mask; and a file system that
        // cannot sync a directory is synced whole.
        Profile::Folder => allow(&[OPEN_FILES, FOLDERS, &[libc::SYS_umask, libc::SYS_syncfs]]),
        Profile::Sandbox | Profile::Compile => allow(&[OPEN_FILES]),
    }
    rules.insert(libc::SYS_clone, vec![threads_only()?]);
    rules.insert(libc::SYS_tgkill, vec![rule(&[equal(0, u64::from(std::process::id()))?])?]);
    rules.insert(libc::SYS_prctl, one_of(0, &[libc::PR_SET_NAME as u64])?);
    rules.insert(libc::SYS_prlimit64, vec![rule(&[equal(0, 0)?, equal_wide(2, 0)?])?]);
    rules.insert(
        libc::SYS_fcntl,
        one_of(1, &FCNTL.iter().map(|command| u64::from(command.unsigned_abs())).collect::<Vec<_>>())?,
    );
    rules.insert(libc::SYS_ioctl, one_of(1, IOCTL)?);
    rules.insert(libc::SYS_sendto, vec![rule(&[without(3, libc::MSG_OOB)?, equal_wide(4, 0)?])?]);
    if profile == Profile::Powerbox {
        // Only it passes descriptors on, to the kernel.
        rules.insert(libc::SYS_sendmsg, vec![rule(&[without(2, libc::MSG_OOB)?])?]);
    }
    // A file that was given for appending stays one.
    rules.insert(libc::SYS_pwritev2, vec![rule(&[without(5, RWF_NOAPPEND)?])?]);
    rules.insert(libc::SYS_mprotect, protections(profile, &[])?);
    rules.insert(libc::SYS_mmap, protections(profile, &[counted_memory()?])?);
    Ok(rules)
}

/// Memory is never writable and executable at once. Only the sandbox has executable memory at all. `besides` must hold
/// for either.
fn protections(profile: Profile, besides: &[SeccompCondition]) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let mut either = vec![rule(&[besides, &[without(2, libc::PROT_EXEC)?]].concat())?];
    if profile == Profile::Sandbox {
        either.push(rule(&[besides, &[without(2, libc::PROT_WRITE)?]].concat())?);
    }
    Ok(either)
}

/// Private mappings that are no stacks of the old kind (MAP_GROWSDOWN): RLIMIT_DATA counts those and no others.
fn counted_memory() -> Result<SeccompCondition, seccompiler::Error> {
    let looked_at = u64::from((libc::MAP_TYPE | libc::MAP_GROWSDOWN).cast_unsigned());
    let private = u64::from(libc::MAP_PRIVATE.cast_unsigned());
    Ok(SeccompCondition::new(3, Length::Dword, Compare::MaskedEq(looked_at), private)?)
}

/// `clone` for a thread of this process, in the namespaces that it has.
fn threads_only() -> Result<SeccompRule, seccompiler::Error> {
    let thread = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND;
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    let considered = u64::from((thread | namespaces).cast_unsigned());
    rule(&[SeccompCondition::new(0, Length::Dword, Compare::MaskedEq(considered), u64::from(thread.cast_unsigned()))?])
}

fn rule(all_of: &[SeccompCondition]) -> Result<SeccompRule, seccompiler::Error> {
    Ok(SeccompRule::new(all_of.to_vec())?)
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    values.iter().map(|value| rule(&[equal(argument, *value)?])).collect()
}

/// The kernel looks at the lower 32 bits of such an argument, and so does this.
fn equal(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(argument, Length::Dword, Compare::Eq, value)?)
}

fn equal_wide(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(argument, Length::Qword, Compare::Eq, value)?)
}

fn without(argument: u8, flag: i32) -> Result<SeccompCondition, seccompiler::Error> {
    let bit = u64::from(flag.unsigned_abs());
    Ok(SeccompCondition::new(argument, Length::Dword, Compare::MaskedEq(bit), 0)?)
}
