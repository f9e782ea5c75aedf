//! Where a node keeps its state, and which processes are its own.
//!
//! `--state DIR`, else `$LATCH_STATE`, else `$XDG_STATE_HOME/latch`, else `~/.local/state/latch`. One folder is one node.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};

use crate::cli;
use crate::failure::{Doing as _, Failure, Outcome};
use crate::text::escape;

/// How a command begins in words for people.
const COMMAND: &str = "latch ";
/// Commands that need no node.
const NODELESS: [&str; 2] = ["new", "build"];

/// Only its owner reads the state.
const STATE_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// One node's folder. Nothing in it need exist.
#[derive(Debug, Clone)]
pub(crate) struct State {
    path: PathBuf,
    /// Whether it was named on the command line, and so must be again.
    named: bool,
}

impl State {
    /// The folder that the person means.
    pub(crate) fn choose(option: Option<&Path>) -> Outcome<Self> {
        let path = pick(option, |name| std::env::var_os(name)).ok_or_else(|| {
            Failure::usage("there is no place for the node's state")
                .because("neither $LATCH_STATE nor $HOME is set")
                .next("latch --state DIR …")
        })?;
        let path = std::path::absolute(&path).doing(|| format!("cannot find {}", path.display()))?;
        Ok(Self { path, named: option.is_some() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The same words for people, with each command of latch in them made one for this node: where the person named it
    /// on the command line, they must again. Every text that may name a command goes through here once, when it is shown.
    pub(crate) fn told(&self, text: &str) -> String {
        if !self.named {
            return text.to_owned();
        }
        let named = format!("{COMMAND}--state {} ", escape::line(&escape::word(&self.path.to_string_lossy())));
        let mut told = String::with_capacity(text.len() + named.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(COMMAND) {
            told.push_str(before);
            let begins = told.chars().next_back().is_none_or(|last| last.is_whitespace() || "`(".contains(last));
            let word = after.split(|character: char| !character.is_ascii_lowercase()).next().unwrap_or_default();
            told.push_str(if begins && is_about_a_node(word) { &named } else { COMMAND });
            rest = after;
        }
        told + rest
    }

    /// The kernel's own log, with what its children said on standard error.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.path.join("kernel.log")
    }

    /// Held by the kernel while it runs.
    pub(crate) fn kernel_lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Held by the parent that starts the kernel again when it dies.
    pub(crate) fn supervisor_lock(&self) -> PathBuf {
        self.path.join("supervisor")
    }

    /// Makes the folder, for its owner only.
    pub(crate) fn prepare(&self) -> Outcome {
        let made = DirBuilder::new().recursive(true).mode(STATE_MODE).create(&self.path);
        let made = made.doing(|| format!("cannot make the node's folder {}", self.path.display()));
        made.map_err(|failure| failure.next("latch doctor, or use another place: latch --state DIR up"))
    }

    /// Opens the kernel's log to write at its end.
    pub(crate) fn open_log(&self) -> Outcome<File> {
        self.open_own(&self.log_file(), OFlags::APPEND)
    }

    /// Opens a file of the state, or makes it: only where the state is this user's own. In another's, names lead where
    /// that one likes, and not even the superuser follows them.
    fn open_own(&self, path: &Path, flags: OFlags) -> Outcome<File> {
        let what = || format!("cannot write {}", path.display());
        let next = |failure: Failure| failure.next("latch doctor, or use a state of your own: latch --state DIR up");
        let flags = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&self.path, folder, Mode::empty()).doing(what).map_err(next)?;
        let owner = rustix::fs::fstat(&folder).doing(what)?.st_uid;
        if owner != rustix::process::geteuid().as_raw() {
            let failure = Failure::new(format!("the state {} belongs to user {owner}", self.path.display()));
            return Err(failure.next("start it as that user, or use a state of your own: latch --state DIR up"));
        }
        let name = path.file_name().unwrap_or_default();
        let opened = rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(FILE_MODE));
        opened.map(File::from).doing(what).map_err(next)
    }

    /// What stands in the kernel's log from that byte on, at most its last 4 KiB.
    pub(crate) fn log_since(&self, start: u64) -> String {
        const SHOWN_MAX_BYTES: usize = 4096;
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        // A log that has grown too long is put aside when a kernel starts: then all of the new one counts.
        let new = log.get(usize::try_from(start).unwrap_or(usize::MAX)..).unwrap_or(&log);
        String::from_utf8_lossy(&new[new.len().saturating_sub(SHOWN_MAX_BYTES)..]).into_owned()
    }

    /// Takes the supervisor's lock for as long as the file is open; None where another holds it.
    pub(crate) fn lock_supervisor(&self) -> Outcome<Option<File>> {
        let path = self.supervisor_lock();
        let file = self.open_own(&path, OFlags::empty())?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Failure::new(format!("cannot lock {}", path.display())).because(error)),
        }
    }
}

/// [`State::told`], where the state may not even have been found.
pub(crate) fn told(state: &Outcome<State>, text: &str) -> String {
    state.as_ref().map_or_else(|_| text.to_owned(), |state| state.told(text))
}

fn is_about_a_node(command: &str) -> bool {
    !NODELESS.contains(&command) && cli::is_command(command)
}

fn pick(option: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    option
        .map(Path::to_owned)
        .or_else(|| set("LATCH_STATE"))
        .or_else(|| set("XDG_STATE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("latch")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/latch")))
}

