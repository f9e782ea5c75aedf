//! The state folder: whose it is, who else is in it, and what lies there.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::begin::POWERBOX_UID;

/// Exit code where something is refused.
const REFUSED: u8 = 1;
/// Exit code where another kernel runs on this state.
const IN_USE: u8 = 3;
/// A log of this size is put aside when the kernel starts.
const LOG_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Why the kernel does not start: what, why, what next.
pub(crate) struct Refusal {
    pub text: String,
    pub code: u8,
}

impl Refusal {
    pub(crate) fn new(text: &str) -> Refusal {
        Refusal { text: text.to_owned(), code: REFUSED }
    }
}

pub(crate) struct State {
    /// Its owner is an operator.
    pub uid: u32,
    pub log: File,
    /// Held for as long as the kernel lives.
    pub lock: File,
}

/// Opens the state folder, or makes it, and makes it the working folder: names in it are short from then on.
pub(crate) fn open(folder: &Path) -> Result<State, Refusal> {
    let shown = folder.display();
    let failed =
        |what: &str, error: std::io::Error| Refusal::new(&format!("the state {shown} cannot be {what}: {error}"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed("made", error))?;
    std::env::set_current_dir(folder).map_err(|error| failed("entered", error))?;
    let metadata = std::fs::metadata(".").map_err(|error| failed("examined", error))?;
    let (uid, mode) = (metadata.uid(), metadata.permissions().mode() & 0o777);
    let me = rustix::process::geteuid();
    if mode & 0o077 != 0 {
        return Err(Refusal::new(&format!(
            "the state {shown} is open to other users (mode {mode:o}): say chmod 700 {shown}, after a look at who may have changed it"
        )));
    }
    if uid != me.as_raw() && !me.is_root() {
        return Err(Refusal::new(&format!("the state {shown} belongs to user {uid}: start as that user")));
    }
    let private =
        |name: &str, append: bool| File::options().create(true).append(append).write(true).mode(0o600).open(name);
    let lock = private("lock", false).map_err(|error| failed("locked", error))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let text = format!("another kernel runs on the state {shown}: use that one, or stop it with latch down");
        return Err(Refusal { text, code: IN_USE });
    }
    if std::fs::metadata("kernel.log").is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
        std::fs::rename("kernel.log", "kernel.log.1").map_err(|error| failed("tidied", error))?;
    }
    let log = private("kernel.log", true).map_err(|error| failed("written to", error))?;
    Ok(State { uid, log, lock })
}

/// The powerbox's own folder, made for its user where that is another one.
pub(crate) fn powerbox_folder(root: bool) -> Result<OwnedFd, Refusal> {
    const NAME: &str = "powerbox";
    let failed = |error: std::io::Error| Refusal::new(&format!("the folder {NAME} of the state: {error}"));
    match DirBuilder::new().mode(0o700).create(NAME) {
        Ok(()) if root => {
            std::os::unix::fs::chown(NAME, Some(POWERBOX_UID), Some(POWERBOX_UID)).map_err(failed)?;
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = File::from(rustix::fs::open(NAME, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?);
    let owner = folder.metadata().map_err(failed)?.uid();
    let expected = if root { POWERBOX_UID } else { rustix::process::geteuid().as_raw() };
    if owner != expected {
        return Err(Refusal::new(&format!(
            "the folder {NAME} of the state belongs to user {owner} and is needed by {expected}: start the node as who made \
             the state, or give it over with chown -R {expected}:{expected} {NAME}"
        )));
    }
    Ok(folder.into())
}

/// As many descriptors as the system allows: each link is one.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Raising to the hard limit is always allowed; where it fails all the same, `busy` comes sooner.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
