//! Folders that are not given to an app unless the person insists: those that hold the node itself. Whoever writes there is no app any more: it decides what every app may do. Folders are
//! compared by what they are, never by how they are written.

use std::fs::File;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

use crate::failure::{Failure, Outcome};

/// A folder that apps have no business in.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// It and all above it, up to the root.
    above: Vec<Identity>,
    /// What is there, for people.
    what: &'static str,
}

/// A file system and a number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

/// What is guarded where the node keeps its state in that folder.
pub(crate) fn all(state: &Path) -> Vec<Guarded> {
    Guarded::at(state, "the state of this node: its record, its keys, its packages").into_iter().collect()
}

impl Guarded {
    /// Nothing is guarded that is not there.
    fn at(path: &Path, what: &'static str) -> Option<Guarded> {
        let folder = File::open(path).ok()?;
        Some(Guarded { above: ancestors(folder.as_fd().try_clone_to_owned().ok()?).ok()?, what })
    }
}

/// Refuses a folder that is one of those guarded, or holds one, or is within one.
pub(crate) fn check(folder: &OwnedFd, path: &Path, guarded: &[Guarded]) -> Outcome {
    if guarded.is_empty() {
        return Ok(());
    }
    let refused = || Failure::new(format!("{} is not given to an app", path.display()));
    let found = folder.try_clone().map_err(|error| refused().because(error))?;
    let found = ancestors(found).map_err(|error| refused().because(error))?;
    let meets = |guarded: &&Guarded| {
        let holds_it = found.first().is_some_and(|folder| guarded.above.contains(folder));
        let within_it = guarded.above.first().is_some_and(|place| found.contains(place));
        holds_it || within_it
    };
    match guarded.iter().find(meets) {
        None => Ok(()),
        Some(guarded) => Err(refused()
            .because(format!(
                "there is {}. An app with this folder could take the node over, or act in your name",
                guarded.what
            ))
            .next("give a folder that has only what the app needs, or write `,force` after it")),
    }
}

/// What a folder and all above it are, from it to the root.
fn ancestors(folder: OwnedFd) -> rustix::io::Result<Vec<Identity>> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let (mut at, mut found) = (folder, Vec::new());
    loop {
        let status = rustix::fs::fstat(&at)?;
        let identity = Identity(status.st_dev, status.st_ino);
        // The root is its own parent.
        if found.last() == Some(&identity) {
            return Ok(found);
        }
        found.push(identity);
        at = rustix::fs::openat(&at, "..", flags, Mode::empty())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer for each of these folders, `state` being guarded.
    fn refused(base: &Path, path: &str) -> bool {
        let guarded: Vec<Guarded> = Guarded::at(&base.join("home/state"), "a secret").into_iter().collect();
        assert_eq!(guarded.len(), 1);
        let folder = OwnedFd::from(File::open(base.join(path)).unwrap());
        let checked = check(&folder, Path::new(path), &guarded);
        assert_eq!(check(&folder, Path::new(path), &[]), Ok(()), "who insists is heard");
        checked.is_err_and(|failure| {
            let text = failure.to_string();
            assert!(text.contains("a secret") && text.contains(",force"), "{text}");
            true
        })
    }

    #[test]
    fn what_holds_the_node_is_refused_by_whatever_name() {
        let base = std::env::temp_dir().join(format!("latch-guarded-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&base);
        for path in ["home/state/keys/deep", "home/docs/state"] {
            std::fs::create_dir_all(base.join(path)).unwrap();
        }
        std::os::unix::fs::symlink("../state/keys", base.join("home/docs/link")).unwrap();
        for path in [
            ".",
            "home",
            "home/state",
            "home/state/keys",
            "home/state/keys/deep",
            "home/docs/link",
            "home/docs/../state",
        ] {
            assert!(refused(&base, path), "{path}");
        }
        for path in ["home/docs", "home/docs/state"] {
            assert!(!refused(&base, path), "{path}");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
