//! What can be asked for.

use crate::folder::Folder;
use crate::held::Held;
use crate::stored::StoredDirectory;
use capnp::traits::HasTypeId;
use schema::filesystem_capnp::directory;
use schema::storage_capnp::stored_directory;
use std::rc::Rc;

/// A kind of object that an app can [`ask`](crate::ask) for.
pub trait Object: sealed::Sealed + 'static {
    /// The schema id of its interface, as in a manifest's request.
    const INTERFACE: u64;
}

impl Object for Folder {
    const INTERFACE: u64 = directory::Client::TYPE_ID;
}

impl sealed::Sealed for Folder {
    fn from_held(held: Rc<Held>) -> Folder {
        Folder::root(held)
    }
}

impl Object for StoredDirectory {
    const INTERFACE: u64 = stored_directory::Client::TYPE_ID;
}

impl sealed::Sealed for StoredDirectory {
    fn from_held(held: Rc<Held>) -> StoredDirectory {
        StoredDirectory::new(Folder::root(held))
    }
}

pub(crate) mod sealed {
    use super::{Held, Rc};

    /// The kinds are those of this crate; this makes one of what is held.
    pub trait Sealed: Sized {
        fn from_held(held: Rc<Held>) -> Self;
    }
}
