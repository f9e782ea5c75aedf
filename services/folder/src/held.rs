//! A descriptor that is held open, and is closed without making the RPC thread wait.
//!
//! Closing can take as long as anything else: a file system in user space or on a network is told of it and answers, and the
//! last who closes a file that was removed frees what it had on disk.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use files::keeping::Keeping;
use files::patience::Patience;
use rustix::fs::OFlags;

use crate::local::is_local;

/// An open file or directory. It counts as open until it is closed, not until it is dropped.
#[derive(Debug)]
pub struct Held {
    /// There until it is dropped.
    descriptor: Option<OwnedFd>,
    local: bool,
    read_only: bool,
    /// Who closes it, where that may take a while.
    keeping: Option<Keeping>,
}

impl Held {
    /// What was just opened with that patience, on a disk thread unless it was none.
    #[must_use]
    pub fn new(descriptor: OwnedFd, patience: Patience, keeping: &Keeping) -> Held {
        Held::with(descriptor, patience, Some(keeping.clone()))
    }

    /// What belongs to no link, and is closed where it is dropped. It may wait.
    #[must_use]
    pub fn of_process(descriptor: OwnedFd) -> Held {
        Held::with(descriptor, Patience::Disk, None)
    }

    fn with(descriptor: OwnedFd, patience: Patience, keeping: Option<Keeping>) -> Held {
        let local = patience == Patience::Memory || is_local(&descriptor);
        let written = OFlags::WRONLY | OFlags::RDWR;
        let read_only = rustix::fs::fcntl_getfl(&descriptor).is_ok_and(|flags| !flags.intersects(written));
        Held { descriptor: Some(descriptor), local, read_only, keeping }
    }

    /// Whether its file system answers from memory what it is asked about this descriptor.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// Whether to close it takes no time: it was only read, and its names keep what it has.
    fn closes_at_once(&self, descriptor: &OwnedFd) -> bool {
        self.local && self.read_only && rustix::fs::fstat(descriptor).is_ok_and(|stat| stat.st_nlink > 0)
    }
}

impl AsFd for Held {
    #[expect(clippy::expect_used, reason = "only `drop` takes it, and nobody has the value after that")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_ref().expect("is there").as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (Some(descriptor), Some(keeping)) = (self.descriptor.take(), self.keeping.take()) else { return };
        if !self.closes_at_once(&descriptor) {
            keeping.close_later(descriptor);
        }
    }
}
