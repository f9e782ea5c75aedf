//! What the kernel waits for: descriptors by token, and moments in time.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

/// Readiness taken in one turn; what is left over is there in the next.
const EVENTS_LIMIT: usize = 256;

/// What a token stands for. Tokens are never used twice, so a late event of something that is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Signals,
    Operators,
    Control,
    Door(u64),
    Exit(u64),
    Link(u64),
}

/// What was set for a moment. The second number, where there is one, is the token of the door that it was set for:
/// another life of the same process has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// Start it again.
    Restart(u64),
    /// It should be confined by now.
    Confined(u64, u64),
    /// It should have read its door by now.
    Blocked(u64, u64),
    /// It should have ended by now.
    Kill(u64, u64),
    /// The powerbox should have read the control channel by now.
    ControlBlocked(u64),
    /// Look at the memory of those that have a limit.
    Memory,
    /// Services had their time to stop.
    ServicesStopped,
}

pub(crate) struct Poller {
    epoll: OwnedFd,
    sources: HashMap<u64, Source>,
    last_token: u64,
    alarms: BTreeMap<(Instant, u64), Alarm>,
}

impl Poller {
    pub(crate) fn new() -> rustix::io::Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll, sources: HashMap::new(), last_token: 0, alarms: BTreeMap::new() })
    }

    /// A new token.
    pub(crate) fn token(&mut self, source: Source) -> u64 {
        self.last_token += 1;
        self.sources.insert(self.last_token, source);
        self.last_token
    }

    pub(crate) fn watch(&self, descriptor: impl AsFd, token: u64, events: EventFlags) -> rustix::io::Result<()> {
        epoll::add(&self.epoll, descriptor, EventData::new_u64(token), events)
    }

    /// What to tell of. It cannot fail for a descriptor that is watched.
    pub(crate) fn change(&self, descriptor: impl AsFd, token: u64, events: EventFlags) {
        let _ = epoll::modify(&self.epoll, descriptor, EventData::new_u64(token), events);
    }

    /// To be called before the descriptor is closed: while a copy of it is open elsewhere, it would be told of for ever.
    pub(crate) fn forget(&mut self, descriptor: impl AsFd, token: u64) {
        self.sources.remove(&token);
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    pub(crate) fn source(&self, token: u64) -> Option<Source> {
        self.sources.get(&token).copied()
    }

    /// Sets an alarm. There is no taking back: who hears it looks whether it still matters.
    pub(crate) fn alarm(&mut self, after: Duration, alarm: Alarm) {
        self.last_token += 1;
        self.alarms.insert((Instant::now() + after, self.last_token), alarm);
    }

    /// The next alarm whose time has come.
    pub(crate) fn due(&mut self) -> Option<Alarm> {
        let first = self.alarms.first_entry()?;
        (first.key().0 <= Instant::now()).then(|| first.remove())
    }

    /// Waits until something is ready or an alarm is due.
    pub(crate) fn wait(&self) -> rustix::io::Result<Vec<(u64, EventFlags)>> {
        let until = self.alarms.first_key_value().map(|((at, _), _)| at.saturating_duration_since(Instant::now()));
        // Fits: alarms are set for minutes.
        let timeout = until.and_then(|until| Timespec::try_from(until).ok());
        let mut events = Vec::with_capacity(EVENTS_LIMIT);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        Ok(events.iter().map(|event| (event.data.u64(), event.flags)).collect())
    }
}
