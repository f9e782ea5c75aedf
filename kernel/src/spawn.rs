//! Starting a process: a fixed table of images, its namespaces, its user, its limits, and nothing but a door.

use crate::kernel::Plan;
use crate::sys;
use libc::c_int;
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};
use schema::kernel_capnp::Image;
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Every image with its file's name, in the order of the schema. Each confines itself by its own profile.
const IMAGES: [&CStr; 4] = [c"latch-powerbox", c"latch-folder", c"latch-sandbox", c"latch-compile"];
/// Descriptors of a process, by image: a socket for each link of a server, a few links and files for the others.
const DESCRIPTORS: [u64; 4] = [16_384, 16_384, 1_024, 64];
/// Threads of a process, by image, where hostile input runs: a few, and one a processor. Other images share their user with
/// a person, whose processes would count.
const THREADS: [u64; 4] = [0, 0, 256, 256];
/// Namespaces without anything in them. As root the kernel moves into such ones itself, once, and its processes are born
/// there: a network namespace for each would be most of the time that a start takes.
const EMPTY: c_int = libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
/// What a child keeps until it has confined itself: to change its root.
const KEPT: [CapabilitySet; 2] = [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_CHROOT];
/// The exit code of a child that could not become its image; why is in the kernel's log.
const NOT_STARTED: c_int = 127;

/// What this machine allows the kernel to do for its processes.
pub(crate) struct Machine {
    pub root: bool, // distinct users are possible
    namespaces: c_int,
    pub missing: Vec<String>, // for people
    images: [Option<OwnedFd>; 4],
    kernel: Option<Pid>,
    null: OwnedFd,
    log: File,
}

impl Machine {
    /// Opens the images, once: a path that is swapped later changes nothing. Finds out by trying what else is possible.
    pub(crate) fn examine(log: File, libexec: &Path) -> io::Result<Machine> {
        let root = rustix::process::geteuid().is_root();
        // For others than root a user namespace, one for each process, is what allows all others.
        let wanted = match root {
            true if sys::unshare(EMPTY).is_ok() => libc::CLONE_NEWNS,
            true => libc::CLONE_NEWNS | EMPTY,
            false => libc::CLONE_NEWNS | EMPTY | libc::CLONE_NEWUSER,
        };
        let namespaces = match sys::clone(wanted) {
            Ok(None) => sys::exit(0),
            Ok(Some((_, pidfd))) => reap(&pidfd).map(|_| wanted)?,
            Err(_) => 0,
        };
        let lacks = [(!root, "users of their own for processes"), (namespaces == 0, "namespaces for processes")];
        let mut missing: Vec<String> = lacks.iter().filter(|it| it.0).map(|it| it.1.to_owned()).collect();
        let mut images = [const { None }; 4];
        for (image, name) in images.iter_mut().zip(IMAGES) {
            let name = name.to_string_lossy();
            match File::open(libexec.join(&*name)) {
                Ok(file) => *image = Some(sys::lift(file)?),
                Err(error) if error.kind() == ErrorKind::NotFound => missing.push(format!("the image {name}")),
                Err(error) => return Err(error),
            }
        }
        let null = sys::lift(File::options().read(true).write(true).open("/dev/null")?)?;
        let (log, kernel) = (sys::lift(log)?.into(), Some(rustix::process::getpid()));
        Ok(Machine { root, namespaces, missing, images, kernel, null, log })
    }

    pub(crate) fn has(&self, image: Image) -> bool {
        self.images[image as usize].is_some()
    }

    /// Writes a line to the kernel's log. A full disk must not stop the node.
    pub(crate) fn say(&self, line: &str) {
        let _ = (&self.log).write_all(format!("{line}\n").as_bytes());
    }

    /// Starts a process with its door, and the control channel if it has one. Returns its pid and what tells of its end.
    pub(crate) fn start(&self, plan: &Plan, given: &[OwnedFd]) -> io::Result<(u32, OwnedFd)> {
        let (released, release) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let Some((pid, pidfd)) = sys::clone(self.namespaces)? else {
            drop(release);
            if rustix::io::read(&released, &mut [0]) == Ok(1) {
                let Err(error) = self.become_image(plan, given);
                self.say(&format!("{:?} could not be started: {error}", IMAGES[plan.image as usize]));
            }
            sys::exit(NOT_STARTED)
        };
        let mapped = if self.namespaces & libc::CLONE_NEWUSER == 0 { Ok(()) } else { map_identity(pid) };
        if let Err(error) = mapped.and_then(|()| Ok(rustix::io::write(&release, &[1])?)) {
            // The child reads the end of the pipe, and exits.
            drop(release);
            reap(&pidfd)?;
            return Err(error);
        }
        Ok((pid, pidfd))
    }

