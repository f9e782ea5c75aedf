//! What no confined process can do. Each attempt is a real one: the `unconfined` run shows which of them a process
//! without walls gets through.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;
use vat::confine::Profile;

use crate::unsafe_calls::{call, call_that_forks, executable_memory};
use crate::{Outcome, Target};

/// Commands of `fcntl` that libc does not name.
const F_SETSIG: usize = 10;
const F_SETOWN_EX: usize = 15;

/// The errors that a wall answers with: seccomp EPERM (ENOSYS for clone3), Landlock EACCES, an empty root ENOENT,
/// a limit EFBIG.
pub(crate) fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::ACCESS | Errno::NOENT | Errno::NOSYS | Errno::FBIG)
}

/// Everything, for a process behind walls.
pub(crate) fn all(target: &Target) -> Vec<(String, Outcome)> {
    let mut outcomes = harmless(target);
    let mut add = |name: &str, outcome: Outcome| outcomes.push((name.to_owned(), outcome));
    sockets_in_use(target, &mut add);
    processes(target, &mut add);
    system(&mut add);
    writing(target, &mut add);
    if matches!(target.profile, Profile::Sandbox | Profile::Compile) {
        add("start 300 threads", threads(300));
    }
    outcomes
}

/// What changes nothing for anybody even where it succeeds: a process without walls may try it, as root too.
pub(crate) fn harmless(target: &Target) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::new();
    let mut add = |name: &str, outcome: Outcome| outcomes.push((name.to_owned(), outcome));
    sockets(&mut add);
    itself(target, &mut add);
    files(target, &mut add);
    memory(target, &mut add);
    descriptors(target, &mut add);
    outcomes
}

type Add<'a> = &'a mut dyn FnMut(&str, Outcome);

fn plain(number: libc::c_long, arguments: &[usize]) -> Outcome {
    call(number, arguments).map(drop)
}

/// Address of a local socket.
fn unix_address(path: &[u8]) -> Vec<u8> {
    let mut address = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
    address.extend_from_slice(&path[..path.len().min(107)]);
    address.push(0);
    address
}

