//! Starting a process: a fixed table of images, its namespaces, its user, its limits, and nothing but a door.

use crate::cgroup::Cgroups;
use crate::folders::{Served, group_of};
use crate::prelude::*;
use crate::state::{LOG, LOG_LIMIT_BYTES, OLDER_LOG, own_file};
use rustix::process::{Resource, Rlimit, Signal, WaitId, WaitIdOptions};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets, Gid, Uid};
use std::ffi::{CStr, OsString};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use vat::door::FromVat;

/// Every image with its file's name, in the order of the schema. Each confines itself by its own profile.
const IMAGES: [&CStr; 6] =
    [c"latch-powerbox", c"latch-folder", c"latch-sandbox", c"latch-compile", c"latch-keys", c"latch-storage"];
/// Descriptors of a process, by image: a socket for each link of a server, a few links and files for the others.
const DESCRIPTORS: [u64; 6] = [16_384, 16_384, 1_024, 64, 1_024, 16_384];
/// Threads of a process, by image: tokio's 512 that may wait for the disk, for each of the runtimes, of which the powerbox
/// has three, and its own; where hostile input runs a few, and one a processor.
const THREADS: [u64; 6] = [2_048, 1_024, 256, 256, 1_024, 1_024];
/// Images where hostile input runs: they write files only as large as they are told, and where memory runs out they go first.
const HOSTILE: [bool; 6] = [false, false, true, true, false, false];
/// Exit code of a process that could not become its image, as shells have it.
pub(crate) const NOT_BEGUN: i32 = 126;
/// What makes the system end a process before every other one.
const FIRST_TO_GO: &str = "1000";
/// Namespaces without anything in them. As root the kernel moves into such ones itself, once, and its processes are born
/// there: a network namespace for each would be most of the time that a start takes.
const EMPTY: i32 = libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
/// Namespaces that each process has of its own: its mounts, and its cgroup as the root of all.
const OWN: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP;
/// What a child keeps until it has confined itself: to change its root.
const KEPT: [CapabilitySet; 2] = [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_CHROOT];

/// What this machine allows the kernel to do for its processes.
pub(crate) struct Machine {
    pub root: bool, // distinct users are possible
    namespaces: i32,
    pub missing: Vec<String>, // for people
    images: [Option<File>; 6],
    pub tpm: Option<(vat::door::Resource, Rc<OwnedFd>)>, // for the keys, which no process could open
    log: File,
    pub cgroups: Result<Cgroups, String>, // or, for people, why there are none
}

impl Machine {
    /// Opens the images, once: a path that is swapped later changes nothing.
    pub(crate) fn examine(log: File, libexec: &Path, tpm: Option<OsString>) -> io::Result<Machine> {
        let (root, mut images) = (rustix::process::geteuid().is_root(), [const { None }; 6]);
        let mut missing = if root { vec![] } else { vec!["users of their own for processes".to_owned()] };
        let namespaces = match root {
            true if sys::unshare(EMPTY).is_ok() => OWN,
            true => OWN | EMPTY,
            // A user namespace, one for each process, is what allows all others.
            false => OWN | EMPTY | libc::CLONE_NEWUSER,
        };
        for (image, name) in images.iter_mut().zip(IMAGES.map(CStr::to_string_lossy)) {
            match File::open(libexec.join(&*name)) {
                Ok(file) => *image = Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => missing.push(format!("the image {name}")),
                Err(error) => return Err(error),
            }
        }
        // A path of a socket leads to what speaks for a TPM.
        let device = |path: &OsString| File::options().read(true).write(true).open(path).map(OwnedFd::from);
        let open = |path: OsString| UnixStream::connect(&path).map(OwnedFd::from).or_else(|_| device(&path));
        let named = |tpm| (vat::door::Resource::new(ResourceKind::File, "tpm"), Rc::new(tpm));
        let tpm = tpm.map(open).transpose()?.map(named);
        Ok(Machine { root, namespaces, missing, images, tpm, log, cgroups: Cgroups::take() })
    }

    pub(crate) fn has(&self, image: Image) -> bool {
        self.images[image as usize].is_some()
    }

    /// Writes a line to the kernel's log. Words of processes are in it: whatever could begin another line or steer a
    /// terminal is spelled out. A full disk must not stop the node.
    pub(crate) fn say(&self, line: &str) {
        let shown =
            |one: char| if ['\'', '"'].contains(&one) { one.to_string() } else { one.escape_debug().to_string() };
        let _ = (&self.log).write_all(format!("{}\n", line.chars().map(shown).collect::<String>()).as_bytes());
    }

    /// Keeps the log small. It is emptied and not replaced, for the powerbox writes to it as well. However much was
    /// written, only the newest is kept: everyone waits meanwhile.
    pub(crate) fn trim_log(&self) {
        let length = self.log.metadata().map_or(0, |log| log.len());
        if length > LOG_LIMIT_BYTES {
            // A full disk loses what was said and keeps its room.
            let _ = keep_newest(length);
            let _ = self.log.set_len(0);
        }
    }

