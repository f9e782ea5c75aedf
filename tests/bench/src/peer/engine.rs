//! Both ends of a link, by Latchkey's library or by the bare engine.

use super::object::{Maker, Object};
use super::witness::Watched;
use super::{Work, process::SOCKET_BUFFER_BYTES};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use schema::filesystem_capnp::directory;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};
use vat::door::{Badge, Lease};
use vat::native::SystemClock;
use vat::{Bounds, Method, Rights};

/// What speaks Cap'n Proto on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Engine {
    /// capnp-rpc as its own examples use it, with buffers as large as the socket's.
    Bare,
    /// The vat library, with expiry, budgets of calls and bytes, a list of methods and the meter all on.
    Guarded,
}

/// More than any row uses: the budgets are counted down and never end.
const PLENTY: u64 = 1 << 60;

/// Longer than any run.
const VALIDITY: Duration = Duration::from_secs(24 * 3600);

/// How many methods `Directory` has.
const DIRECTORY_METHODS: u16 = 9;

/// Serves one directory on a link until it ends.
pub(crate) async fn serve(engine: Engine, link: OwnedFd, work: Work, clock: Rc<SystemClock>) -> Result<(), String> {
    match engine {
        Engine::Bare => {
            let root: directory::Client = Maker::Bare.make(Object::new(work, Maker::Bare));
            bare(link, Side::Server, Some(root.client))?.await.map_err(|error| error.to_string())
        }
        Engine::Guarded => {
            let stream = native_stream(link)?;
            // The witness's clock would count against the library where time is measured.
            match work {
                Work::Answer => serve_guarded(stream, work, clock).await,
                Work::Compute { .. } => serve_guarded(Watched::new(stream), work, clock).await,
            }
        }
    }
}

async fn serve_guarded(transport: impl vat::Transport, work: Work, clock: Rc<SystemClock>) -> Result<(), String> {
    let bounds = Bounds::for_peer(vat::Peer::App);
    let serving = vat::serve(transport, &badge()?, bounds, clock, |exports| {
        let maker = Maker::Guarded(exports.clone());
        maker.make(Object::new(work, maker.clone())).client
    });
    serving.await;
    Ok(())
}

/// The root of a link, and what drives the link.
pub(crate) struct Connection {
    pub(crate) root: directory::Client,
    pub(crate) driver: tokio::task::JoinHandle<()>,
}

/// Uses the directory that the other end of a link serves.
pub(crate) fn connect(engine: Engine, link: OwnedFd, clock: Rc<SystemClock>) -> Result<Connection, String> {
    match engine {
        Engine::Bare => {
            let mut system = bare(link, Side::Client, None)?;
            let root = system.bootstrap(Side::Server);
            // A link that is cut ends its system with an error: the calls on it show it.
            let driver = tokio::task::spawn_local(async move { drop(system.await) });
            Ok(Connection { root, driver })
        }
        Engine::Guarded => {
            let bounds = Bounds::for_peer(vat::Peer::Service);
            let connected = vat::connect(native_stream(link)?, bounds, clock);
            let root = capnp::capability::FromClientHook::new(connected.root.hook);
            let driver = tokio::task::spawn_local(async move { drop(connected.driving.await) });
            Ok(Connection { root, driver })
        }
    }
}

/// What the service is told about each link: every caveat is on.
pub(crate) fn badge() -> Result<Badge, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let expires_at_ms = u64::try_from((now + VALIDITY).as_millis()).map_err(|error| error.to_string())?;
    let interface = <directory::Client as capnp::traits::HasTypeId>::TYPE_ID;
    Ok(Badge {
        grant: 1,
        interface,
        rights: Rights::ALL,
        expires_at_ms,
        calls: Lease::of(PLENTY),
        bytes: Lease::of(PLENTY),
        methods: (0..DIRECTORY_METHODS).map(|ordinal| Method { interface, ordinal }).collect(),
        peer: vat::Peer::App,
        holder: "bench".into(),
        object: String::new(),
        accounts: Vec::new(),
    })
}

fn native_stream(link: OwnedFd) -> Result<vat::native::Stream, String> {
    vat::native::Stream::new(link.into()).map_err(|error| format!("cannot use a link: {error}"))
}

fn bare(link: OwnedFd, side: Side, root: Option<capnp::capability::Client>) -> Result<RpcSystem<Side>, String> {
    let socket = tokio::net::UnixStream::from_std(UnixStream::from(link))
        .map_err(|error| format!("cannot use a socket: {error}"))?;
    let (reader, writer) = socket.into_split();
    let reader = futures::io::BufReader::with_capacity(BARE_BUFFER_BYTES, reader.compat());
    let writer = futures::io::BufWriter::with_capacity(BARE_BUFFER_BYTES, writer.compat_write());
    let network = twoparty::VatNetwork::new(reader, writer, side, capnp::message::ReaderOptions::new());
    Ok(RpcSystem::new(Box::new(network), root))
}

/// 8 KiB is what `BufReader` and `BufWriter` have by themselves.
const BARE_BUFFER_BYTES: usize = 8 << 10;

const _: () = assert!(BARE_BUFFER_BYTES <= SOCKET_BUFFER_BYTES);
