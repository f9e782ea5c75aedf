//! The control channel: commands of the powerbox, and the events it is told of.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use capnp::message::Builder;
use schema::kernel_capnp::{Outcome, command, event, folder_identity};
use vat::door::packet::{pack, unpack};
use vat::door::{DoorError, Notice, ToVat};
use vat::words::clip;

use crate::channel::{Channel, Incoming, Packet, Received, Refused};
use crate::folders::Identity;
use crate::introduce::Wanted;
use crate::inventory::Inventory;
use crate::kernel::{DOOR_GRACE, DOOR_LIMIT, Kernel, POWERBOX};
use crate::poller::{Alarm, Poller, Source};

/// Events that wait for the powerbox, in bytes: more than a node with 20,000 links makes at once when all of them end
/// (about 100 bytes each). A powerbox that lets more gather is started again and reads the inventory instead.
const EVENTS_LIMIT_BYTES: usize = 8 * 1024 * 1024;
/// With so much waiting, no further command is read: answers and events stay in proportion.
const COMMANDS_PAUSE_BYTES: usize = 256 * 1024;
/// Commands taken in a turn.
const COMMANDS_A_TURN: usize = 64;
/// The powerbox's end of the channel as the kernel names it in events.
const DETAIL_LIMIT_BYTES: usize = 1_000;

#[derive(Default)]
pub(crate) struct Control {
    channel: Option<Channel>,
    /// It has asked for the inventory: from then on it is told what changes.
    told: bool,
    pub inventory: Inventory,
}

impl Control {
    /// A fresh channel for a powerbox that is about to start. Returns its end.
    pub(crate) fn open(&mut self, poller: &mut Poller) -> rustix::io::Result<OwnedFd> {
        self.close(poller);
        let token = poller.token(Source::Control);
        let (channel, theirs) = Channel::pair(poller, token)?;
        self.channel = Some(channel);
        Ok(theirs)
    }

    pub(crate) fn close(&mut self, poller: &mut Poller) {
        self.told = false;
        self.inventory = Inventory::default();
        if let Some(channel) = self.channel.take() {
            poller.forget(channel.socket(), channel.token);
        }
    }
}

/// How a command went.
pub(crate) struct Answer {
    pub outcome: Outcome,
    pub detail: String,
    pub count: u64,
}

impl Answer {
    pub(crate) fn ok() -> Answer {
        Answer { outcome: Outcome::Ok, detail: String::new(), count: 0 }
    }

    pub(crate) fn unknown(detail: &str) -> Answer {
        Answer { outcome: Outcome::Unknown, detail: detail.to_owned(), count: 0 }
    }

    pub(crate) fn tombstone() -> Answer {
        Answer { outcome: Outcome::Tombstone, detail: "it was cut".to_owned(), count: 0 }
    }

    pub(crate) fn busy(detail: &str) -> Answer {
        Answer { outcome: Outcome::Busy, detail: detail.to_owned(), count: 0 }
    }

    pub(crate) fn refused(detail: &str) -> Answer {
        Answer { outcome: Outcome::Refused, detail: detail.to_owned(), count: 0 }
    }
}

