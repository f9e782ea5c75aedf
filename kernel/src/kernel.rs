//! The kernel's state and its one loop.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use schema::kernel_capnp::Image;
use vat::door::{Resource, ToVat};

use crate::channel::{Channel, Incoming, Packet, Received, Refused, packet_buffer};
use crate::control::Control;
use crate::images::Images;
use crate::links::Links;
use crate::poller::{Alarm, Poller, Source};
use crate::shells::Operators;
use crate::spawn::{Limits, Machine};
use crate::stop::Stage;

/// The powerbox's process number.
pub(crate) const POWERBOX: u64 = 0;
/// A process has so long to take something from its door before it counts as stuck.
pub(crate) const DOOR_GRACE: Duration = Duration::from_secs(10);
/// A process has so long to confine itself.
pub(crate) const CONFINE_GRACE: Duration = Duration::from_secs(30);
/// Links and resources that wait at one door; more are refused as `busy`.
pub(crate) const DOOR_LIMIT: usize = 64;
/// Notices that wait at one door. What is lost beyond shows as the end of the stream all the same.
pub(crate) const NOTICES_LIMIT: usize = 1_024;
/// Packets taken from one door in a turn, so that none keeps the others waiting.
const PACKETS_A_TURN: usize = 64;

/// How to start a process (again).
pub(crate) struct Plan {
    pub image: Image,
    pub setup: Vec<u8>,
    pub resources: Vec<(Resource, Rc<OwnedFd>)>,
    pub restart: bool,
    pub limits: Limits,
    pub output: bool,
    /// User and group.
    pub identity: (u32, u32),
}

/// A process that runs.
pub(crate) struct Life {
    pub pid: u32,
    /// What tells of its end, and the poller's name for it. A shell has none: its door tells.
    pub pidfd: Option<(OwnedFd, u64)>,
    pub door: Channel,
    pub confined: bool,
    pub since: Instant,
}

pub(crate) struct Process {
    pub name: String,
    /// A shell has none.
    pub plan: Option<Plan>,
    /// None between a death and the next start.
    pub life: Option<Life>,
    pub uid: u32,
    pub restarts: u32,
    pub failures: u32,
    /// Its own last word.
    pub last: String,
    /// It was told to stop, and is not started again.
    pub stopping: bool,
}

pub(crate) struct Kernel {
    pub machine: Machine,
    pub images: Images,
    pub poller: Poller,
    pub processes: BTreeMap<u64, Process>,
    pub links: Links,
    pub control: Control,
    pub operators: Operators,
    pub signals: OwnedFd,
    pub reduced: bool,
    pub ready: Option<OwnedFd>,
    pub stage: Stage,
    /// Why the state cannot be used, if so.
    pub refused: Option<String>,
    pub watching_memory: bool,
    pub buffer: Vec<u8>,
}

impl Kernel {
    pub(crate) fn new(
        machine: Machine,
        images: Images,
        operators: OwnedFd,
        state_uid: u32,
        reduced: bool,
        ready: Option<OwnedFd>,
    ) -> io::Result<Kernel> {
        let mut poller = Poller::new()?;
        let signals = crate::sys::stop_signals()?;
        let token = poller.token(Source::Signals);
        poller.watch(&signals, token, EventFlags::IN)?;
        let token = poller.token(Source::Operators);
        poller.watch(&operators, token, EventFlags::IN)?;
        Ok(Kernel {
            machine,
            images,
            poller,
            processes: BTreeMap::new(),
            links: Links::default(),
            control: Control::default(),
            operators: Operators::new(operators, state_uid),
            signals,
            reduced,
            ready,
            stage: Stage::Running,
            refused: None,
            watching_memory: false,
            buffer: packet_buffer(),
        })
    }

