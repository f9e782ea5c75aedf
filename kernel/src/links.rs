//! Links and tombstones. Of every link the kernel keeps a duplicate of the server end: through it a link is cut without anybody's consent.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::net::{AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType, socketpair, sockopt};
use vat::door::Carries;

use crate::poller::{Poller, Source};
use crate::sys;

/// What each direction of a link holds at most (the system doubles it and counts its own overhead): enough for streams
/// of 64 KiB chunks to overlap.
const LINK_BUFFER_BYTES: usize = 128 * 1024;
/// How much a discarding read takes at once.
const DISCARD_BYTES: usize = 64 * 1024;
/// More reads than a full buffer of one-byte messages needs; nothing can be added meanwhile.
const DISCARDS_LIMIT: usize = 1 << 20;

pub(crate) struct Link {
    pub grant: u64,
    pub carries: Carries,
    /// Process numbers.
    pub server: u64,
    pub client: u64,
    pub label: String,
    /// The duplicate and its token; none once the link is cut and its server has yet to confirm.
    pub open: Option<(OwnedFd, u64)>,
}

impl Link {
    /// Lets no byte enter any more. Discards what waits for the server if `discard`, else leaves it to be read. Both
    /// ends read the end of the stream afterwards. Returns whether it was open.
    fn shut(&mut self, discard: bool, poller: &mut Poller) -> bool {
        let Some((watch, token)) = self.open.take() else { return false };
        poller.forget(&watch, token);
        // Fails only where both ends are closed.
        let _ = rustix::net::shutdown(&watch, Shutdown::Both);
        if discard {
            drain(&watch);
        }
        true
    }
}

#[derive(Default)]
pub(crate) struct Links {
    pub table: BTreeMap<u64, Link>,
    /// Grant and link, of those that have a grant.
    by_grant: BTreeSet<(u64, u64)>,
    /// Grants that were cut and are not yet recorded as revoked: no link is made for them.
    pub tombstones: BTreeSet<u64>,
}

impl Links {
    /// Makes a link and returns its two ends, the server's first.
    pub(crate) fn make(
        &mut self,
        id: u64,
        mut link: Link,
        poller: &mut Poller,
    ) -> rustix::io::Result<(OwnedFd, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (server, client) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        for end in [&server, &client] {
            sockopt::set_socket_send_buffer_size(end, LINK_BUFFER_BYTES)?;
            sys::pass_rights(end.as_fd(), false);
        }
        let watch = rustix::io::fcntl_dupfd_cloexec(&server, 0)?;
        // Only the hang-up, which is always told: data on the link does not wake the kernel.
        let token = poller.watch(&watch, Source::Link(id), EventFlags::ET)?;
        if link.grant != 0 {
            self.by_grant.insert((link.grant, id));
        }
        link.open = Some((watch, token));
        self.table.insert(id, link);
        Ok((server, client))
    }

    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.table.get(&id).is_some_and(|link| link.open.is_some())
    }

    /// The links of a grant, cut ones that nobody confirmed yet included.
    pub(crate) fn of_grant(&self, grant: u64) -> impl Iterator<Item = u64> {
        self.by_grant.range((grant, 0)..=(grant, u64::MAX)).map(|(_, link)| *link)
    }

    /// The links with an end at this process.
    pub(crate) fn of_process(&self, process: u64) -> Vec<u64> {
        let ends = self.table.iter().filter(|(_, link)| link.server == process || link.client == process);
        ends.map(|(id, _)| *id).collect()
    }

    /// Cuts: afterwards no byte enters, and what the server had not read is gone. The link stays in the table until
    /// its server confirms. Returns whether it was open.
    pub(crate) fn cut(&mut self, id: u64, poller: &mut Poller) -> bool {
        self.table.get_mut(&id).is_some_and(|link| link.shut(true, poller))
    }

    /// Takes a link out of the table. What was sent may still be read where the reader lives.
    pub(crate) fn end(&mut self, id: u64, server_lives: bool, poller: &mut Poller) -> Option<Link> {
        let mut link = self.table.remove(&id)?;
        self.by_grant.remove(&(link.grant, id));
        link.shut(!server_lives, poller);
        Some(link)
    }
}

/// Reads and discards to the end of the stream. A mark of out-of-band data ends a read early, and an error that the
/// peer left is told once: neither is the end.
fn drain(socket: &OwnedFd) {
    let mut buffer = [0; DISCARD_BYTES];
    for _ in 0..DISCARDS_LIMIT {
        match rustix::net::recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(rustix::io::Errno::AGAIN) => return,
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
