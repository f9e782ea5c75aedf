//! The objects of `filesystem.capnp` and `stream.capnp`, as they are served on one link.

mod directory;
mod file;
mod open_file;
mod sink;

use std::rc::Rc;

use vat::{Badge, Exports};

use crate::disk::{Disk, DiskOfLink};
use crate::keeping::Keeping;
use crate::open_count::{OpenInProcess, OpenOfGrant};
use crate::problem::Problem;

pub use directory::Directory;
pub use file::within_limit;

/// What the links of a process share: its disk threads, and how much it can hold open. One a process, handed down from `main`.
#[derive(Clone, Debug)]
pub struct Shares {
    disk: Disk,
    open: OpenInProcess,
}

/// What every object of one link needs.
#[derive(Clone)]
pub struct Link(Rc<OfLink>);

struct OfLink {
    exports: Exports,
    disk: DiskOfLink,
    open: OpenOfGrant,
}

impl Shares {
    /// For a process that can hold so many files and directories open.
    #[must_use]
    pub fn new(open_limit: usize) -> Shares {
        Shares { disk: Disk::new(), open: OpenInProcess::new(open_limit) }
    }

    /// How many files and directories are open now.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.open.now()
    }

    /// The share of a link, by its badge.
    #[must_use]
    pub fn link(&self, badge: &Badge, exports: &Exports) -> Link {
        let disk = self.disk.link(badge.grant, exports.work());
        Link(Rc::new(OfLink { exports: exports.clone(), disk, open: self.open.grant(badge.grant) }))
    }
}

impl Link {
    /// Makes the objects of this link.
    #[must_use]
    pub fn exports(&self) -> &Exports {
        &self.0.exports
    }

    /// The disk threads of this link's grant.
    #[must_use]
    pub fn disk(&self) -> &DiskOfLink {
        &self.0.disk
    }

    /// Room for one more open file or directory.
    ///
    /// # Errors
    /// The grant, or the process, holds as many as it may.
    pub fn keeping(&self) -> Result<Keeping, Problem> {
        Ok(Keeping::new(self.0.disk.clone(), self.0.open.take()?))
    }
}