    /// Runs the node until it was stopped in order.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        while self.stage != Stage::Over {
            for (token, _) in self.poller.wait()? {
                match self.poller.source(token) {
                    Some(Source::Signals) => self.signalled(),
                    Some(Source::Operators) => self.admit(),
                    Some(Source::Control) => self.commanded(),
                    Some(Source::Door(process)) => self.heard(process),
                    Some(Source::Exit(process)) => self.died(process),
                    Some(Source::Link(link)) => self.link_closed(link),
                    // Gone since.
                    None => {}
                }
            }
            while let Some(alarm) = self.poller.due() {
                self.alarmed(alarm);
            }
        }
        Ok(())
    }

    fn signalled(&mut self) {
        // The content does not matter: each of these signals means the same.
        let _ = rustix::io::read(&self.signals, &mut [0; 1024]);
        self.stop_node();
    }

    fn alarmed(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Restart(process) => self.restart(process),
            Alarm::Confined(process, door) => {
                if self.life(process, door).is_some_and(|life| !life.confined) {
                    self.kill(process, "did not confine itself in time");
                }
            }
            Alarm::Blocked(process, door) => {
                let Some(since) = self.life(process, door).and_then(|life| life.door.blocked_since()) else { return };
                if since.elapsed() >= DOOR_GRACE {
                    self.kill(process, "did not read its door");
                } else {
                    self.poller.alarm(DOOR_GRACE.saturating_sub(since.elapsed()), alarm);
                }
            }
            Alarm::Kill(process, door) => {
                if self.life(process, door).is_some() {
                    self.kill(process, "did not end in time");
                }
            }
            Alarm::ControlBlocked(token) => self.control_blocked(token),
            Alarm::Memory => self.check_memory(),
            Alarm::ServicesStopped => self.kill_what_is_left(),
        }
    }

    /// The life of a process, if it is still the one whose door has this token.
    fn life(&self, process: u64, door: u64) -> Option<&Life> {
        self.processes.get(&process)?.life.as_ref().filter(|life| life.door.token == door)
    }

    /// Reads a door, and sends what waits for it.
    fn heard(&mut self, process: u64) {
        for _ in 0..PACKETS_A_TURN {
            let Some(life) = self.processes.get_mut(&process).and_then(|known| known.life.as_mut()) else { return };
            match life.door.receive(&mut self.buffer) {
                Incoming::Packet(received) => self.said(process, received),
                Incoming::Nothing => break,
                Incoming::Ended => return self.door_closed(process),
            }
        }
        let Some(life) = self.processes.get_mut(&process).and_then(|known| known.life.as_mut()) else { return };
        if life.door.flush(&self.poller) == Err(Refused) {
            self.door_closed(process);
        }
    }

    /// Puts a message into a door. `limit` is how many may wait there.
    pub(crate) fn deliver(
        &mut self,
        process: u64,
        message: &ToVat,
        descriptors: Vec<Rc<OwnedFd>>,
        limit: usize,
    ) -> Result<(), Refused> {
        let life = self.processes.get_mut(&process).and_then(|known| known.life.as_mut()).ok_or(Refused)?;
        if life.door.waiting() >= limit {
            return Err(Refused);
        }
        let bytes = message.encode().map_err(|_| Refused)?;
        let was_blocked = life.door.blocked_since().is_some();
        life.door.send(Packet { bytes, descriptors }, &self.poller)?;
        if !was_blocked && life.door.blocked_since().is_some() {
            let alarm = Alarm::Blocked(process, life.door.token);
            self.poller.alarm(DOOR_GRACE, alarm);
        }
        Ok(())
    }

    /// The door of a shell closed: it is gone. A process without a door can do nothing but end, and is given time to.
    fn door_closed(&mut self, process: u64) {
        let Some(known) = self.processes.get(&process) else { return };
        if known.plan.is_none() {
            return self.shell_gone(process);
        }
        if let Some(life) = &known.life {
            let token = life.door.token;
            self.poller.forget(life.door.socket(), token);
            self.poller.alarm(crate::stop::STOP_GRACE, Alarm::Kill(process, token));
        }
    }

    /// Ends a process at once; its exit is then seen like any other.
    pub(crate) fn kill(&mut self, process: u64, why: &str) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        self.machine.say(&format!("{} ({process}) is killed: {why}", known.name));
        if known.last.is_empty() {
            known.last = why.to_owned();
        }
        match known.life.as_ref().map(|life| &life.pidfd) {
            Some(Some((pidfd, _))) => {
                // Fails only where it has ended already.
                let _ = rustix::process::pidfd_send_signal(pidfd.as_fd(), rustix::process::Signal::KILL);
            }
            Some(None) => self.shell_gone(process),
            None => {}
        }
    }

    fn said(&mut self, process: u64, received: Received) {
        use vat::door::FromVat;
        let shell = self.processes.get(&process).is_some_and(|known| known.plan.is_none());
        match FromVat::decode(&received.bytes) {
            Ok(FromVat::Confined(confinement)) if !shell => self.confined(process, &confinement),
            Ok(FromVat::Ended { link }) => self.link_confirmed(process, link),
            Ok(FromVat::Resource(resource)) if shell => self.resource_offered(process, resource, received.descriptors),
            Ok(FromVat::Last(last)) => {
                if let Some(known) = self.processes.get_mut(&process) {
                    known.last = last;
                }
            }
            Ok(_) => self.kill(process, "said at its door what is not for it to say"),
            Err(error) => self.kill(process, &format!("sent its door what is no message: {error}")),
        }
    }
}