    /// In the child.
    fn become_image(&self, plan: &Plan, given: &[OwnedFd]) -> io::Result<Infallible> {
        let index = plan.image as usize;
        let output = if plan.output { self.log.as_fd() } else { self.null.as_fd() };
        let standard = [self.null.as_fd(), output, output].into_iter();
        sys::give(&standard.chain(given.iter().map(AsFd::as_fd)).map(sys::lift).collect::<io::Result<Vec<_>>>()?)?;

        let limit = |value: u64| (value > 0).then_some(value);
        // Raising the hard limit takes a capability that the child need not have: never more than the kernel's own.
        let own = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let wanted = limit(plan.descriptors.into()).unwrap_or(DESCRIPTORS[index]);
        // Memory that it can write to, not address space: what is only reserved costs nothing.
        let (memory, time) = ((Resource::Data, limit(plan.memory_bytes)), (Resource::Cpu, limit(plan.cpu_seconds)));
        let alone = self.root || self.namespaces != 0;
        let threads = (Resource::Nproc, limit(THREADS[index]).filter(|_| alone));
        let files = (Resource::Nofile, Some(own.min(wanted)));
        for (resource, limit) in [(Resource::Core, Some(0)), files, memory, time, threads] {
            if limit.is_some() {
                rustix::process::setrlimit(resource, Rlimit { current: limit, maximum: limit })?;
            }
        }
        // Fails only where it leads a session already.
        let _ = rustix::process::setsid();
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        rustix::process::chdir("/")?;
        if self.namespaces != 0 {
            keep_capabilities(self.root.then_some(plan.identity))?;
        }
        rustix::thread::set_no_new_privs(true)?;
        // Only now: a change of user clears it. If the kernel is gone by now, nothing would end this process.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() != self.kernel {
            return Err(io::Error::other("the kernel is gone"));
        }
        let image = self.images[index].as_ref().ok_or(ErrorKind::NotFound)?;
        Err(sys::execute(image, IMAGES[index]))
    }
}

/// Takes the identity and drops every capability but [`KEPT`], which pass through exec as ambient ones.
fn keep_capabilities(identity: Option<(u32, u32)>) -> rustix::io::Result<()> {
    use rustix::thread::{self, Gid, Uid};
    let (own, kept) = (thread::capabilities(None)?, KEPT.into_iter().collect());
    // Inheritable may only grow by what is still in the bounding set, so it comes first.
    thread::set_capabilities(None, CapabilitySets { inheritable: kept, ..own })?;
    thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    let every = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    // The first that fails is one that this system does not know.
    every.take_while(|one| thread::remove_capability_from_bounding_set(*one).is_ok()).for_each(drop);
    if let Some((user, group)) = identity {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        thread::set_keep_capabilities(true)?;
        thread::set_thread_groups(&[])?;
        thread::set_thread_res_gid(group, group, group)?;
        thread::set_thread_res_uid(user, user, user)?;
    }
    thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    KEPT.iter().try_for_each(|one| thread::configure_capability_in_ambient_set(*one, true))
}

/// Waits for the end of a child: its exit code, or minus the number of the signal that ended it.
pub(crate) fn reap(pidfd: &OwnedFd) -> io::Result<i32> {
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    let code = status.and_then(|status| status.exit_status().or(status.terminating_signal().map(|signal| -signal)));
    Ok(code.unwrap_or(NOT_STARTED))
}

/// In a user namespace of its own, the child stays who it is and there is nobody else.
fn map_identity(pid: u32) -> io::Result<()> {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    std::fs::write(format!("/proc/{pid}/uid_map"), format!("{user} {user} 1"))?;
    std::fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
    std::fs::write(format!("/proc/{pid}/gid_map"), format!("{group} {group} 1"))
}
