//! Confinement: what a process takes from itself in `main`, before it has threads, and never gets back.
//!
//! Four layers, each of which stands without the others:
//! - **empty root**: its root directory is the one folder it was given, or an empty read-only file system;
//! - **no capabilities**: none now, none ever (`no_new_privs`, an empty bounding set from the kernel);
//! - **Landlock**: every right that the machine's Landlock knows is taken away, except beneath the one folder; and its scopes;
//! - **seccomp**: a list of the system calls that the profile needs. Every other one fails with EPERM, so that a
//!   library that only probes goes on without, and a test can tell a refusal from a crash.
//!
//! A machine may lack Landlock, or refuse the namespaces that an empty root needs. What is missing is listed in the
//! [`Confinement`] that the process reports; whether it is fatal is decided by [`enter`], not by its caller.

mod filter;
mod landlock;
mod root;

use std::os::fd::BorrowedFd;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::door::Confinement;
use crate::words::Rights;

/// What a process is, and therefore which system calls it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Its own state folder, threads; it passes descriptors to the kernel.
    Powerbox,
    /// One host folder, threads.
    Folder,
    /// No file system at all; may map machine code.
    Sandbox,
    /// No file system at all; reads one descriptor and writes another.
    Compile,
    /// Its own state folder, threads.
    Keys,
    /// Its own state folder, threads.
    Storage,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 6] =
        [Profile::Powerbox, Profile::Folder, Profile::Sandbox, Profile::Compile, Profile::Keys, Profile::Storage];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Powerbox => "powerbox",
            Profile::Folder => "folder",
            Profile::Sandbox => "sandbox",
            Profile::Compile => "compile",
            Profile::Keys => "keys",
            Profile::Storage => "storage",
        }
    }

    /// The profile with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// What a process keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allow<'a> {
    /// The one folder that it may go on using, with what it may do there. It becomes the root and the working
    /// directory, so that absolute and relative paths alike lead into it; where the machine cannot change the root, it
    /// is the working directory only.
    pub folder: Option<(BorrowedFd<'a>, Rights)>,
    /// Go on without a required layer: an operator allowed a node with less confinement.
    pub reduced: bool,
}

/// Why a process could not confine itself. It must exit: nothing hostile has reached it yet.
#[derive(Debug)]
pub enum ConfineError {
    /// It has threads already, which would stay outside. A fault of the program.
    Threads,
    /// A step failed that every machine can do.
    Step(&'static str, std::io::Error),
    /// Landlock exists and refused the rules.
    Landlock(String),
    /// The machine has no seccomp, or refused the filter.
    Seccomp(String),
    /// The machine lacks layers without which this process must not run; `--reduced` allows that, except for uid 0.
    Missing(Vec<String>),
}

impl std::fmt::Display for ConfineError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConfineError::Threads => formatter.write_str("cannot confine a process that has threads already"),
            ConfineError::Step(step, error) => write!(formatter, "cannot confine this process: {step}: {error}"),
            ConfineError::Landlock(why) => write!(formatter, "cannot confine this process: Landlock: {why}"),
            ConfineError::Seccomp(why) => write!(formatter, "cannot confine this process: seccomp: {why}"),
            ConfineError::Missing(layers) => write!(
                formatter,
                "this machine offers no {}, and without it this process is not confined enough",
                layers.join(" and no ")
            ),
        }
    }
}

impl std::error::Error for ConfineError {}

/// Names a step for the error that it may end in.
trait Named<T> {
    fn named(self, step: &'static str) -> Result<T, ConfineError>;
}

impl<T> Named<T> for rustix::io::Result<T> {
    fn named(self, step: &'static str) -> Result<T, ConfineError> {
        self.map_err(|errno| ConfineError::Step(step, errno.into()))
    }
}

/// Confines this process for good. Call it with one thread, and start others afterwards only.
///
/// seccomp is always required. Of Landlock and an empty root one is required, unless `reduced`; both, whatever was
/// allowed, where the process runs as uid 0: without capabilities it still owns most files.
pub fn enter(profile: Profile, allow: Allow<'_>) -> Result<Confinement, ConfineError> {
    refuse_threads()?;
    warm_up();
    let mut report = Confinement { profile: profile.name().to_owned(), ..Confinement::default() };

    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).named("no core files")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).named("not dumpable")?;

    let folder = allow.folder.map(|(folder, _)| folder);
    let rooted = root::change(folder).named("working directory")?;
    note(&mut report, rooted, "empty root");
    drop_capabilities()?;
    report.applied.push("no capabilities".to_owned());

    let fenced = landlock::apply(allow.folder, &mut report)?;
    let superuser = rustix::process::geteuid().is_root();
    if (superuser && !(fenced && rooted)) || !(fenced || rooted || allow.reduced) {
        return Err(ConfineError::Missing(report.missing));
    }

    filter::apply(profile)?;
    report.applied.push("seccomp".to_owned());
    Ok(report)
}

/// Writes a layer down as there or missing.
fn note(report: &mut Confinement, applied: bool, layer: &str) {
    if applied { &mut report.applied } else { &mut report.missing }.push(layer.to_owned());
}

/// Landlock restricts the calling thread: another one would stay outside. Where the count cannot be read, no thread
/// can have been seen, and seccomp's own synchronisation still covers them.
fn refuse_threads() -> Result<(), ConfineError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 { Err(ConfineError::Threads) } else { Ok(()) }
}

/// tokio's first runtime makes a socket pair for signals, once for the life of the process. No profile may make a
/// socket, so that is done now.
fn warm_up() {
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build());
}

/// The ambient set first: what is in it would come back with the next exec.
fn drop_capabilities() -> Result<(), ConfineError> {
    rustix::thread::set_no_new_privs(true).named("no new privileges")?;
    rustix::thread::clear_ambient_capability_set().named("ambient capabilities")?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).named("no capabilities")
}
