//! The kernel's state, its one loop, and what is said at doors.

use crate::control::Control;
use crate::links::Links;
use crate::prelude::*;
use crate::shells::Operators;
use crate::spawn::Machine;
use rustix::process::{Signal, pidfd_send_signal};
use vat::door::{Confinement, FromVat, PACKET_LIMIT_BYTES};

/// The powerbox's process number.
pub(crate) const POWERBOX: u64 = 0;
/// A process has so long to take something from its door before it counts as stuck.
const DOOR_GRACE: Duration = Duration::from_secs(10);
/// Links and resources that wait at one door; more are refused as `busy`.
pub(crate) const DOOR_LIMIT: usize = 64;
/// Notices that wait at one door. What is lost beyond shows as the end of the stream all the same.
pub(crate) const NOTICES_LIMIT: usize = 1_024;
/// What a process may say at its door on its own account: a last word, and others for panics on the way there.
const LAST_WORDS: i64 = 16;
/// What it may say of each link that it was given: that it ended, which a sandbox says again when its guest lets go.
const WORDS_A_LINK: i64 = 2;
/// Packets taken from one door in a turn, so that none keeps the others waiting.
const PACKETS_A_TURN: usize = 64;

/// How to start a process, the first time and again.
pub(crate) struct Plan {
    pub image: Image,
    pub setup: Vec<u8>,
    pub resources: Vec<(Resource, Rc<OwnedFd>)>,
    pub folder: Option<Resource>, // what the process itself opens, in place of resources
    pub restart: bool,
    pub memory_bytes: u64, // limits
    pub cpu_seconds: u64,
    pub file_bytes: u64,
    pub identity: (u32, u32), // user and group; of a folder's service root: its owner's
}

/// A process that runs.
pub(crate) struct Life {
    pub pid: u32,
    pub exit: Option<(OwnedFd, u64)>, // what tells of its end, and its token. A shell has none: its door tells
    pub door: Channel,
    pub confined: Option<Confinement>, // what it said of it
    pub since: Instant,
}

#[derive(Default)]
pub(crate) struct Process {
    pub name: String,
    pub plan: Option<Rc<Plan>>, // a shell has none
    pub life: Option<Life>,     // none between a death and the next start
    pub identity: (u32, u32),   // user and group
    pub restarts: u32,
    pub failures: u32,
    pub last: String,   // its own last word
    pub stopping: bool, // it was told to stop, and is not started again
    pub killed: String, // why, if it was. It may have to end a system call before it ends
    pub words: i64,     // what its links gave it to say at its door, less what it said
    /// When it is started again, if it does not run; else when it is killed, unless it has confined itself or ended.
    pub due: Option<Instant>,
}

pub(crate) struct Kernel {
    pub machine: Machine,
    pub poller: Poller,
    pub processes: BTreeMap<u64, Process>,
    pub links: Links,
    pub control: Control,
    pub operators: Operators,
    signals: OwnedFd,
    pub reduced: bool,           // less confinement than usual is allowed
    pub ready: Option<File>,     // where to say that the node takes operators
    pub stopping: bool,          // the node was told to stop
    pub refused: Option<String>, // why the state cannot be used, if so
    pub buffer: Vec<u8>,
}

impl Kernel {
    pub(crate) fn new(machine: Machine, uid: u32, reduced: bool, ready: Option<File>) -> std::io::Result<Kernel> {
        let (mut poller, operators, signals) = (Poller::new()?, Operators::open(uid)?, sys::stop_signals()?);
        poller.watch(&signals, Source::Signals, EventFlags::IN)?;
        poller.watch(&operators.socket, Source::Operators, EventFlags::IN)?;
        Ok(Kernel {
            machine,
            poller,
            processes: BTreeMap::new(),
            links: Links::default(),
            control: Control::default(),
            operators,
            signals,
            reduced,
            ready,
            stopping: false,
            refused: None,
            buffer: vec![0; PACKET_LIMIT_BYTES],
        })
    }

    /// Runs the node until it was stopped in order. Shells need not go first.
    pub(crate) fn run(&mut self) -> std::io::Result<()> {
        while !self.stopping || self.processes.values().any(|known| known.plan.is_some()) {
            let next = self.processes.keys().filter_map(|process| self.due(*process)).min();
            for token in self.poller.wait(next)? {
                match self.poller.source(token) {
                    Some(Source::Signals) => {
                        // Once is enough, and which one it was does not matter.
                        self.poller.forget(&self.signals, token);
                        self.stop_node();
                    }
                    Some(Source::Operators) => self.admit(),
                    Some(Source::Control) => self.commanded(),
                    Some(Source::Door(process)) => self.heard(process),
                    Some(Source::Exit(process)) => self.died(process),
                    Some(Source::Link(link)) => self.link_closed(link),
                    None => {}
                }
            }
            self.machine.trim_log();
            let overdue = |process: &u64| self.due(*process).is_some_and(|due| due <= Instant::now());
            for process in self.processes.keys().copied().filter(overdue).collect::<Vec<_>>() {
                self.overdue(process);
            }
        }
        Ok(())
    }

