//! Links: made, closed, cut, confirmed, ended with their process. Of each the kernel keeps a duplicate of the server end:
//! through it a link is cut without anybody's consent.

use crate::prelude::*;
use rustix::net::{AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType, socketpair, sockopt};
use schema::kernel_capnp::link;
use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use vat::door::{Carries, Role};

/// What each direction of a link holds at most (the system doubles it and counts its own overhead): enough for streams
/// of 64 KiB chunks to overlap.
pub(crate) const LINK_BUFFER_BYTES: usize = 128 * 1024;
/// How much a discarding read takes at once.
const DISCARD_BYTES: usize = 64 * 1024;
/// More reads than a full buffer of one-byte messages needs; nothing can be added meanwhile.
const DISCARDS_LIMIT: usize = 1 << 20;
/// Descriptors that stay free for processes, doors and the log when links have used up the rest.
const RESERVED_DESCRIPTORS: u64 = 64;

pub(crate) struct Link {
    pub grant: u64,
    pub carries: Carries,
    pub server: u64, // process numbers
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
    by_grant: BTreeSet<(u64, u64)>,        // grant and link, of those that have a grant
    pub tombstones: BTreeSet<u64>, // grants that were cut and are not yet recorded as revoked: no link is made for them
    untold: Vec<(u64, EndReason, String)>, // links whose ends have yet to be told that they were cut, and why
}

impl Links {
    /// Makes a link and returns its two ends, the server's first.
    pub(crate) fn make(&mut self, id: u64, mut link: Link, poller: &mut Poller) -> rustix::io::Result<[OwnedFd; 2]> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let ends: [OwnedFd; 2] = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?.into();
        for end in &ends {
            sockopt::set_socket_send_buffer_size(end, LINK_BUFFER_BYTES)?;
            sys::pass_rights(end.as_fd(), false);
        }
        let watch = rustix::io::fcntl_dupfd_cloexec(&ends[0], 0)?;
        // Only the hang-up, which is always told: data on the link does not wake the kernel.
        let token = poller.watch(&watch, Source::Link(id), EventFlags::ET)?;
        if link.grant != 0 {
            self.by_grant.insert((link.grant, id));
        }
        link.open = Some((watch, token));
        self.table.insert(id, link);
        Ok(ends)
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
    let mut buffer = [const { MaybeUninit::uninit() }; DISCARD_BYTES];
    for _ in 0..DISCARDS_LIMIT {
        match rustix::net::recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(rustix::io::Errno::AGAIN) => return,
            Ok(_) | Err(_) => {}
        }
    }
}

impl Kernel {
    /// Makes a link and hands out its ends, the server's first. Either both are on their way, or there is no link.
    pub(crate) fn introduce(&mut self, wanted: link::Reader<'_>) -> Result<Answer, DoorError> {
        let (id, grant, server, client) =
            (wanted.get_link(), wanted.get_grant(), wanted.get_server(), wanted.get_client());
        let (carries, label) = (wanted.get_carries()?, text(wanted.get_label())?);
        let ready = |known: &Process| known.life.as_ref().is_some_and(|life| life.door.has_room(DOOR_LIMIT));
        let refused = match [server, client].map(|process| self.processes.get(&process)) {
            _ if self.links.is_open(id) => Some(ok()),
            _ if self.links.table.contains_key(&id) => Some(no(Outcome::Tombstone, "it was cut")),
            _ if self.links.tombstones.contains(&grant) => Some(no(Outcome::Tombstone, "its grant was cut")),
            _ if server == client => Some(no(Outcome::Refused, "a process is not linked to itself")),
            [Some(server), Some(client)] if ready(server) && ready(client) => None,
            [Some(_), Some(_)] => Some(no(Outcome::Busy, "a door is full, or its process is being started again")),
            _ => Some(no(Outcome::Unknown, "there is no such process")),
        };
        if let Some(refused) = refused {
            return Ok(refused);
        }
        let link = Link { grant, carries, server, client, label: label.clone(), open: None };
        let made = self.links.make(id, link, &mut self.poller).ok().filter(|[_, last]| !near_limit(last));
        let Some([server_end, client_end]) = made else {
            self.links.end(id, false, &mut self.poller);
            return Ok(no(Outcome::Busy, "the kernel's limit of descriptors is near"));
        };
        let ends = [
            (server, Role::Server, server_end, wanted.get_server_badge()?),
            (client, Role::Client, client_end, wanted.get_client_badge()?),
        ];
        for (process, role, end, badge) in ends {
            let message = vat::door::Link { id, role, carries, label: label.clone(), badge: badge.to_vec() };
            if !self.deliver(process, &ToVat::Link(message), vec![Rc::new(end)], DOOR_LIMIT) {
                self.links.end(id, false, &mut self.poller);
                return Ok(no(Outcome::Refused, "its label or badge is too long"));
            }
        }
        Ok(ok())
    }

