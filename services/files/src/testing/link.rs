//! A link in memory.

use std::rc::Rc;

use capnp::Error;
use schema::filesystem_capnp::directory;
use vat::door::Lease;
use vat::testing::{Cutter, ManualClock, SharedClock, pair};
use vat::{Badge, Bounds, Ended, Exports, Peer, Rights};

use crate::problem::Problem;

pub const APPEND: Rights = Rights { read: false, append: true, write: false };
pub const READ_APPEND: Rights = Rights { read: true, append: true, write: false };

/// A link to a service.
pub struct Client<R = directory::Client> {
    pub root: R,
    pub exports: Exports,
    pub cutter: Cutter,
    /// Is ready when the service's end has ended.
    pub ended: tokio::task::JoinHandle<Ended>,
}

/// The badge of a grant of a directory.
pub fn badge(rights: Rights) -> Badge {
    Badge {
        grant: 7,
        interface: <directory::Client as capnp::traits::HasTypeId>::TYPE_ID,
        rights,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::App,
        holder: "test".to_owned(),
        object: String::new(),
        accounts: Vec::new(),
    }
}

/// The badge of another grant.
pub fn neighbour(rights: Rights) -> Badge {
    Badge { grant: 8, ..badge(rights) }
}

/// Links a client to what `root` serves. Within a `LocalSet`.
pub fn link<R: capnp::capability::FromClientHook>(
    badge: &Badge,
    root: impl FnOnce(&Badge, &Exports) -> Result<capnp::capability::Client, Problem>,
) -> Client<R> {
    let (here, there) = pair(64 << 10);
    let cutter = there.cutter();
    let clock = Rc::new(SharedClock(ManualClock::at_ms(1_000_000)));
    let make = |exports: &Exports| root(badge, exports).map_err(Error::from).unwrap_or_else(capnp_rpc::new_broken_cap);
    let ended = tokio::task::spawn_local(vat::serve(there, badge, Bounds::for_peer(badge.peer), clock.clone(), make));
    let connected = vat::connect(here, Bounds::for_peer(Peer::Service), clock);
    tokio::task::spawn_local(connected.driving);
    Client { root: R::new(connected.root.hook), exports: connected.exports, cutter, ended }
}
