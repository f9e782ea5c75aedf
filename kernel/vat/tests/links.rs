//! Two vats on one thread, over a link in memory or over a socket.

use capnp::capability::FromClientHook;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use schema::stream_capnp::byte_stream;
use std::cell::Cell;
use std::rc::Rc;
use vat::door::Lease;
use vat::testing::{ManualClock, SharedClock, pair};
use vat::{Badge, Bounds, Clock, Peer, Rights};

/// Adds up what it is given.
#[derive(Default)]
struct Adder {
    total: Cell<u64>,
}

impl byte_stream::Server for Adder {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), capnp::Error> {
        self.total.set(self.total.get() + params.get()?.get_bytes()?.len() as u64);
        Ok(())
    }

    async fn end(
        self: Rc<Self>,
        _: byte_stream::EndParams,
        mut results: byte_stream::EndResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_total(self.total.get());
        Ok(())
    }
}

fn badge() -> Badge {
    Badge {
        grant: 12,
        object: String::new(),
        interface: 0,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::App,
        holder: "search".into(),
    }
}

#[test]
fn a_client_uses_what_the_other_end_serves() {
    let mut pool = LocalPool::new();
    let clock: Rc<dyn Clock> = Rc::new(SharedClock(ManualClock::at_ms(1_000)));
    let (here, there) = pair(1 << 16);
    let serving = vat::serve(there, &badge(), Bounds::for_peer(Peer::App), clock.clone(), |exports| {
        exports.export::<byte_stream::Client, _>(Adder::default()).client
    });
    let connected = vat::connect(here, Bounds::for_peer(Peer::Service), clock);
    pool.spawner().spawn_local(async { drop(serving.await) }).unwrap();
    pool.spawner().spawn_local(async { drop(connected.driving.await) }).unwrap();
    let stream = byte_stream::Client::new(connected.root.hook);
    let total = pool.run_until(async move {
        for _ in 0..10 {
            let mut request = stream.write_request();
            request.get().set_bytes(&[1; 1000]);
            request.send().await?;
        }
        stream.end_request().send().promise.await?.get().map(|results| results.get_total())
    });
    assert_eq!(total.unwrap(), 10_000);
}
