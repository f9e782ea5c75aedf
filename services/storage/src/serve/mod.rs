//! What of the store is served on each link.
//!
//! Every call of the store may wait: for a disk, for another call, for a signature that another process makes. So none is made
//! on the RPC thread, which alone brings that signature: they are made on the disk threads of their grant.

mod accounts;
mod caps;
mod check;
mod export;
mod held;
mod limits;
mod open_file;
mod operator;
mod place;
mod problem;
mod reservation;
mod stored_directory;
mod trouble;
mod vault;

use capnp::capability::{Client, FromClientHook};
use capnp::traits::HasTypeId;
use files::path::RelativePath;
use files::problem::{Problem, Word};
use files::serve::{Directory, Shares};
use schema::{filesystem_capnp, storage_capnp};
use vat::{Badge, Exports, Peer, Rights};

pub use limits::STREAM_CHUNK_BYTES;
pub use trouble::{Troubles, troubles};
pub use vault::{Opening, Vault};

use accounts::Accounts;
use held::Reach;
use operator::Operator;
use place::Place;

/// The one store that this process serves, on any number of links.
#[derive(Clone)]
pub struct Storage {
    vault: Vault,
    shares: Shares,
}

impl Storage {
    /// Serves what that vault has, once it is open.
    #[must_use]
    pub fn new(vault: Vault) -> Storage {
        Storage { vault, shares: Shares::new(limits::OPEN) }
    }

    /// How many files and directories are open now.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.shares.open_now()
    }

    /// The root object of a link: what the badge names, with the badge's rights. Whether the store can be used is seen at
    /// the first call, and again at each until it can.
    ///
    /// # Errors
    /// There is no such object, or not for this peer.
    pub fn root(&self, badge: &Badge, exports: &Exports) -> Result<Client, Problem> {
        let link = self.shares.link(badge, exports);
        match badge.interface {
            filesystem_capnp::directory::Client::TYPE_ID | storage_capnp::stored_directory::Client::TYPE_ID => {
                let (vault, disk) = (self.vault.clone(), link.disk().clone());
                let reach = Reach { vault, accounts: Accounts::of(badge), disk };
                // Who only looks, at a command, makes nothing: what is not there was mistyped. An app's folder is made, for a
                // person granted it.
                let makes = badge.peer != Peer::Shell || badge.rights.intersect(Rights::READ) != badge.rights;
                let place = Place::at(path(&badge.object)?, makes, reach);
                let root = Directory::new(place.into(), badge.rights, link);
                Ok(Client::new(root.export().into_client_hook()))
            }
            storage_capnp::store::Client::TYPE_ID if badge.peer == Peer::Shell => {
                let operator: storage_capnp::store::Client =
                    exports.export(Operator::new(self.vault.clone(), badge.rights, link));
                Ok(Client::new(operator.into_client_hook()))
            }
            storage_capnp::store::Client::TYPE_ID => {
                Err(Problem::new(Word::NotPermitted, "the store as a whole is for operators only"))
            }
            _ => Err(Problem::new(Word::NotFound, "this service has directories of a store, and nothing else")),
        }
    }
}

/// The path of a directory as a badge names it: "/" (which gives none), or "/notes".
fn path(object: &str) -> Result<Option<RelativePath>, Problem> {
    let named = object.strip_prefix('/');
    let named = named.ok_or_else(|| Problem::new(Word::BadPath, "a directory of the store is named like /notes"))?;
    RelativePath::or_here(named.as_bytes())
}
