//! The state folder: whose it is, who else is in it, and what lies there.

use crate::begin::POWERBOX_UID;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Exit codes: something is refused; another kernel runs on this state.
pub(crate) const REFUSED: u8 = 1;
const IN_USE: u8 = 3;

/// Why the kernel does not start: the exit code; what, why, what next.
pub(crate) type Refusal = (u8, String);

/// Says what failed.
pub(crate) fn failed<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl Fn(E) -> Refusal {
    move |error| (REFUSED, format!("{what}: {error}"))
}

pub(crate) struct State {
    pub uid: u32, // its owner is an operator
    pub log: File,
    pub lock: File, // held for as long as the kernel lives
}

/// Opens the state folder, or makes it, and makes it the working folder: names in it are short from then on.
pub(crate) fn open(folder: &Path) -> Result<State, Refusal> {
    let shown = folder.display();
    let failed = failed(format!("the state {shown} cannot be used"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(&failed)?;
    std::env::set_current_dir(folder).map_err(&failed)?;
    let metadata = std::fs::metadata(".").map_err(&failed)?;
    let (uid, mode, me) = (metadata.uid(), metadata.mode() & 0o777, rustix::process::geteuid());
    if mode & 0o077 != 0 {
        let text =
            format!("the state {shown} is open to other users (mode {mode:o}): look who changed it, then chmod 700 it");
        return Err((REFUSED, text));
    }
    if uid != me.as_raw() && !me.is_root() {
        return Err((REFUSED, format!("the state {shown} belongs to user {uid}: start as that user")));
    }
    let private = |name: &str| File::options().create(true).append(true).mode(0o600).open(name).map_err(&failed);
    let (lock, log) = (private("lock")?, private("kernel.log")?);
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let text = format!("another kernel runs on the state {shown}: use that one, or stop it with latch down");
        return Err((IN_USE, text));
    }
    // Each link is a descriptor. Where the limit cannot be raised, `busy` comes sooner.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    Ok(State { uid, log, lock })
}

/// The powerbox's own folder, made for its user where that is another one.
pub(crate) fn powerbox_folder(root: bool) -> Result<OwnedFd, Refusal> {
    const NAME: &str = "powerbox";
    let failed = failed(format!("the folder {NAME} of the state"));
    let expected = if root { POWERBOX_UID } else { rustix::process::geteuid().as_raw() };
    match DirBuilder::new().mode(0o700).create(NAME) {
        Ok(()) if root => std::os::unix::fs::chown(NAME, Some(expected), Some(expected)).map_err(&failed)?,
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = File::from(rustix::fs::open(NAME, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?);
    let owner = folder.metadata().map_err(&failed)?.uid();
    if owner != expected {
        let text = format!(
            "the folder {NAME} of the state belongs to user {owner} and is needed by {expected}: start the node as who made \
             the state, or give it over with chown -R {expected}:{expected} {NAME}"
        );
        return Err((REFUSED, text));
    }
    Ok(folder.into())
}
