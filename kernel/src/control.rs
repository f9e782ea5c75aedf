//! The control channel: commands of the powerbox, and the events it is told of.

use crate::prelude::*;
use capnp::message::Builder;
use schema::kernel_capnp::{command, event, page};
use vat::door::packet::{pack, unpack};

/// Events that wait for the powerbox, in bytes: more than a node with 20,000 links makes when all of them end at once
/// (about 100 bytes each). A powerbox that lets more gather is started again and reads the inventory instead.
const EVENTS_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// With so much waiting, no further command is read: answers and events stay in proportion.
const COMMANDS_PAUSE_BYTES: usize = 256 * 1024;
/// Commands carried out in a turn, so that they keep nobody waiting.
const COMMANDS_A_TURN: usize = 64;
const DETAIL_LIMIT_BYTES: usize = 1_000;
/// Rows on a page. A process has a name of at most 96 bytes and 56 of fields: a page stays under half a packet.
const ROWS: usize = 150;

/// Calls setters of a message one after the other.
macro_rules! fill {
    ($builder:expr, $($set:ident($value:expr)),+) => {{
        let builder = &mut $builder;
        $(builder.$set($value);)+
    }};
}
pub(crate) use fill;

#[derive(Default)]
pub(crate) struct Control {
    pub channel: Option<Channel>,
    pub told: bool,      // it has asked for the inventory: from then on it is told what changes
    pages: Vec<Vec<u8>>, // the inventory as of that moment
}

/// How a command went: outcome, detail.
pub(crate) type Answer = (Outcome, String);

pub(crate) fn ok() -> Answer {
    (Outcome::Ok, String::new())
}

pub(crate) fn no(outcome: Outcome, detail: impl Into<String>) -> Answer {
    (outcome, detail.into())
}

/// A text of a command, which is the powerbox's and within a packet.
pub(crate) fn text(reader: capnp::Result<capnp::text::Reader<'_>>) -> Result<String, DoorError> {
    Ok(reader?.to_str().map_err(|error| DoorError::Malformed(error.to_string()))?.to_owned())
}

impl Kernel {
    pub(crate) fn close_control(&mut self) {
        if let Some(channel) = std::mem::take(&mut self.control).channel {
            self.poller.forget(&channel.socket, channel.token);
        }
    }

