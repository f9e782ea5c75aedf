//! The driver's side of a peer.

use super::control::Control;
use super::{Engine, Load, Order, Reply, Work};
use crate::place::Placement;
use crate::sample::Sample;
use rustix::event::epoll;
use rustix::process::Pid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// How large the buffers of a link's sockets are, as the kernel sets them. The subject and its baseline have the same.
pub(crate) const SOCKET_BUFFER_BYTES: usize = 128 << 10;

/// Links made and handed over at once, so that the driver itself needs few descriptors.
const LINKS_AT_ONCE: u32 = 100;

/// A process of a row. It ends with its handle.
pub(crate) struct Peer {
    child: Child,
    control: Control,
    kept: Kept,
}

impl Peer {
    /// Starts one.
    pub(crate) fn start() -> Result<Self, String> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| format!("cannot make a socket: {error}"))?;
        let own = std::env::current_exe().map_err(|error| format!("cannot find the own program: {error}"))?;
        let mut command = Command::new(own);
        command.arg(super::program::WORD).stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let child = command.spawn().map_err(|error| format!("cannot start a peer: {error}"))?;
        Ok(Self { child, control: Control::new(ours), kept: Kept::new()? })
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Gives an order and waits for its answer.
    pub(crate) fn order(&mut self, order: &Order, descriptors: &[BorrowedFd<'_>]) -> Result<Reply, String> {
        self.control.send(order, descriptors)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Reply, String> {
        match self.control.receive()? {
            Some(Reply::Failed(why)) => Err(why),
            Some(reply) => Ok(reply),
            None => Err("a peer died".into()),
        }
    }

    /// The times of single calls, or round trips.
    pub(crate) fn times(&mut self, order: &Order) -> Result<Sample, String> {
        match self.order(order, &[])? {
            Reply::EachNanoseconds(each) => Ok(Sample::from_nanoseconds(&each)),
            other => Err(format!("expected times, got {other:?}")),
        }
    }

    /// One duration, in nanoseconds.
    pub(crate) fn nanoseconds(&mut self, order: &Order) -> Result<u64, String> {
        match self.order(order, &[])? {
            Reply::Nanoseconds(nanoseconds) => Ok(nanoseconds),
            other => Err(format!("expected a duration, got {other:?}")),
        }
    }

    /// Memory that only this process has, in bytes.
    pub(crate) fn private_bytes(&self) -> Result<u64, String> {
        crate::memory::private_bytes(self.pid())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already: then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client and a server, a process each.
pub(crate) struct Pair {
    pub(crate) client: Peer,
    pub(crate) server: Peer,
    engine: Engine,
}

impl Pair {
    /// Starts both, without a link.
    pub(crate) fn start(engine: Engine) -> Result<Self, String> {
        Ok(Self { client: Peer::start()?, server: Peer::start()?, engine })
    }

    /// Starts both with one link.
    pub(crate) fn linked(engine: Engine) -> Result<Self, String> {
        let mut pair = Self::start(engine)?;
        pair.link(1, 0, Work::Answer)?;
        Ok(pair)
    }

    pub(crate) fn pin(&self, placement: Placement) -> Result<(), String> {
        placement.pin(self.client.pid(), self.server.pid())
    }

    /// Makes links between the two, with so many objects on each.
    pub(crate) fn link(&mut self, links: u32, objects: u32, work: Work) -> Result<(), String> {
        link(&mut self.client, &mut self.server, self.engine, links, objects, work)
    }

    /// Processor time that both have used so far.
    pub(crate) fn processor_time_ns(&mut self) -> Result<u64, String> {
        Ok(self.client.nanoseconds(&Order::ProcessorTime)? + self.server.nanoseconds(&Order::ProcessorTime)?)
    }

    /// Calls a second, of one block.
    pub(crate) fn rate(&mut self, calls: u32, depth: u32) -> Result<f64, String> {
        let nanoseconds = self.client.nanoseconds(&Order::Call(Load::Deep { calls, depth }))?;
        Ok(f64::from(calls) * 1e9 / nanoseconds as f64)
    }
}

/// Makes links between any two peers.
pub(crate) fn link(
    client: &mut Peer,
    server: &mut Peer,
    engine: Engine,
    links: u32,
    objects: u32,
    work: Work,
) -> Result<(), String> {
    let mut left = links;
    while left > 0 {
        let links = left.min(LINKS_AT_ONCE);
        let (client_ends, server_ends) = socket_pairs(links)?;
        server.order(&Order::Serve { links, engine, work }, &borrowed(&server_ends))?;
        if engine == Engine::Guarded {
            server.kept.watch(server_ends)?;
        }
        client.order(&Order::Connect { links, engine, objects }, &borrowed(&client_ends))?;
        left -= links;
    }
    Ok(())
}

/// The server ends of Latchkey's links, kept and watched for a hang-up as the kernel does: each message passes by the
/// watch, which is a part of what a link costs.
struct Kept {
    epoll: OwnedFd,
    ends: Vec<OwnedFd>,
}

impl Kept {
    fn new() -> Result<Self, String> {
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| format!("cannot watch links: {error}"))?;
        Ok(Self { epoll, ends: Vec::new() })
    }

    fn watch(&mut self, ends: Vec<OwnedFd>) -> Result<(), String> {
        for end in &ends {
            epoll::add(&self.epoll, end, epoll::EventData::new_u64(0), epoll::EventFlags::ET)
                .map_err(|error| format!("cannot watch a link: {error}"))?;
        }
        self.ends.extend(ends);
        Ok(())
    }
}

/// Both ends of so many links, as the kernel makes them.
pub(crate) fn socket_pairs(count: u32) -> Result<(Vec<OwnedFd>, Vec<OwnedFd>), String> {
    let made = (0..count).map(|_| socket_pair());
    Ok(made.collect::<Result<Vec<_>, String>>()?.into_iter().unzip())
}

fn socket_pair() -> Result<(OwnedFd, OwnedFd), String> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| format!("cannot make a link: {error}"))?;
    for end in [&pair.0, &pair.1] {
        sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER_BYTES)
            .map_err(|error| format!("cannot size a link's buffer: {error}"))?;
    }
    Ok(pair)
}

pub(crate) fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}
