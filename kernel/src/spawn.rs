//! Starting a process: its namespaces, its user, its limits, and nothing but a door.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use libc::c_int;
use schema::kernel_capnp::Image;

use crate::sys;

/// Namespaces of every process. A user namespace comes on top where the kernel is not root: it is what allows the others.
const NAMESPACES: c_int =
    libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
/// The exit code of a child that could not become its image; its reason is in the kernel's log.
const NOT_STARTED: c_int = 127;

/// Descriptors of a process beside its door, by default: for the powerbox a socket for each session and each operator,
/// for a service one for each link, for a sandbox its links and output.
const DESCRIPTORS_SERVING: u64 = 16_384;
const DESCRIPTORS_SANDBOX: u64 = 1_024;
const DESCRIPTORS_COMPILE: u64 = 64;

/// What this machine allows the kernel to do for its processes.
pub(crate) struct Machine {
    /// Distinct users are possible.
    pub root: bool,
    namespaces: c_int,
    /// The version of Landlock; 0: none.
    pub landlock: u32,
    kernel: u32,
    null: File,
    log: File,
}

/// Limits of one process; 0: the default of its image.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    pub descriptors: u32,
}

/// What a process is started with.
pub(crate) struct Birth<'a> {
    pub image: Image,
    pub file: (RawFd, &'static std::ffi::CStr),
    pub door: &'a OwnedFd,
    pub control: Option<&'a OwnedFd>,
    pub identity: (u32, u32),
    pub limits: Limits,
    pub output: bool,
}

impl Machine {
    /// Finds out, by trying.
    pub(crate) fn examine(log: File) -> io::Result<Machine> {
        let root = rustix::process::geteuid().is_root();
        let wanted = if root { NAMESPACES } else { NAMESPACES | libc::CLONE_NEWUSER };
        let namespaces = match sys::clone(wanted) {
            Ok(None) => sys::exit(0),
            Ok(Some((_, pidfd))) => {
                reap(&pidfd)?;
                wanted
            }
            Err(_) => 0,
        };
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let kernel = std::process::id();
        Ok(Machine { root, namespaces, landlock: sys::landlock_version(), kernel, null, log })
    }

    /// What this machine lacks, for people.
    pub(crate) fn missing(&self) -> Vec<String> {
        let lacks = [
            (!self.root, "user ids of their own for processes (the kernel does not run as root)"),
            (self.namespaces == 0, "namespaces for processes"),
            (self.landlock == 0, "Landlock"),
        ];
        lacks.iter().filter(|(lacking, _)| *lacking).map(|(_, what)| (*what).to_owned()).collect()
    }

    /// Whether processes have file system namespaces of their own.
    pub(crate) fn has_namespaces(&self) -> bool {
        self.namespaces != 0
    }

    /// Writes a line to the kernel's log.
    pub(crate) fn say(&self, line: &str) {
        // A full disk must not stop the node.
        let _ = (&self.log).write_all(format!("{line}\n").as_bytes());
    }

    /// Starts a process. Returns its pid and what tells of its end.
    pub(crate) fn start(&self, birth: &Birth<'_>) -> io::Result<(u32, OwnedFd)> {
        let (released, release) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        if let Some((pid, pidfd)) = sys::clone(self.namespaces)? {
            let mapped = if self.namespaces & libc::CLONE_NEWUSER == 0 { Ok(()) } else { map_identity(pid) };
            if let Err(error) = mapped.and_then(|()| Ok(rustix::io::write(&release, &[1]).map(drop)?)) {
                // The child reads the end of the pipe, and exits.
                drop(release);
                reap(&pidfd)?;
                return Err(error);
            }
            return Ok((pid, pidfd));
        }
        drop(release);
        if rustix::io::read(&released, &mut [0]) != Ok(1) {
            sys::exit(NOT_STARTED);
        }
        let (step, error) = self.become_image(birth);
        self.say(&format!("{} could not be started: {step}: {error}", birth.file.1.to_string_lossy()));
        sys::exit(NOT_STARTED)
    }

    /// In the child.
    fn become_image(&self, birth: &Birth<'_>) -> (&'static str, io::Error) {
        /// Clear of every number that the child is given.
        const CLEAR: RawFd = 16;
        let lifted = |descriptor: &dyn AsRawFdOf| rustix::io::fcntl_dupfd_cloexec(descriptor.fd(), CLEAR);
        let output: &dyn AsRawFdOf = if birth.output { &self.log } else { &self.null };
        let mut given: Vec<&dyn AsRawFdOf> = vec![&self.null, output, output, birth.door];
        given.extend(birth.control.map(|control| control as &dyn AsRawFdOf));
        let lifted: Vec<OwnedFd> = match given.into_iter().map(lifted).collect() {
            Ok(lifted) => lifted,
            Err(error) => return ("descriptors", rustix::io::Errno::into(error)),
        };
        let descriptors: Vec<RawFd> = lifted.iter().map(AsRawFd::as_raw_fd).collect();
        let mut limits = vec![
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_NOFILE, descriptors_limit(birth.image, birth.limits.descriptors)),
        ];
        if birth.limits.cpu_seconds > 0 {
            limits.push((libc::RLIMIT_CPU, birth.limits.cpu_seconds));
        }
        sys::become_image(&sys::Child {
            kernel: self.kernel,
            descriptors: &descriptors,
            image: birth.file.0,
            name: birth.file.1,
            identity: self.root.then_some(birth.identity),
            limits: &limits,
        })
    }
}

/// Waits for the end of a child: its exit code, or minus the number of the signal that ended it.
pub(crate) fn reap(pidfd: &OwnedFd) -> io::Result<i32> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    let code = status.and_then(|status| status.exit_status().or(status.terminating_signal().map(|signal| -signal)));
    Ok(code.unwrap_or(NOT_STARTED))
}

/// Files and owned descriptors alike.
trait AsRawFdOf {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_>;
}

impl<T: AsFd> AsRawFdOf for T {
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.as_fd()
    }
}

/// Never more than the kernel itself may have: raising a limit takes a capability that the child need not have.
fn descriptors_limit(image: Image, wanted: u32) -> u64 {
    let default = match image {
        Image::Powerbox | Image::Folder => DESCRIPTORS_SERVING,
        Image::Sandbox => DESCRIPTORS_SANDBOX,
        Image::Compile => DESCRIPTORS_COMPILE,
    };
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
    own.min(if wanted > 0 { wanted.into() } else { default })
}

/// In a user namespace of its own, the child stays who it is and there is nobody else.
fn map_identity(pid: u32) -> io::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    std::fs::write(format!("/proc/{pid}/uid_map"), format!("{user} {user} 1"))?;
    std::fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    std::fs::write(format!("/proc/{pid}/gid_map"), format!("{group} {group} 1"))
}