    /// Tells the powerbox. While there is none, or before it has asked for the inventory, there is nobody to tell.
    pub(crate) fn emit(&mut self, write: impl FnOnce(event::Builder<'_>)) {
        self.emit_with(vec![], write);
    }

    pub(crate) fn emit_with(&mut self, descriptors: Vec<Rc<OwnedFd>>, write: impl FnOnce(event::Builder<'_>)) {
        if self.control.told {
            let mut message = Builder::new_default();
            write(message.init_root());
            match pack::<event::Owned>(&message) {
                Ok(bytes) => self.tell(bytes, descriptors),
                Err(error) => self.machine.say(&format!("an event could not be told: {error}")),
            }
        }
    }

    fn tell(&mut self, bytes: Vec<u8>, descriptors: Vec<Rc<OwnedFd>>) {
        let Some(channel) = &mut self.control.channel else { return };
        channel.send(bytes, descriptors, &self.poller);
        if channel.waiting_bytes > EVENTS_LIMIT_BYTES {
            self.kill(POWERBOX, "let too many events gather");
        }
    }

    /// Reads commands and carries them out, in order.
    pub(crate) fn commanded(&mut self) {
        for _ in 0..COMMANDS_A_TURN {
            let Some(channel) = &mut self.control.channel else { return };
            channel.flush(&self.poller);
            if channel.waiting_bytes > COMMANDS_PAUSE_BYTES {
                return;
            }
            match channel.receive(&mut self.buffer) {
                Ok(Some(packet)) => self.command(packet),
                Ok(None) => return,
                Err(Closed) => {
                    self.close_control();
                    return self.door_closed(POWERBOX);
                }
            }
        }
    }

    fn command(&mut self, Packet { bytes, descriptors }: Packet) {
        let answered = unpack(&bytes).and_then(|message| {
            let command = message.get_root::<command::Reader<'_>>()?;
            let answer = self.carry_out(command, descriptors);
            Ok((command.get_sequence(), answer.unwrap_or_else(|error| no(Outcome::Refused, error.to_string()))))
        });
        match answered {
            Ok((sequence, (outcome, detail))) => {
                self.emit(|event| {
                    let (mut done, detail) = (event.init_done(), clip(&detail, DETAIL_LIMIT_BYTES));
                    fill!(done, set_sequence(sequence), set_outcome(outcome), set_detail(detail));
                });
                self.tell_cut();
            }
            Err(error) => self.kill(POWERBOX, &format!("sent what is no command: {error}")),
        }
    }

    fn carry_out(&mut self, command: command::Reader<'_>, descriptors: Vec<OwnedFd>) -> Result<Answer, DoorError> {
        use command::Which;
        match command.which()? {
            Which::Start(start) => return self.start_wanted(start?, descriptors),
            Which::Stop(stop) => return Ok(self.stop_process(stop.clone()?.get_process(), stop?.get_kill())),
            Which::Link(link) => return self.introduce(link?),
            Which::Cut(cut) => {
                let cut = cut?;
                let (reason, detail) = (cut.get_reason()?, text(cut.get_detail())?);
                let mut links: Vec<u64> = cut.get_links()?.iter().collect();
                for grant in cut.get_grants()? {
                    self.links.tombstones.insert(grant);
                    links.extend(self.links.of_grant(grant));
                }
                self.cut(&links, reason, &detail);
            }
            Which::Forget(forget) => forget?.get_grants()?.iter().for_each(|it| _ = self.links.tombstones.remove(&it)),
            Which::Notice(notice) => {
                let (process, notice) = (notice.clone()?.get_process(), Notice::read_from(notice?.get_notice()?)?);
                if !self.processes.contains_key(&process) {
                    return Ok(no(Outcome::Unknown, "there is no such process"));
                }
                if !self.deliver(process, &ToVat::Notice(notice), vec![], DOOR_LIMIT) {
                    return Ok(no(Outcome::Busy, "its door is full"));
                }
            }
            Which::Inventory(inventory) => self.list(inventory?.get_cursor())?,
            Which::DropResource(resource) => drop(self.operators.claims.remove(&resource)),
            Which::Shutdown(()) => self.stop_node(),
            Which::Usage(process) => return Ok(self.report_usage(process)),
        }
        Ok(ok())
    }

    /// Sends a page of the inventory: every process, link and tombstone, which a powerbox that was started (again)
    /// reads first. All pages show the moment of the first request; what changes after it follows as events, as does,
    /// after the last page, how each process is confined.
    fn list(&mut self, cursor: u64) -> Result<(), DoorError> {
        if cursor == 0 {
            (self.control.pages, self.control.told) = (self.picture()?, true);
        }
        let page = usize::try_from(cursor).ok().and_then(|cursor| self.control.pages.get(cursor)).cloned();
        page.into_iter().for_each(|page| self.tell(page, vec![]));
        if self.control.pages.len() as u64 == cursor.saturating_add(1) {
            let others = self.processes.keys().copied().filter(|process| *process != POWERBOX);
            others.collect::<Vec<_>>().into_iter().for_each(|process| self.tell_confined(process));
        }
        Ok(())
    }

    fn picture(&self) -> Result<Vec<Vec<u8>>, DoorError> {
        let processes: Vec<_> = self.processes.iter().collect();
        let links: Vec<_> = self.links.table.iter().filter(|(_, link)| link.open.is_some()).collect();
        let tombstones: Vec<u64> = self.links.tombstones.iter().copied().collect();
        let count = [processes.len(), links.len(), tombstones.len()].map(|rows| rows.div_ceil(ROWS)).iter().sum();
        let mut pages = Vec::new();
        let mut add = |write: &dyn Fn(page::Builder<'_>) -> capnp::Result<()>| -> Result<(), DoorError> {
            let (mut message, next) = (Builder::new_default(), pages.len() + 1);
            let mut page = message.init_root::<event::Builder<'_>>().init_inventory();
            fill!(page, set_cursor(next as u64), set_end(next == count));
            write(page)?;
            pages.push(pack::<event::Owned>(&message)?);
            Ok(())
        };
        for rows in processes.chunks(ROWS) {
            add(&|page| {
                let mut list = page.init_processes(rows.len() as u32);
                for (index, (id, known)) in (0..).zip(rows) {
                    let (mut row, life) = (list.reborrow().get(index), known.life.as_ref());
                    let image = known.plan.as_ref().map_or(Image::Powerbox, |plan| plan.image);
                    fill!(row, set_process(**id), set_image(image), set_pid(life.map_or(0, |life| life.pid)));
                    let confined = life.is_some_and(|life| life.confined.is_some());
                    fill!(row, set_uid(known.identity.0), set_confined(confined));
                    fill!(row, set_shell(known.plan.is_none()), set_restarts(known.restarts), set_name(&known.name));
                }
                Ok(())
            })?;
        }
        for rows in links.chunks(ROWS) {
            add(&|page| {
                let mut list = page.init_links(rows.len() as u32);
                for (index, (id, link)) in (0..).zip(rows) {
                    let mut row = list.reborrow().get(index);
                    fill!(row, set_link(**id), set_grant(link.grant), set_carries(link.carries));
                    fill!(row, set_server(link.server), set_client(link.client));
                }
                Ok(())
            })?;
        }
        tombstones.chunks(ROWS).try_for_each(|rows| add(&|mut page| page.set_tombstones(rows)))?;
        Ok(pages)
    }
}
