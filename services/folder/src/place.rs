//! An open directory, and the question whether it is still where it was granted.
//!
//! A descriptor follows its directory wherever it is moved: also out of the folder, by the person or by another
//! program. What is outside is not granted, so each use of a directory below the top asks whether the top is
//! still above it. The answer is taken after a path was resolved: a directory that was inside by then was inside when
//! it was used, unless somebody outside moved it away and back meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::limits::LEVELS_LIMIT;
use crate::metadata::Identity;
use crate::open_count::OpenSlot;
use crate::problem::{Problem, Word};
use crate::resolve::{Patience, Stuck};

/// An open directory that is the top of a grant, or below it.
#[derive(Debug)]
pub struct Place {
    descriptor: OwnedFd,
    /// Nothing for the top itself.
    below: Option<Below>,
    /// Held while the descriptor's position is used: see `list`.
    pub(crate) position: Mutex<()>,
    _slot: Option<OpenSlot>,
}

#[derive(Debug)]
struct Below {
    top: Arc<Place>,
    top_identity: Identity,
    /// How many levels below the top it was when last looked at, or may be.
    levels: AtomicUsize,
}

impl Place {
    /// The top of what is granted.
    #[must_use]
    pub fn top(descriptor: OwnedFd, slot: Option<OpenSlot>) -> Place {
        Place { descriptor, below: None, position: Mutex::default(), _slot: slot }
    }

    /// A directory that was reached from `from` by a path of so many names. That is a guess at how deep it is, since
    /// names may be links.
    pub fn below(from: &Arc<Place>, descriptor: OwnedFd, slot: OpenSlot, names: usize) -> Result<Place, Problem> {
        let top = from.below.as_ref().map_or(from, |below| &below.top).clone();
        let top_identity = Identity::of(&rustix::fs::fstat(&top.descriptor)?);
        let above = from.below.as_ref().map_or(0, |below| below.levels.load(Ordering::Relaxed));
        let below = Below { top, top_identity, levels: AtomicUsize::new(above + names) };
        Ok(Place { descriptor, below: Some(below), position: Mutex::default(), _slot: Some(slot) })
    }

    /// Refuses where the directory is no longer below the top.
    pub fn still_inside(&self, patience: Patience) -> Result<(), Stuck> {
        let Some(below) = &self.below else { return Ok(()) };
        let levels = below.levels.load(Ordering::Relaxed);
        if levels <= LEVELS_LIMIT && below.is_top_above(&self.descriptor, levels) {
            return Ok(());
        }
        if patience == Patience::Memory {
            return Err(Stuck::WouldWait);
        }
        let levels = below.find_top(&self.descriptor)?;
        below.levels.store(levels, Ordering::Relaxed);
        Ok(())
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Below {
    /// One call, whatever the depth: `../../..` as often as it was levels.
    fn is_top_above(&self, directory: &OwnedFd, levels: usize) -> bool {
        let path = format!("./{}", "../".repeat(levels));
        let there = rustix::fs::statat(directory, path.as_str(), AtFlags::NO_AUTOMOUNT);
        there.is_ok_and(|stat| Identity::of(&stat) == self.top_identity)
    }

    /// How many levels above the directory the top is. One step at a time, so that a directory that is moved
    /// about within the folder meanwhile is still found there.
    fn find_top(&self, directory: &OwnedFd) -> Result<usize, Problem> {
        let outside = || Problem::new(Word::LeadsOut, "this directory was moved out of the folder");
        let mut at = directory.try_clone().map_err(|_| Problem::from(Errno::MFILE))?;
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
