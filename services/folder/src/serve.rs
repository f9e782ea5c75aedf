//! The folder as the tree that is served on each link.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use capnp::capability::{Client, FromClientHook};
use capnp::traits::HasTypeId;
use files::problem::{Problem, Word};
use files::serve::{Directory, Shares};
use schema::filesystem_capnp;
use vat::{Badge, Exports};

use crate::limits::OPEN_PART;
use crate::place::Place;
use crate::resolve;

/// The one folder that this process serves, on any number of links.
#[derive(Clone, Debug)]
pub struct Folder {
    top: Arc<Place>,
    shares: Shares,
}

impl Folder {
    /// Takes a directory to serve, on a machine that can keep links inside; `descriptor_limit` is how many
    /// descriptors this process may have.
    pub fn new(directory: BorrowedFd<'_>, descriptor_limit: usize) -> Result<Folder, Problem> {
        resolve::probe(directory)?;
        // Whoever opened it may have done so with O_PATH: what is listed here is opened here.
        let readable = resolve::reopen_directory(directory)?;
        let top = Arc::new(Place::top(readable)?);
        Ok(Folder { top, shares: Shares::new(descriptor_limit / OPEN_PART) })
    }

    /// How many files and directories are open below it now.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.shares.open_now()
    }

    /// The root object of a link: the folder, with the rights of the link's badge.
    pub fn root(&self, badge: &Badge, exports: &Exports) -> Result<Client, Problem> {
        if badge.interface != filesystem_capnp::directory::Client::TYPE_ID {
            return Err(Problem::new(Word::NotFound, "this service has one object: its folder, as a Directory"));
        }
        let root = Directory::new(self.top.clone(), badge.rights, self.shares.link(badge, exports));
        Ok(Client::new(root.export().into_client_hook()))
    }
}