fn sockets(add: Add<'_>) {
    let kinds = [
        ("make a local stream socket", libc::AF_UNIX, libc::SOCK_STREAM, 0),
        ("make a local packet socket", libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
        ("make a TCP socket", libc::AF_INET, libc::SOCK_STREAM, 0),
        ("make a UDP socket", libc::AF_INET, libc::SOCK_DGRAM, 0),
        ("make a TCP socket of version 6", libc::AF_INET6, libc::SOCK_STREAM, 0),
        ("make a raw socket", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        ("make a packet socket", libc::AF_PACKET, libc::SOCK_RAW, 0),
        ("make a netlink socket", libc::AF_NETLINK, libc::SOCK_RAW, 0),
        ("make a socket to the host", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("make a cryptography socket", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
    ];
    for (name, family, kind, protocol) in kinds {
        add(name, plain(libc::SYS_socket, &[family as usize, kind as usize, protocol as usize]));
    }
    let mut pair = [0_i32; 2];
    let arguments = [libc::AF_UNIX as usize, libc::SOCK_STREAM as usize, 0, pair.as_mut_ptr() as usize];
    add("make a socket pair", plain(libc::SYS_socketpair, &arguments));
}

fn sockets_in_use(target: &Target, add: Add<'_>) {
    let state = target.state.clone().unwrap_or_else(|| "/run".into());
    let operator = unix_address(state.join("operator").as_os_str().as_bytes());
    let socket = call(libc::SYS_socket, &[libc::AF_UNIX as usize, libc::SOCK_SEQPACKET as usize, 0]);
    let connected =
        socket.and_then(|socket| plain(libc::SYS_connect, &[socket, operator.as_ptr() as usize, operator.len()]));
    add("connect to the operator socket", connected);

    let Some(door) = &target.door else { return };
    let door = door.as_raw_fd() as usize;
    add("connect its door anew", plain(libc::SYS_connect, &[door, operator.as_ptr() as usize, operator.len()]));
    let abstract_name = unix_address(b"\0probe");
    add("bind its door", plain(libc::SYS_bind, &[door, abstract_name.as_ptr() as usize, abstract_name.len()]));
    add("listen at its door", plain(libc::SYS_listen, &[door, 1]));
    let byte = [0_u8];
    let to = [door, byte.as_ptr() as usize, 1, 0, operator.as_ptr() as usize, operator.len()];
    add("send to an address", plain(libc::SYS_sendto, &to));
    let out_of_band = [door, byte.as_ptr() as usize, 1, libc::MSG_OOB as usize, 0, 0];
    add("send out of band", plain(libc::SYS_sendto, &out_of_band));
    let mut part = [byte.as_ptr() as usize, 1];
    let mut header = [0_usize; 7];
    (header[2], header[3]) = (part.as_mut_ptr() as usize, 1);
    let message = [door, header.as_ptr() as usize, libc::MSG_OOB as usize];
    add("send a message out of band", plain(libc::SYS_sendmsg, &message));
    let many = [door, header.as_ptr() as usize, 1, libc::MSG_OOB as usize];
    add("send several messages", plain(libc::SYS_sendmmsg, &many));
    let value = 1_i32;
    let option = [door, libc::SOL_SOCKET as usize, libc::SO_PASSCRED as usize, (&raw const value) as usize, 4];
    add("set a socket's option", plain(libc::SYS_setsockopt, &option));
}

fn itself(target: &Target, add: Add<'_>) {
    add("signal the kernel", plain(libc::SYS_kill, &[target.parent as usize, 0]));
    add("signal itself by kill", plain(libc::SYS_kill, &[std::process::id() as usize, 0]));
    add("open its parent", plain(libc::SYS_pidfd_open, &[target.parent as usize, 0]));
    add("fork", call_that_forks(libc::SYS_clone, &[libc::SIGCHLD as usize]));
    add("be dumpable", plain(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, 1]));
    add("watch names", plain(libc::SYS_inotify_init1, &[0]));
    add("confine itself again by Landlock", plain(libc::SYS_landlock_create_ruleset, &[0, 0, 1]));
}

fn processes(target: &Target, add: Add<'_>) {
    let parent = target.parent as usize;
    let mut buffer = [0_u8; 16];
    let own = [buffer.as_mut_ptr() as usize, buffer.len()];
    let (own, length) = (own.as_ptr() as usize, buffer.len());
    let theirs = [0x1000_usize, length];
    let theirs = theirs.as_ptr() as usize;
    add("attach to the kernel", plain(libc::SYS_ptrace, &[libc::PTRACE_ATTACH as usize, parent]));
    add("seize the kernel", plain(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, parent]));
    add("read the kernel's memory", plain(libc::SYS_process_vm_readv, &[parent, own, 1, theirs, 1]));
    add("write the kernel's memory", plain(libc::SYS_process_vm_writev, &[parent, own, 1, theirs, 1]));
    let pidfd = call(libc::SYS_pidfd_open, &[parent, 0]);
    add("open a descriptor of the kernel", pidfd.map(drop));
    let stolen = pidfd.and_then(|pidfd| plain(libc::SYS_pidfd_getfd, &[pidfd, 0, 0]));
    add("take the kernel's descriptors", stolen);
    add("take descriptors through any descriptor", plain(libc::SYS_pidfd_getfd, &[0, 0, 0]));
    add("signal everybody", plain(libc::SYS_kill, &[usize::MAX, 0]));
    add("signal a thread of the kernel", plain(libc::SYS_tgkill, &[parent, parent, 0]));
    add("signal by thread alone", plain(libc::SYS_tkill, &[parent, 0]));
    let information = [0_u8; 128];
    let queued = [parent, libc::SIGUSR1 as usize, information.as_ptr() as usize];
    add("queue a signal", plain(libc::SYS_rt_sigqueueinfo, &queued));
    add("signal through a descriptor", plain(libc::SYS_pidfd_send_signal, &[0, 0, 0, 0]));
    let limit = [1_u64, 1];
    let number = libc::RLIMIT_NOFILE as usize;
    add("limit the kernel", plain(libc::SYS_prlimit64, &[parent, number, limit.as_ptr() as usize, 0]));
    add("read the kernel's limits", plain(libc::SYS_prlimit64, &[parent, number, 0, buffer.as_mut_ptr() as usize]));
    add("own a descriptor's signals", plain(libc::SYS_fcntl, &[0, libc::F_SETOWN as usize, parent]));
    let owner = [0_i32, parent as i32];
    let owner = owner.as_ptr() as usize;
    add("own a descriptor's signals as a thread", plain(libc::SYS_fcntl, &[0, F_SETOWN_EX, owner]));
    add("choose a descriptor's signal", plain(libc::SYS_fcntl, &[0, F_SETSIG, libc::SIGUSR1 as usize]));
    let part = [own, 0];
    let (no_append, end) = (0x20, usize::MAX);
    let arguments = [0, part.as_ptr() as usize, 1, end, end, no_append];
    add("write elsewhere than at the end", plain(libc::SYS_pwritev2, &arguments));
    add(
        "fork into a user namespace",
        call_that_forks(libc::SYS_clone, &[(libc::SIGCHLD | libc::CLONE_NEWUSER) as usize]),
    );
    let arguments = [0_u64; 11];
    let new = [arguments.as_ptr() as usize, size_of_val(&arguments)];
    add("fork by clone3", call_that_forks(libc::SYS_clone3, &new));
    let program = c"/bin/true".as_ptr() as usize;
    // Without arguments it fails where it would succeed: it must not replace this process in the unconfined run.
    add("execute a program", plain(libc::SYS_execve, &[program, 1, 0]));
    add(
        "execute by descriptor",
        plain(libc::SYS_execveat, &[0, c"".as_ptr() as usize, 1, 0, libc::AT_EMPTY_PATH as usize]),
    );
    add("compare with the kernel", plain(libc::SYS_kcmp, &[parent, parent, 0, 0, 0]));
    add("change its priority", plain(libc::SYS_setpriority, &[0, 0, 1]));
    add("outlive its parent", plain(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as usize, 0]));
    add("become another user", plain(libc::SYS_setuid, &[0]));
    add("change its capabilities", plain(libc::SYS_capset, &[0, 0]));
}

fn system(add: Add<'_>) {
    let zeros = [0_u8; 256];
    let zeros = zeros.as_ptr() as usize;
    let root = c"/".as_ptr() as usize;
    let tmpfs = c"tmpfs".as_ptr() as usize;
    let calls: &[(&str, libc::c_long, &[usize])] = &[
        ("set up io_uring", libc::SYS_io_uring_setup, &[1, zeros]),
        ("enter io_uring", libc::SYS_io_uring_enter, &[0, 0, 0, 0]),
        ("mount", libc::SYS_mount, &[tmpfs, root, tmpfs, 0, 0]),
        ("unmount", libc::SYS_umount2, &[root, libc::MNT_DETACH as usize]),
        ("open a file system", libc::SYS_fsopen, &[tmpfs, 0]),
        ("open a tree of mounts", libc::SYS_open_tree, &[0, zeros, libc::AT_EMPTY_PATH as usize]),
        ("move a mount", libc::SYS_move_mount, &[0, zeros, 0, zeros, 0]),
        ("turn the root", libc::SYS_pivot_root, &[root, root]),
        ("change the root", libc::SYS_chroot, &[root]),
        ("leave its user namespace", libc::SYS_unshare, &[libc::CLONE_NEWUSER as usize]),
        ("leave its mount namespace", libc::SYS_unshare, &[libc::CLONE_NEWNS as usize]),
        ("enter a namespace", libc::SYS_setns, &[0, 0]),
        ("load a program into the system", libc::SYS_bpf, &[0, zeros, 128]),
        ("observe the system", libc::SYS_perf_event_open, &[zeros, 0, 0, usize::MAX, 0]),
        ("use keyrings", libc::SYS_keyctl, &[0, 0, 1]),
        ("add a key", libc::SYS_add_key, &[zeros, zeros, 0, 0, 0]),
        ("handle its own page faults", libc::SYS_userfaultfd, &[0]),
        ("open by handle", libc::SYS_open_by_handle_at, &[0, zeros, 0]),
        ("load a module", libc::SYS_init_module, &[zeros, 0, zeros]),
        ("restart the machine", libc::SYS_reboot, &[0, 0, 0]),
        ("set the time", libc::SYS_clock_settime, &[0, 0]),
        ("name the machine", libc::SYS_sethostname, &[0, 1]),
        ("watch everything", libc::SYS_fanotify_init, &[0, 0]),
        ("share memory by key", libc::SYS_shmget, &[0, 4096, 0o1600]),
        ("queue messages by key", libc::SYS_msgget, &[0, 0o1600]),
        ("make a named pipe", libc::SYS_mknodat, &[libc::AT_FDCWD as usize, c"probe-pipe".as_ptr() as usize, 0o10600]),
        ("read the system's log", libc::SYS_syslog, &[10, 0, 0]),
        ("type into a terminal", libc::SYS_ioctl, &[0, libc::TIOCSTI as usize, zeros]),
        ("change its kind of machine", libc::SYS_personality, &[0x0004_0000]),
        ("change its filter", libc::SYS_seccomp, &[0, 0, 0]),
    ];
    for (name, number, arguments) in calls {
        add(name, plain(*number, arguments));
    }
}

fn files(target: &Target, add: Add<'_>) {
    let state = target.state.clone().unwrap_or_else(|| "/run".into());
    let mut paths = vec![
        "/etc/passwd".to_owned(),
        "/proc/self/mem".to_owned(),
        "/proc/self/maps".to_owned(),
        format!("/proc/{}/mem", target.parent),
        format!("/proc/{}/environ", target.parent),
        "/dev/null".to_owned(),
        "/dev/kmsg".to_owned(),
        "/sys/kernel".to_owned(),
        "/tmp".to_owned(),
        state.join("lock").to_string_lossy().into_owned(),
        state.join("kernel.log").to_string_lossy().into_owned(),
        state.join("powerbox").to_string_lossy().into_owned(),
    ];
    for up in 1..8 {
        paths.push(format!("{}etc/passwd", "../".repeat(up)));
        paths.push(format!("{}kernel.log", "../".repeat(up)));
    }
    for path in paths {
        for (from, place) in places(target) {
            let opened = openat(place, &path, libc::O_RDONLY | libc::O_NONBLOCK);
            add(&format!("open {path}{from}"), opened);
        }
    }
    if matches!(target.profile, Profile::Sandbox | Profile::Compile) {
        for path in [c"/", c".", c".."] {
            let opened = plain(libc::SYS_openat, &[libc::AT_FDCWD as usize, path.as_ptr() as usize, 0, 0]);
            add(&format!("open {}", path.to_string_lossy()), opened);
        }
    }
}

/// The working folder, and the folder that was given.
fn places(target: &Target) -> [(&'static str, libc::c_int); 2] {
    let given = target.folder.as_ref().map_or(libc::AT_FDCWD, AsRawFd::as_raw_fd);
    [("", libc::AT_FDCWD), (" from its folder", given)]
}

fn openat(place: libc::c_int, path: &str, flags: libc::c_int) -> Outcome {
    let Ok(name) = CString::new(path) else { return Err(Errno::INVAL) };
    plain(libc::SYS_openat, &[place as usize, name.as_ptr() as usize, flags as usize, 0o600])
}

fn writing(target: &Target, add: Add<'_>) {
    let state = target.state.clone().unwrap_or_else(|| "/run".into());
    let lock = state.join("lock").to_string_lossy().into_owned();
    for path in ["/etc/passwd", "/probe/made", "../../made-by-probe/x", lock.as_str()] {
        for (from, place) in places(target) {
            add(&format!("write {path}{from}"), openat(place, path, libc::O_WRONLY | libc::O_CREAT));
        }
    }
}

/// They stay: whoever tries this ends soon.
fn threads(count: usize) -> Outcome {
    let start = |_| std::thread::Builder::new().stack_size(1 << 16).spawn(std::thread::park).map(drop);
    (0..count).try_for_each(start).map_err(|_| Errno::PERM)
}

fn memory(target: &Target, add: Add<'_>) {
    add("have memory that is writable and executable", executable_memory(true));
    if target.profile != Profile::Sandbox {
        add("have executable memory", executable_memory(false));
    }
    let kinds = [
        ("share memory", libc::MAP_SHARED),
        ("have memory that is counted as a stack", libc::MAP_PRIVATE | libc::MAP_GROWSDOWN),
    ];
    for (name, kind) in kinds {
        for (how, protection) in [("", libc::PROT_READ | libc::PROT_WRITE), (", at first to read", libc::PROT_READ)] {
            let arguments = [0, 4096, protection as usize, (kind | libc::MAP_ANONYMOUS) as usize, usize::MAX, 0];
            add(&format!("{name}{how}"), plain(libc::SYS_mmap, &arguments));
        }
    }
    if target.profile != Profile::Powerbox {
        add("have a memory file", plain(libc::SYS_memfd_create, &[c"probe".as_ptr() as usize, 0]));
    }
}

/// More than what a process of a test may have in all.
pub(crate) const HOARD_MIB: usize = 640;

/// Fills memory and makes it unwritable again, a little at a time.
pub(crate) fn hoard() -> Outcome {
    const PART_BYTES: usize = 16 << 20;
    for _ in 0..(HOARD_MIB << 20) / PART_BYTES {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE);
        let place = call(libc::SYS_mmap, &[0, PART_BYTES, protection as usize, flags as usize, usize::MAX, 0])?;
        plain(libc::SYS_mprotect, &[place, PART_BYTES, libc::PROT_READ as usize])?;
    }
    Ok(())
}

/// Larger than what any process of a test may write; it takes no room where it can be made.
const LARGE_FILE_BYTES: usize = 1 << 30;

fn descriptors(target: &Target, add: Add<'_>) {
    // One of its own: others share their flags with somebody else.
    let event = call(libc::SYS_eventfd2, &[0, 0]);
    let changed = event.and_then(|event| plain(libc::SYS_fcntl, &[event, libc::F_SETFL as usize, 0]));
    add("change what a descriptor is open for", changed);
    if let Some(file) = &target.file {
        let file = file.as_raw_fd() as usize;
        add("make a large file", plain(libc::SYS_ftruncate, &[file, LARGE_FILE_BYTES]));
    }
}
