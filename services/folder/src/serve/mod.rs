//! The objects of `filesystem.capnp` and `stream.capnp`, as they are served on one link.

mod directory;
mod file;
mod open_file;
mod order;
mod sink;

use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;

use capnp::capability::{Client, FromClientHook};
use capnp::traits::HasTypeId;
use schema::filesystem_capnp;
use vat::{Badge, Exports};

use crate::disk::{Disk, DiskOfLink};
use crate::open_count::{OpenInProcess, OpenOfGrant};
use crate::place::Place;
use crate::problem::{Problem, Word};
use crate::resolve;
use directory::Directory;

/// The one folder that this process serves, on any number of links.
#[derive(Clone, Debug)]
pub struct Folder {
    top: Arc<Place>,
    disk: Disk,
    open: OpenInProcess,
}

/// What every object of one link needs.
pub(crate) struct Link {
    exports: Exports,
    disk: DiskOfLink,
    open: OpenOfGrant,
}

impl Folder {
    /// Takes a directory to serve, on a machine that can keep links inside; `descriptor_limit` is how many
    /// descriptors this process may have.
    pub fn new(directory: BorrowedFd<'_>, descriptor_limit: usize) -> Result<Folder, Problem> {
        resolve::probe(directory)?;
        // Whoever opened it may have done so with O_PATH: what is listed here is opened here.
        let readable = resolve::reopen_directory(directory)?;
        let top = Arc::new(Place::top(readable)?);
        Ok(Folder { top, disk: Disk::new(), open: OpenInProcess::new(descriptor_limit) })
    }

    /// How many files and directories are open below it now.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.open.now()
    }

    /// The root object of a link: the folder, with the rights of the link's badge.
    pub fn root(&self, badge: &Badge, exports: &Exports) -> Result<Client, Problem> {
        if badge.interface != filesystem_capnp::directory::Client::TYPE_ID {
            return Err(Problem::new(Word::NotFound, "this service has one object: its folder, as a Directory"));
        }
        let disk = self.disk.link(badge.grant, exports.work());
        let link = Rc::new(Link { exports: exports.clone(), disk, open: self.open.grant(badge.grant) });
        let root = Directory::new(self.top.clone(), badge.rights.complete(), link);
        let root: filesystem_capnp::directory::Client = exports.export(root);
        Ok(Client::new(root.into_client_hook()))
    }
}