    /// When something must have happened to a process.
    fn due(&self, process: u64) -> Option<Instant> {
        let known = self.processes.get(&process)?;
        let control = self.control.channel.as_ref().filter(|_| process == POWERBOX);
        let channels = known.life.iter().map(|life| &life.door).chain(control);
        channels.filter_map(|channel| Some(channel.blocked_since? + DOOR_GRACE)).chain(known.due).min()
    }

    fn overdue(&mut self, process: u64) {
        let why = match self.processes.get(&process) {
            Some(Process { life: None, .. }) => return self.restart(process),
            // It hangs in the operating system, and does nothing more but that.
            Some(Process { killed, .. }) if !killed.is_empty() => return self.gone(process, -libc::SIGKILL),
            Some(Process { stopping: true, .. }) => "did not stop in time",
            Some(Process { life: Some(Life { confined: None, .. }), .. }) => "did not confine itself",
            _ => "did not read its door, or closed it",
        };
        self.kill(process, why);
    }

    /// The next packet at a door, if there is one.
    pub(crate) fn next_said(&mut self, process: u64) -> Result<Option<Packet>, Closed> {
        let life = self.processes.get(&process).and_then(|known| known.life.as_ref());
        life.map_or(Ok(None), |life| life.door.receive(&mut self.buffer))
    }

    /// Reads a door, and sends what waits for it.
    fn heard(&mut self, process: u64) {
        for _ in 0..PACKETS_A_TURN {
            match self.next_said(process) {
                Ok(Some(packet)) => self.said(process, packet),
                Ok(None) => break,
                Err(Closed) => return self.door_closed(process),
            }
        }
        if let Some(life) = self.processes.get_mut(&process).and_then(|known| known.life.as_mut()) {
            life.door.flush(&self.poller);
        }
    }

    /// Puts a message into a door, if fewer than `limit` wait there.
    pub(crate) fn deliver(&mut self, process: u64, message: &ToVat, rides: Vec<Rc<OwnedFd>>, limit: usize) -> bool {
        let Some(known) = self.processes.get_mut(&process) else { return false };
        let life = known.life.as_mut().filter(|life| life.door.has_room(limit));
        let (Some(life), Ok(bytes)) = (life, message.encode()) else { return false };
        life.door.send(bytes, rides, &self.poller);
        known.words += if matches!(message, ToVat::Link(_)) { WORDS_A_LINK } else { 0 };
        true
    }

    /// A shell without its door is gone. Any other process can do nothing more but end, and is given time to.
    pub(crate) fn door_closed(&mut self, process: u64) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        match &known.life {
            Some(life) if known.plan.is_some() => {
                self.poller.forget(&life.door.socket, life.door.token);
                known.due = Some(Instant::now() + crate::supervise::STOP_GRACE);
            }
            _ => self.gone(process, 0),
        }
    }

    /// Ends a process at once; its exit is then seen like any other.
    pub(crate) fn kill(&mut self, process: u64, why: &str) {
        if process == POWERBOX {
            self.close_control();
        }
        let Some(known) = self.processes.get_mut(&process) else { return };
        // One that hangs in the operating system ends when it can. Only a node that stops does not wait for it.
        known.due = self.stopping.then(|| Instant::now() + crate::supervise::STOP_GRACE);
        if !known.killed.is_empty() {
            return;
        }
        self.machine.say(&format!("{} ({process}) is killed: {why}", known.name));
        known.killed = why.to_owned();
        match &mut known.life {
            Some(Life { exit: Some((pidfd, _)), door, .. }) => {
                door.blocked_since = None;
                // Fails only where it has ended already.
                let _ = pidfd_send_signal(pidfd.as_fd(), Signal::KILL);
            }
            _ => self.gone(process, 0),
        }
    }

    pub(crate) fn said(&mut self, process: u64, Packet { bytes, descriptors }: Packet) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        let (shell, message) = (known.plan.is_none(), FromVat::decode(&bytes));
        known.words -= i64::from(matches!(message, Ok(FromVat::Ended { .. } | FromVat::Last(_))));
        match message {
            _ if known.words < -LAST_WORDS => self.kill(process, "said more at its door than it has reason to"),
            Ok(FromVat::Confined(confinement)) if !shell => self.confined(process, confinement),
            Ok(FromVat::Ended { link }) => self.link_confirmed(process, link),
            Ok(FromVat::Resource(resource)) if shell => self.resource_offered(process, &resource, descriptors),
            Ok(FromVat::Last(last)) => known.last = last,
            Ok(_) => self.kill(process, "said at its door what is not for it to say"),
            Err(error) => self.kill(process, &format!("sent its door what is no message: {error}")),
        }
    }
}