impl Kernel {
    /// Tells the powerbox. While there is none, or before it has asked for the inventory, there is nobody to tell.
    pub(crate) fn emit(&mut self, descriptors: Vec<Rc<OwnedFd>>, write: impl FnOnce(event::Builder<'_>)) {
        let mut message = Builder::new_default();
        write(message.init_root::<event::Builder<'_>>());
        let Some(channel) = self.control.channel.as_mut().filter(|_| self.control.told) else { return };
        let was_blocked = channel.blocked_since().is_some();
        match pack::<event::Owned>(&message) {
            // Refused where it is dead: then its exit is seen, and the next one reads the inventory.
            Ok(bytes) => drop(channel.send(Packet { bytes, descriptors }, &self.poller)),
            Err(error) => return self.machine.say(&format!("an event was not sent: {error}")),
        }
        if !was_blocked && channel.blocked_since().is_some() {
            self.poller.alarm(DOOR_GRACE, Alarm::ControlBlocked(channel.token));
        }
        if channel.waiting_bytes() > EVENTS_LIMIT_BYTES {
            self.kill(POWERBOX, "let too many events gather");
        }
    }

    pub(crate) fn control_blocked(&mut self, token: u64) {
        let Some(channel) = self.control.channel.as_ref().filter(|channel| channel.token == token) else { return };
        let Some(since) = channel.blocked_since() else { return };
        if since.elapsed() >= DOOR_GRACE {
            self.kill(POWERBOX, "did not read its control channel");
        } else {
            self.poller.alarm(DOOR_GRACE.saturating_sub(since.elapsed()), Alarm::ControlBlocked(token));
        }
    }

    /// Reads commands and carries them out, in order.
    pub(crate) fn commanded(&mut self) {
        for _ in 0..COMMANDS_A_TURN {
            let Some(channel) = &mut self.control.channel else { return };
            if channel.flush(&self.poller).is_err() {
                break;
            }
            if channel.waiting_bytes() > COMMANDS_PAUSE_BYTES {
                return;
            }
            match channel.receive(&mut self.buffer) {
                Incoming::Packet(received) => self.command(received),
                Incoming::Nothing => return,
                Incoming::Ended => break,
            }
        }
        let Some(channel) = &self.control.channel else { return };
        if rustix::io::ioctl_fionread(channel.socket()).is_err() {
            self.kill(POWERBOX, "closed its control channel");
        }
    }

    fn command(&mut self, received: Received) {
        let decoded = unpack(&received.bytes);
        let decoded = decoded.and_then(|message| {
            let command = message.get_root::<command::Reader<'_>>()?;
            let sequence = command.get_sequence();
            let answer = self.carry_out(command, received.descriptors);
            Ok((sequence, answer.unwrap_or_else(|error| Answer::refused(&error.to_string()))))
        });
        match decoded {
            Ok((sequence, answer)) => self.emit(vec![], |event| {
                let mut done = event.init_done();
                done.set_sequence(sequence);
                done.set_outcome(answer.outcome);
                done.set_detail(clip(&answer.detail, DETAIL_LIMIT_BYTES));
                done.set_count(answer.count);
            }),
            Err(error) => self.kill(POWERBOX, &format!("sent what is no command: {error}")),
        }
    }

    fn carry_out(&mut self, command: command::Reader<'_>, descriptors: Vec<OwnedFd>) -> Result<Answer, DoorError> {
        use command::Which;
        Ok(match command.which()? {
            Which::Start(start) => self.start_wanted(start?, descriptors)?,
            Which::Stop(stop) => {
                let stop = stop?;
                self.stop_process(stop.get_process(), stop.get_kill())
            }
            Which::Link(link) => {
                let link = link?;
                self.introduce(Wanted {
                    id: link.get_link(),
                    grant: link.get_grant(),
                    carries: link.get_carries()?,
                    server: link.get_server(),
                    client: link.get_client(),
                    label: text(link.get_label())?,
                    server_badge: link.get_server_badge()?.to_vec(),
                    client_badge: link.get_client_badge()?.to_vec(),
                })
            }
            Which::Cut(cut) => {
                let cut = cut?;
                let (reason, detail) = (cut.get_reason()?, text(cut.get_detail())?);
                let mut links: Vec<u64> = cut.get_links()?.iter().collect();
                for grant in cut.get_grants()? {
                    self.links.tombstones.insert(grant);
                    links.extend(self.links.of_grant(grant));
                }
                let count = self.cut(&links, reason, &detail);
                Answer { count, ..Answer::ok() }
            }
            Which::Forget(forget) => {
                for grant in forget?.get_grants()? {
                    self.links.tombstones.remove(&grant);
                }
                Answer::ok()
            }
            Which::Notice(notice) => {
                let notice = notice?;
                let (process, notice) = (notice.get_process(), Notice::read_from(notice.get_notice()?)?);
                match self.processes.get(&process) {
                    None => Answer::unknown("there is no such process"),
                    Some(_) => match self.deliver(process, &ToVat::Notice(notice), vec![], DOOR_LIMIT) {
                        Ok(()) => Answer::ok(),
                        Err(Refused) => Answer::busy("its door is full"),
                    },
                }
            }
            Which::Inventory(inventory) => self.list(inventory?.get_cursor()),
            Which::DropResource(resource) => match self.operators.resources.remove(&resource) {
                Some(_) => Answer::ok(),
                None => Answer::unknown("there is no such resource"),
            },
            Which::Shutdown(()) => {
                self.stop_node();
                Answer::ok()
            }
            Which::Usage(process) => self.report_usage(process),
        })
    }

    /// From now on the powerbox is told what changes.
    pub(crate) fn begin_telling(&mut self) {
        self.control.told = true;
    }
}

/// A text of a command, which is the powerbox's and within a packet.
pub(crate) fn text(reader: capnp::Result<capnp::text::Reader<'_>>) -> Result<String, DoorError> {
    Ok(reader?.to_str().map_err(|error| DoorError::Malformed(error.to_string()))?.to_owned())
}

pub(crate) fn read_identity(reader: folder_identity::Reader<'_>) -> Result<Identity, DoorError> {
    Ok(Identity {
        path: text(reader.get_path())?,
        file_system: reader.get_file_system(),
        handle: reader.get_handle()?.to_vec(),
        inode: reader.get_inode(),
    })
}

pub(crate) fn write_identity(identity: &Identity, mut builder: folder_identity::Builder<'_>) {
    builder.set_path(identity.path.as_str());
    builder.set_file_system(identity.file_system);
    builder.set_handle(&identity.handle);
    builder.set_inode(identity.inode);
}