    /// An end of a link was closed, or its server shut it.
    pub(crate) fn link_closed(&mut self, id: u64) {
        if self.links.end(id, true, &mut self.poller).is_some() {
            self.tell_ended(id, EndReason::Closed);
        }
    }

    /// Cuts links. Their ends are told afterwards.
    pub(crate) fn cut(&mut self, ids: &[u64], reason: EndReason, detail: &str) {
        let cut = ids.iter().filter(|id| self.links.cut(**id, &mut self.poller));
        let untold: Vec<_> = cut.map(|id| (*id, reason, detail.to_owned())).collect();
        self.links.untold.extend(untold);
    }

    /// Tells the ends of cut links why. Whoever asked for the cut need not wait for it.
    pub(crate) fn tell_cut(&mut self) {
        for (id, reason, detail) in std::mem::take(&mut self.links.untold) {
            let Some(link) = self.links.table.get(&id) else { continue };
            let (ends, label, raw) = ([link.client, link.server], link.label.clone(), link.carries == Carries::Raw);
            for process in ends {
                let notice = Notice { link: id, label: label.clone(), reason, detail: detail.clone() };
                self.deliver(process, &ToVat::Notice(notice), vec![], NOTICES_LIMIT);
            }
            // Bytes have no calls that could still start: nothing is left to confirm.
            if raw {
                self.quiet(id);
            }
        }
    }

    /// A server says that no call of a cut link starts any more. Of other links it may say what it likes.
    pub(crate) fn link_confirmed(&mut self, process: u64, id: u64) {
        if self.links.table.get(&id).is_some_and(|link| link.server == process && link.open.is_none()) {
            self.quiet(id);
        }
    }

    fn quiet(&mut self, id: u64) {
        if self.links.end(id, false, &mut self.poller).is_some() {
            self.emit(|event| fill!(event.init_quiet(), set_link(id)));
        }
    }

    /// Ends all links of a process that is gone. What it had sent may still be read.
    pub(crate) fn end_links_of(&mut self, process: u64, reason: EndReason, name: &str) {
        for id in self.links.of_process(process) {
            let served = self.links.table.get(&id).is_some_and(|link| link.server == process);
            match (self.links.is_open(id), served) {
                (false, true) => self.quiet(id),
                // Its server lives and has yet to confirm.
                (false, false) => {}
                (true, _) => {
                    let Some(link) = self.links.end(id, !served, &mut self.poller) else { continue };
                    let other = if served { link.client } else { link.server };
                    // Only who served it comes back for the other end.
                    let reason = if !served && reason == EndReason::Restarted { EndReason::PeerLost } else { reason };
                    let notice = Notice { link: id, label: link.label, reason, detail: format!("{name} ended") };
                    self.deliver(other, &ToVat::Notice(notice), vec![], NOTICES_LIMIT);
                    self.tell_ended(id, reason);
                }
            }
        }
    }

    fn tell_ended(&mut self, id: u64, reason: EndReason) {
        self.emit(|event| fill!(event.init_link_ended(), set_link(id), set_reason(reason)));
    }
}

/// The system gives out the lowest free number: a high one means that most are in use.
pub(crate) fn near_limit(descriptor: &OwnedFd) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::from(descriptor.as_raw_fd().unsigned_abs()) + RESERVED_DESCRIPTORS > limit
}

#[cfg(test)]
mod tests;
