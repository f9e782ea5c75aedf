//! What happens with links: made, closed, cut, confirmed, ended with their process.

use std::os::fd::AsRawFd;
use std::rc::Rc;

use vat::door::{Carries, Notice, Role, ToVat};
use vat::words::EndReason;

use crate::control::Answer;
use crate::kernel::{DOOR_LIMIT, Kernel, NOTICES_LIMIT};
use crate::links::Link;

/// Descriptors that stay free for processes, doors and the log when links have used up the rest.
const RESERVED_DESCRIPTORS: u64 = 64;

/// A link as the powerbox asks for it.
pub(crate) struct Wanted {
    pub id: u64,
    pub grant: u64,
    pub carries: Carries,
    pub server: u64,
    pub client: u64,
    pub label: String,
    pub server_badge: Vec<u8>,
    pub client_badge: Vec<u8>,
}

impl Kernel {
    /// Makes a link and hands out its ends, the server's first. Either both are on their way, or there is no link.
    pub(crate) fn introduce(&mut self, wanted: Wanted) -> Answer {
        if let Some(link) = self.links.get(wanted.id) {
            return if link.is_open() { Answer::ok() } else { Answer::tombstone() };
        }
        if self.links.tombstones.contains(&wanted.grant) {
            return Answer::tombstone();
        }
        if wanted.server == wanted.client {
            return Answer::refused("a process is not linked to itself");
        }
        for process in [wanted.server, wanted.client] {
            match self.processes.get(&process) {
                None => return Answer::unknown(&format!("there is no process {process}")),
                Some(known) => match &known.life {
                    None => return Answer::busy("its process is being started again"),
                    Some(life) if life.door.waiting() >= DOOR_LIMIT => return Answer::busy("a door is full"),
                    Some(_) => {}
                },
            }
        }
        let Wanted { id, grant, carries, server, client, label, .. } = wanted;
        let link = Link::new(grant, carries, server, client, label.clone());
        let (server_end, client_end) = match self.links.make(id, link, &mut self.poller) {
            Ok(ends) => ends,
            Err(error) => return Answer::busy(&format!("no socket for a link: {error}")),
        };
        if self.near_limit(client_end.as_raw_fd()) {
            self.links.end(id, false, &mut self.poller);
            return Answer::busy("the kernel's limit of descriptors is near");
        }
        let ends = [
            (server, Role::Server, server_end, wanted.server_badge),
            (client, Role::Client, client_end, wanted.client_badge),
        ];
        for (process, role, end, badge) in ends {
            let message = ToVat::Link(vat::door::Link { id, role, carries, label: label.clone(), badge });
            if self.deliver(process, &message, vec![Rc::new(end)], DOOR_LIMIT).is_err() {
                self.links.end(id, false, &mut self.poller);
                return Answer::busy("a door did not take its end");
            }
        }
        Answer::ok()
    }

    /// The system gives out the lowest free number: a high one means that most are in use.
    pub(crate) fn near_limit(&self, number: i32) -> bool {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        u64::from(number.unsigned_abs()) + RESERVED_DESCRIPTORS > limit
    }

    /// An end of a link was closed, or its server shut it.
    pub(crate) fn link_closed(&mut self, id: u64) {
        if let Some(link) = self.links.end(id, true, &mut self.poller) {
            self.tell_ended(id, link.grant, EndReason::Closed);
        }
    }

    /// Cuts links. All are shut before anything else is done. Returns how many were open or wait to be confirmed.
    pub(crate) fn cut(&mut self, ids: &[u64], reason: EndReason, detail: &str) -> u64 {
        let known = ids.iter().filter(|id| self.links.get(**id).is_some()).count();
        let cut: Vec<u64> = ids.iter().copied().filter(|id| self.links.cut(*id, &mut self.poller)).collect();
        for id in cut {
            let Some(link) = self.links.get(id) else { continue };
            let (ends, label) = ([link.client, link.server], link.label.clone());
            // Bytes have no calls that could still start: nothing is left to confirm.
            let quiet = link.carries == Carries::Raw;
            for process in ends {
                self.notify(process, Notice { link: id, label: label.clone(), reason, detail: detail.to_owned() });
            }
            if quiet {
                self.quiet(id);
            }
        }
        known as u64
    }

    /// Tells a process why a link ended. Best effort: the end of the stream says that it did.
    pub(crate) fn notify(&mut self, process: u64, notice: Notice) {
        let _ = self.deliver(process, &ToVat::Notice(notice), vec![], NOTICES_LIMIT);
    }

    /// A server says that no call of a cut link starts any more. Of other links it may say what it likes.
    pub(crate) fn link_confirmed(&mut self, process: u64, id: u64) {
        if self.links.get(id).is_some_and(|link| link.server == process && !link.is_open()) {
            self.quiet(id);
        }
    }

    fn quiet(&mut self, id: u64) {
        let Some(link) = self.links.end(id, false, &mut self.poller) else { return };
        self.emit(vec![], |event| {
            let mut quiet = event.init_quiet();
            quiet.set_link(id);
            quiet.set_grant(link.grant);
        });
    }

    /// Ends all links of a process that is gone. What it had sent may still be read.
    pub(crate) fn end_links_of(&mut self, process: u64, reason: EndReason, name: &str) {
        for id in self.links.of_process(process) {
            let Some(link) = self.links.get(id) else { continue };
            let served = link.server == process;
            match (link.is_open(), served) {
                (false, true) => self.quiet(id),
                // Its server lives and has yet to confirm.
                (false, false) => {}
                (true, _) => {
                    let Some(link) = self.links.end(id, !served, &mut self.poller) else { continue };
                    let other = if served { link.client } else { link.server };
                    // Only who served it comes back for the other end.
                    let reason = if served || reason != EndReason::Restarted { reason } else { EndReason::PeerLost };
                    self.notify(other, Notice { link: id, label: link.label, reason, detail: format!("{name} ended") });
                    self.tell_ended(id, link.grant, reason);
                }
            }
        }
    }

    fn tell_ended(&mut self, id: u64, grant: u64, reason: EndReason) {
        self.emit(vec![], |event| {
            let mut ended = event.init_link_ended();
            ended.set_link(id);
            ended.set_grant(grant);
            ended.set_reason(reason);
        });
    }
}
