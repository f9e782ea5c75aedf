//! What happens with links: made, closed, cut, confirmed, ended with their process.

use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use schema::kernel_capnp::{Outcome, link};
use vat::door::{Carries, DoorError, Notice, Role, ToVat};
use vat::words::EndReason;

use crate::control::{Answer, fill, no, ok, text};
use crate::kernel::{DOOR_LIMIT, Kernel, NOTICES_LIMIT};
use crate::links::Link;

/// Descriptors that stay free for processes, doors and the log when links have used up the rest.
const RESERVED_DESCRIPTORS: u64 = 64;

impl Kernel {
    /// Makes a link and hands out its ends, the server's first. Either both are on their way, or there is no link.
    pub(crate) fn introduce(&mut self, wanted: link::Reader<'_>) -> Result<Answer, DoorError> {
        let (id, grant, server, client) =
            (wanted.get_link(), wanted.get_grant(), wanted.get_server(), wanted.get_client());
        let (carries, label) = (wanted.get_carries()?, text(wanted.get_label())?);
        if self.links.is_open(id) {
            return Ok(ok());
        }
        if self.links.table.contains_key(&id) || self.links.tombstones.contains(&grant) {
            return Ok(no(Outcome::Tombstone, "it was cut"));
        }
        if server == client {
            return Ok(no(Outcome::Refused, "a process is not linked to itself"));
        }
        for process in [server, client] {
            match self.processes.get(&process).map(|known| &known.life) {
                None => return Ok(no(Outcome::Unknown, format!("there is no process {process}"))),
                Some(Some(life)) if life.door.waiting() < DOOR_LIMIT => {}
                Some(_) => return Ok(no(Outcome::Busy, "a door is full, or its process is being started again")),
            }
        }
        let link = Link { grant, carries, server, client, label: label.clone(), open: None };
        let made = self.links.make(id, link, &mut self.poller);
        let (server_end, client_end) = match made {
            Ok(ends) if !near_limit(&ends.1) => ends,
            _ => {
                self.links.end(id, false, &mut self.poller);
                return Ok(no(Outcome::Busy, "the kernel's limit of descriptors is near"));
            }
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
        if let Some(link) = self.links.end(id, true, &mut self.poller) {
            self.tell_ended(id, link.grant, EndReason::Closed);
        }
    }

    /// Cuts links. All are shut before anything else is done. Returns how many were open or wait to be confirmed.
    pub(crate) fn cut(&mut self, ids: &[u64], reason: EndReason, detail: &str) -> u64 {
        let known = ids.iter().filter(|id| self.links.table.contains_key(id)).count();
        let cut: Vec<u64> = ids.iter().copied().filter(|id| self.links.cut(*id, &mut self.poller)).collect();
        for id in cut {
            let Some(link) = self.links.table.get(&id) else { continue };
            let (ends, label, raw) = ([link.client, link.server], link.label.clone(), link.carries == Carries::Raw);
            for process in ends {
                self.notify(process, Notice { link: id, label: label.clone(), reason, detail: detail.to_owned() });
            }
            // Bytes have no calls that could still start: nothing is left to confirm.
            if raw {
                self.quiet(id);
            }
        }
        known as u64
    }

    /// Tells a process why a link ended. Best effort: the end of the stream says that it did.
    fn notify(&mut self, process: u64, notice: Notice) {
        self.deliver(process, &ToVat::Notice(notice), vec![], NOTICES_LIMIT);
    }

    /// A server says that no call of a cut link starts any more. Of other links it may say what it likes.
    pub(crate) fn link_confirmed(&mut self, process: u64, id: u64) {
        if self.links.table.get(&id).is_some_and(|link| link.server == process && link.open.is_none()) {
            self.quiet(id);
        }
    }

    fn quiet(&mut self, id: u64) {
        let Some(link) = self.links.end(id, false, &mut self.poller) else { return };
        self.emit(|event| fill!(event.init_quiet(), set_link(id), set_grant(link.grant)));
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
                    self.notify(other, Notice { link: id, label: link.label, reason, detail: format!("{name} ended") });
                    self.tell_ended(id, link.grant, reason);
                }
            }
        }
    }

    fn tell_ended(&mut self, id: u64, grant: u64, reason: EndReason) {
        self.emit(|event| fill!(event.init_link_ended(), set_link(id), set_grant(grant), set_reason(reason)));
    }
}

/// The system gives out the lowest free number: a high one means that most are in use.
pub(crate) fn near_limit(descriptor: &OwnedFd) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    u64::from(descriptor.as_raw_fd().unsigned_abs()) + RESERVED_DESCRIPTORS > limit
}