    /// Starts a process with its door, and the control channel if it has one. Returns its pid and what tells of its end.
    /// `ours` is the kernel's end of that door.
    pub(crate) fn start(&self, id: u64, plan: &Plan, given: &[OwnedFd], ours: &OwnedFd) -> io::Result<(u32, OwnedFd)> {
        let (index, root, namespaces, identity) = (plan.image as usize, self.root, self.namespaces, plan.identity);
        let image = self.images[index].as_ref().ok_or(ErrorKind::NotFound)?.as_raw_fd();
        // None of these is 3 or 4: those are the lock and the log, or were there before the kernel opened anything.
        let (door, given): (_, Vec<RawFd>) = (&given[0], given.iter().map(AsRawFd::as_raw_fd).collect());
        // Raising a hard limit takes a capability that the child need not have: never more than the kernel's own.
        let own = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let files = DESCRIPTORS[index].min(own);
        // Memory that it can write to, not address space: what is only reserved costs nothing.
        let (memory, time) = ((Resource::Data, plan.memory_bytes), (Resource::Cpu, plan.cpu_seconds));
        // Other images may share their user with a person, whose processes would count.
        let threads = if HOSTILE[index] { THREADS[index] } else { 0 };
        let limits = [(Resource::Nofile, files), memory, time, (Resource::Nproc, threads)];
        let largest_file = HOSTILE[index].then_some(plan.file_bytes);
        let (kernel, served) = (Some(rustix::process::getpid()), Served::of(plan, ours)?);
        let cgroup = self.cgroups.as_ref().ok().map(|all| all.make(id, plan, THREADS[index])).transpose()?;
        let become_image = move || {
            sys::give(&given)?;
            // Here for the time that it takes to find a folder, and below because a change of user clears it.
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            let private = sys::unshare(namespaces).is_ok();
            if private && !root {
                map_identity(identity)?;
            }
            let set = |which, value| rustix::process::setrlimit(which, Rlimit { current: value, maximum: value });
            limits.iter().filter(|(_, limit)| *limit > 0).try_for_each(|(which, limit)| set(*which, Some(*limit)))?;
            set(Resource::Core, Some(0))?;
            if largest_file.is_some() {
                set(Resource::Fsize, largest_file)?;
                // A machine that does not have it ends whom it likes.
                let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
            }
            // Fails only where it leads a session already.
            let _ = rustix::process::setsid();
            rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
            rustix::process::chdir("/")?;
            // A folder of a person's is found with that person's rights, one of the superuser's becomes its owner's.
            let as_owner = root && identity.0 == 0;
            let owner = served.as_ref().filter(|_| as_owner).map(Served::find).transpose()?.filter(|owner| *owner != 0);
            let identity = owner.map_or(identity, |owner| (owner, group_of(owner)));
            if root || private {
                take_identity(root.then_some(identity), KEPT.into_iter().filter(|_| private).collect())?;
            }
            rustix::thread::set_no_new_privs(true)?;
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // If the kernel was gone before, nothing would end this process.
            if rustix::process::getppid() != kernel {
                return Err(io::Error::other("the kernel is gone"));
            }
            served.as_ref().filter(|_| !as_owner).map(Served::find).transpose()?;
            Err(sys::execute(image, IMAGES[index]))
        };
        // What takes hostile input gets no descriptor of the node's log: its last word goes through its door.
        let logs = plan.image == Image::Powerbox;
        let output = || if logs { self.log.try_clone().map(Stdio::from) } else { Ok(Stdio::null()) };
        let mut command = Command::new("latch");
        command.stdin(Stdio::null()).stdout(output()?).stderr(output()?);
        let forked = sys::fork(cgroup.as_ref().map(AsFd::as_fd));
        let Some(pid) = forked.inspect_err(|_| _ = self.cgroups.as_ref().map(|all| all.end(id)))? else {
            let why = sys::change(&mut command, become_image);
            // Its last word, by its door, is all that it can still say.
            let last = FromVat::Last(format!("it could not be started: {why}")).encode().unwrap_or_default();
            let _ = vat::socket::send(door, &last, &[]);
            std::process::exit(NOT_BEGUN)
        };
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        Ok((pid.as_raw_nonzero().get().unsigned_abs(), pidfd))
    }
}

/// Makes the end of a log of that length the older log.
fn keep_newest(length: u64) -> io::Result<u64> {
    let mut log = File::open(LOG)?;
    let mut older = own_file(OLDER_LOG)?;
    older.set_len(0)?;
    log.seek(SeekFrom::Start(length - LOG_LIMIT_BYTES))?;
    io::copy(&mut log.take(LOG_LIMIT_BYTES), &mut older)
}

/// Becomes that user, if any, and drops every capability but those, which pass through exec as ambient ones.
fn take_identity(identity: Option<(u32, u32)>, kept: CapabilitySet) -> rustix::io::Result<()> {
    use rustix::thread;
    // Inheritable may only grow by what is still in the bounding set, so it comes first.
    thread::set_capabilities(None, CapabilitySets { inheritable: kept, ..thread::capabilities(None)? })?;
    thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED)?;
    let every = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    // The first that fails is one that this system does not know.
    every.take_while(|one| thread::remove_capability_from_bounding_set(*one).is_ok()).for_each(drop);
    if let Some((user, group)) = identity.map(|(user, group)| (Uid::from_raw(user), Gid::from_raw(group))) {
        thread::set_keep_capabilities(true)?;
        thread::set_thread_groups(&[])?;
        thread::set_thread_res_gid(group, group, group)?;
        thread::set_thread_res_uid(user, user, user)?;
    }
    thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
    kept.iter().try_for_each(|one| thread::configure_capability_in_ambient_set(one, true))
}

/// In a user namespace of its own, the child stays who it is and there is nobody else.
fn map_identity((user, group): (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// Waits for the end of a child: its exit code, or minus the number of the signal that ended it.
pub(crate) fn reap(pidfd: &OwnedFd) -> Option<i32> {
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).ok()??;
    status.exit_status().or(status.terminating_signal().map(|signal| -signal))
}
