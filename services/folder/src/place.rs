//! An open directory, and the question whether it is still where it was granted.
//!
//! A descriptor follows its directory wherever it is moved: also out of the folder, by the person or by another
//! program. What is outside is not granted, so each use of a directory below the top asks whether the top is
//! still above it. The answer is taken after a path was resolved: a directory that was inside by then was inside when
//! it was used, unless somebody outside moved it away and back meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use files::patience::{Patience, Stuck};
use files::problem::{Problem, Word};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::held::Held;
use crate::limits::LEVELS_LIMIT;
use crate::metadata::Identity;

/// An open directory that is the top of a grant, or below it.
#[derive(Debug)]
pub struct Place {
    held: Held,
    top_identity: Identity,
    /// Nothing for the top itself.
    below: Option<Below>,
}

#[derive(Debug)]
struct Below {
    top: Arc<Place>,
    /// How many levels below the top it was when last looked at, or may be.
    levels: AtomicUsize,
}

impl Place {
    /// The top of what is granted. It may wait for the disk.
    pub fn top(descriptor: OwnedFd) -> Result<Place, Problem> {
        let top_identity = Identity::of(&rustix::fs::fstat(&descriptor)?);
        Ok(Place { held: Held::of_process(descriptor), top_identity, below: None })
    }

    /// A directory that was reached from `from` by a path of so many names. That is a guess at how deep it is, since
    /// names may be links.
    #[must_use]
    pub fn below(from: &Arc<Place>, held: Held, names: usize) -> Place {
        let top = from.below.as_ref().map_or(from, |below| &below.top).clone();
        let above = from.below.as_ref().map_or(0, |below| below.levels.load(Ordering::Relaxed));
        let below = Below { top, levels: AtomicUsize::new(above + names) };
        Place { held, top_identity: from.top_identity, below: Some(below) }
    }

    /// Whether what it is asked may be answered with [`Patience::Memory`].
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.held.is_local()
    }

    /// Refuses where the directory is no longer below the top.
    pub fn still_inside(&self, patience: Patience) -> Result<(), Stuck> {
        let Some(below) = &self.below else { return Ok(()) };
        let levels = below.levels.load(Ordering::Relaxed);
        if levels <= LEVELS_LIMIT && self.is_top_above(levels, patience) {
            return Ok(());
        }
        if patience == Patience::Memory {
            return Err(Stuck::WouldWait);
        }
        let levels = self.find_top()?;
        below.levels.store(levels, Ordering::Relaxed);
        Ok(())
    }

    /// One walk, whatever the depth: `../../..` as often as it was levels.
    fn is_top_above(&self, levels: usize, patience: Patience) -> bool {
        let path = format!("./{}", "../".repeat(levels));
        let there = match patience {
            Patience::Disk => rustix::fs::statat(self, path.as_str(), AtFlags::NO_AUTOMOUNT),
            // What is reached is on the file system of this directory, which is local.
            Patience::Memory => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let in_memory = ResolveFlags::CACHED | ResolveFlags::NO_XDEV;
                rustix::fs::openat2(self, path.as_str(), flags, Mode::empty(), in_memory).and_then(rustix::fs::fstat)
            }
        };
        there.is_ok_and(|stat| Identity::of(&stat) == self.top_identity)
    }

    /// How many levels above the directory the top is. One step at a time, so that a directory that is moved
    /// about within the folder meanwhile is still found there.
    fn find_top(&self) -> Result<usize, Problem> {
        let outside = || Problem::new(Word::LeadsOut, "this directory was moved out of the folder");
        let mut at = self.as_fd().try_clone_to_owned().map_err(|_| Problem::from(Errno::MFILE))?;
        let mut identity = Identity::of(&rustix::fs::fstat(&at)?);
        for levels in 0..=LEVELS_LIMIT {
            if identity == self.top_identity {
                return Ok(levels);
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let above = rustix::fs::openat(&at, c"..", flags, Mode::empty()).map_err(|errno| match errno {
                Errno::MFILE | Errno::NFILE | Errno::NOMEM => errno.into(),
                // Where we may not even pass is not below a folder that we passed on the way in.
                _ => outside(),
            })?;
            let above_identity = Identity::of(&rustix::fs::fstat(&above)?);
            if above_identity == identity {
                return Err(outside());
            }
            (at, identity) = (above, above_identity);
        }
        Err(Problem::new(Word::TooLarge, format!("more than {LEVELS_LIMIT} directories deep")))
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }
}
