//! The state folder: whose it is, who else is in it, and what lies there.

use crate::begin::FIRST_UID;
use crate::prelude::*;
use rustix::fs::{FlockOperation, Mode, OFlags, fstat};
use rustix::process::{Rlimit, getrlimit, setrlimit};
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::Path;

/// The log in the state folder, and what it held before it grew too large.
pub(crate) const LOG: &str = "kernel.log";
pub(crate) const OLDER_LOG: &str = "kernel.log.older";
/// Past this the log begins anew, and the last of what it held becomes the older log: room for some ten thousand lines in each.
pub(crate) const LOG_LIMIT_BYTES: u64 = 1 << 20;
/// Exit codes: something is refused; another kernel runs on this state.
pub(crate) const REFUSED: u8 = 1;
const IN_USE: u8 = 3;

/// Why the kernel does not start: the exit code; what, why, what next.
pub(crate) type Refusal = (u8, String);

/// Says what failed.
pub(crate) fn failed<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl Fn(E) -> Refusal {
    move |error| (REFUSED, format!("{what}: {error}"))
}

/// Opens the state folder, or makes it, and makes it the working folder: names in it are short from then on. Returns its
/// owner, who is an operator, the kernel's log, and the lock, which is to be held for as long as the kernel lives.
pub(crate) fn open(folder: &Path) -> Result<(u32, File, File), Refusal> {
    let (shown, me) = (folder.display(), rustix::process::geteuid());
    let failed = failed(format!("the state {shown} cannot be used"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(&failed)?;
    std::env::set_current_dir(folder).map_err(&failed)?;
    let metadata = std::fs::metadata(".").map_err(&failed)?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if mode & 0o077 != 0 {
        let text =
            format!("the state {shown} is open to others (mode {mode:o}): look who changed it, then chmod 700 it");
        return Err((REFUSED, text));
    }
    // Also for the superuser: who owns it decides where its names lead.
    if owner != me.as_raw() {
        return Err((REFUSED, format!("the state {shown} belongs to user {owner}: start as that user")));
    }
    let (lock, log) = (own_file("lock").map_err(&failed)?, own_file(LOG).map_err(&failed)?);
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        (IN_USE, format!("another kernel runs on the state {shown}: use that one, or stop it with latch down"))
    })?;
    // Each link is a descriptor. Where the limit cannot be raised, `busy` comes sooner.
    let limit = getrlimit(rustix::process::Resource::Nofile);
    let _ = setrlimit(rustix::process::Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    Ok((owner, log, lock))
}

/// Opens a file of the state to write at its end, or makes it.
pub(crate) fn own_file(name: &str) -> std::io::Result<File> {
    File::options().create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(name)
}

/// What an image keeps lies in a folder of its own in the state, made for its user where that is another one.
pub(crate) fn own_folder(image: Image, root: bool) -> Result<Option<(Resource, Rc<OwnedFd>)>, Refusal> {
    let Some((name, user)) = owner(image) else { return Ok(None) };
    let needed = if root { user } else { rustix::process::geteuid().as_raw() };
    let open = || {
        let made = DirBuilder::new().mode(0o700).create(name);
        made.map_or(Ok(()), |()| chown(name, Some(needed), root.then_some(needed)))?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let folder = rustix::fs::open(name, flags, Mode::empty())?;
        let owner = fstat(&folder)?.st_uid;
        Ok::<_, std::io::Error>((folder, owner))
    };
    let (folder, owner) = open().map_err(failed(format!("the state's folder {name}")))?;
    let whose = format!("the state's folder {name} belongs to user {owner} and is needed by {needed}");
    let text = format!("{whose}: start the node as who made it, or chown -R {needed}:{needed} {name}");
    let resource = (Resource::new(ResourceKind::Folder, "state"), Rc::new(folder));
    if owner == needed { Ok(Some(resource)) } else { Err((REFUSED, text)) }
}

/// The images that keep something, with its folder, and the user that each always has so that its files keep their owner.
pub(crate) fn owner(image: Image) -> Option<(&'static str, u32)> {
    let number = [Image::Powerbox, Image::Keys, Image::Storage].iter().position(|keeps| *keeps == image)?;
    Some((["powerbox", "keys", "storage"][number], FIRST_UID + number as u32))
}
