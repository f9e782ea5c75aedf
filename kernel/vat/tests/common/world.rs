//! Vats on one thread, with links in memory and a clock that stands still.

use super::keeper::{Keeper, KeeperClient};
use capnp::capability::{Client, FromClientHook};
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use vat::door::Lease;
use vat::link::{Ended, Watch};
use vat::testing::{Cutter, ManualClock, MemoryEnd, SharedClock, pair};
use vat::{Badge, Bounds, Clock, Peer, Rights};

/// How much each end of a link takes before the other reads: a socket's buffer.
pub const BUFFER_BYTES: usize = 200 << 10;

pub fn badge() -> Badge {
    Badge {
        grant: 12,
        interface: 0,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::App,
        holder: "search".into(),
        object: String::new(),
        accounts: Vec::new(),
    }
}

/// A future's result, once it is there.
pub struct Later<T>(Rc<RefCell<Option<T>>>);

impl<T> Later<T> {
    pub fn is_there(&self) -> bool {
        self.0.borrow().is_some()
    }

    pub fn take(&self) -> Option<T> {
        self.0.borrow_mut().take()
    }
}

/// One thread with its vats.
pub struct World {
    pool: LocalPool,
    pub clock: Rc<ManualClock>,
}

/// A served link.
pub struct ServedLink {
    pub keeper: Rc<Keeper>,
    pub watch: Watch,
    pub ended: Later<Ended>,
}

impl ServedLink {
    /// The root object, as the server itself has it.
    pub fn keeper_client(&self) -> Client {
        let exports = self.keeper.exports.borrow().clone().expect("it knows its link");
        exports.export_shared::<KeeperClient, _>(self.keeper.clone()).0
    }
}

/// Both ends of a link.
pub struct BothEnds {
    pub server: ServedLink,
    pub root: KeeperClient,
    pub cutter: Cutter,
    pub client_ended: Later<Ended>,
    pub client_exports: vat::Exports,
    pub client_watch: Watch,
}

impl World {
    pub fn new() -> World {
        World { pool: LocalPool::new(), clock: ManualClock::at_ms(1_000_000) }
    }

    pub fn clock(&self) -> Rc<dyn Clock> {
        Rc::new(SharedClock(self.clock.clone()))
    }

    pub fn spawner(&self) -> LocalSpawner {
        self.pool.spawner()
    }

    /// Runs everything until nothing more can happen.
    pub fn settle(&mut self) {
        self.pool.run_until_stalled();
    }

    pub fn wait<F: Future>(&mut self, future: F) -> F::Output {
        self.pool.run_until(future)
    }

    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Later<T> {
        let place = Rc::new(RefCell::new(None));
        let later = Later(place.clone());
        self.spawner().spawn_local(async move { *place.borrow_mut() = Some(future.await) }).unwrap();
        later
    }

    /// Serves a keeper at one end.
    pub fn serve(&self, end: MemoryEnd, badge: &Badge, bounds: Bounds) -> ServedLink {
        let keeper = Rc::new(Keeper::default());
        let served = keeper.clone();
        let serving = vat::serve(end, badge, bounds, self.clock(), |exports| {
            *served.exports.borrow_mut() = Some(exports.clone());
            exports.export_shared::<KeeperClient, _>(served).0
        });
        let watch = serving.watch();
        ServedLink { keeper, watch, ended: self.spawn(serving) }
    }

    /// A link with both ends.
    pub fn link(&self, badge: &Badge, bounds: Bounds) -> BothEnds {
        let (here, there) = pair(BUFFER_BYTES);
        let cutter = there.cutter();
        let server = self.serve(there, badge, bounds);
        let connected = vat::connect(here, Bounds::for_peer(Peer::Service), self.clock());
        let client_watch = connected.driving.watch();
        BothEnds {
            server,
            root: KeeperClient::new(connected.root.hook),
            cutter,
            client_ended: self.spawn(connected.driving),
            client_exports: connected.exports,
            client_watch,
        }
    }

    /// An object of the client's own, to be passed.
    pub fn own(&self, link: &BothEnds) -> (Rc<Keeper>, Client) {
        let keeper = Rc::new(Keeper::default());
        *keeper.exports.borrow_mut() = Some(link.client_exports.clone());
        *keeper.held.borrow_mut() = Some(link.root.0.clone());
        (keeper.clone(), link.client_exports.export_shared::<KeeperClient, _>(keeper).0)
    }
}