/// A process that holds one of a state's locks: only such a process is ever signalled.
#[derive(Debug)]
pub(crate) struct Holder {
    /// For people.
    pub(crate) pid: u32,
    handle: rustix::fd::OwnedFd,
}

impl Holder {
    /// The process that holds the lock on this file of a state, if one does, and belongs to whom the state belongs to:
    /// others are not the node's, whatever the state's owner has made the name lead to.
    pub(crate) fn of(lock: &Path) -> io::Result<Option<Self>> {
        let file = match std::fs::metadata(lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let owner = std::fs::metadata(lock.parent().unwrap_or(lock))?.uid();
        let locks = std::fs::read_to_string("/proc/locks")?;
        for pid in lock_holders(&locks, file.ino()) {
            let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
            // First the handle, then the check: a number that is used again in between names another process.
            let Ok(handle) = rustix::process::pidfd_open(raw, PidfdFlags::empty()) else { continue };
            if belongs_to(pid, owner) && holds_open(pid, file.dev(), file.ino()) {
                return Ok(Some(Self { pid, handle }));
            }
        }
        Ok(None)
    }

    /// Sends it a signal; that it has ended already is no error.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let _ = rustix::process::pidfd_send_signal(&self.handle, signal);
    }

    /// Waits until it has ended, at most that long; whether it has.
    pub(crate) fn wait(&self, timeout: std::time::Duration) -> bool {
        wait_readable(&self.handle, timeout)
    }
}

/// Waits until a descriptor has something to read or has ended; whether it has.
pub(crate) fn wait_readable(descriptor: &impl rustix::fd::AsFd, timeout: std::time::Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let deadline = std::time::Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let Ok(left) = Timespec::try_from(left) else { return false };
        match poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&left)) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return true,
            Err(_) => return false,
        }
    }
}

/// The processes that hold a whole-file lock on that inode, by `/proc/locks`: `1: FLOCK ADVISORY WRITE 123 08:01:456 0 EOF`.
/// The device stands there as the kernel sees it, which on some file systems is not what `stat` says.
fn lock_holders(locks: &str, inode: u64) -> Vec<u32> {
    let holder = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words.as_slice() else { return None };
        let of_inode = place.rsplit(':').next()?.parse::<u64>().ok()?;
        (of_inode == inode).then(|| pid.parse().ok()).flatten()
    };
    locks.lines().filter_map(holder).collect()
}

/// Whether a process is this user's in every respect.
fn belongs_to(pid: u32, user: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut users = status.lines().filter_map(|line| line.strip_prefix("Uid:"));
    users.next().is_some_and(|users| users.split_whitespace().all(|id| id.parse() == Ok(user)))
}

fn holds_open(pid: u32, device: u64, inode: u64) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut files = descriptors.flatten().filter_map(|entry| std::fs::metadata(entry.path()).ok());
    files.any(|file| file.dev() == device && file.ino() == inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_is_named_counts() {
        let variables = |set: &'static [(&'static str, &'static str)]| {
            move |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let all = &[("LATCH_STATE", "/l"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(pick(Some(Path::new("/o")), variables(all)), Some("/o".into()));
        assert_eq!(pick(None, variables(all)), Some("/l".into()));
        assert_eq!(pick(None, variables(&[("LATCH_STATE", ""), ("XDG_STATE_HOME", "/x")])), Some("/x/latch".into()));
        assert_eq!(
            pick(None, variables(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")])),
            Some("/h/.local/state/latch".into())
        );
        assert_eq!(pick(None, variables(&[])), None);
    }

    #[test]
    fn who_named_the_state_is_told_commands_that_name_it() {
        let state = |named| State { path: "/srv/a b".into(), named };
        let text = "latch: no such thing\n  next: latch ps; `latch log -n 5` (latch revoke 9)\n  next: latch build DIR";
        assert_eq!(state(false).told(text), text);
        assert_eq!(
            state(true).told(text),
            "latch: no such thing\n  next: latch --state '/srv/a b' ps; `latch --state '/srv/a b' log -n 5` \
             (latch --state '/srv/a b' revoke 9)\n  next: latch build DIR"
        );
        // Neither what is no command, nor one that has it already.
        let other =
            "this latch does not know it; `latch --version`; latch --state DIR up; /opt/latch up; latch grantsx";
        assert_eq!(state(true).told(other), other);
        let steering = State { path: "/srv/a\u{1b}[2J".into(), named: true };
        assert_eq!(steering.told("latch up"), "latch --state '/srv/a\\x1b[2J' up");
    }

    #[test]
    fn holders_are_found_by_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 08:01:42 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 8 08:01:42 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 08:01:42 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 10 08:01:43 0 EOF\nnonsense\n";
        assert_eq!(lock_holders(locks, 42), vec![8]);
        assert!(lock_holders(locks, 44).is_empty());
    }

    #[test]
    fn this_process_holds_what_it_locked() {
        let folder = std::env::temp_dir().join(format!("latch-state-{}", std::process::id()));
        let state = State { path: folder.clone(), named: false };
        state.prepare().unwrap();
        assert!(Holder::of(&state.supervisor_lock()).unwrap().is_none());
        let lock = state.lock_supervisor().unwrap().unwrap();
        assert!(state.lock_supervisor().unwrap().is_none(), "a second holder");
        let holder = Holder::of(&state.supervisor_lock()).unwrap().unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(!holder.wait(std::time::Duration::ZERO));
        drop(lock);
        assert!(Holder::of(&state.supervisor_lock()).unwrap().is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
