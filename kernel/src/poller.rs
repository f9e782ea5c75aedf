//! What the kernel waits for: descriptors by token. Tokens are never used twice: a late event of something that is gone
//! finds nothing.

use crate::prelude::*;
use rustix::event::epoll::{self, EventData};
use rustix::io::{Errno, Result};

/// Readiness taken in one turn; what is left over is there in the next.
const EVENTS_LIMIT: usize = 256;

/// What a token stands for.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Signals,
    Operators,
    Control,
    Door(u64),
    Exit(u64),
    Link(u64),
}

pub(crate) struct Poller {
    epoll: OwnedFd,
    sources: BTreeMap<u64, Source>,
    last_token: u64,
}

impl Poller {
    pub(crate) fn new() -> Result<Poller> {
        Ok(Poller { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, sources: BTreeMap::new(), last_token: 0 })
    }

    /// Watches a descriptor and returns its token.
    pub(crate) fn watch(&mut self, descriptor: impl AsFd, source: Source, events: EventFlags) -> Result<u64> {
        self.last_token += 1;
        epoll::add(&self.epoll, descriptor, EventData::new_u64(self.last_token), events)?;
        self.sources.insert(self.last_token, source);
        Ok(self.last_token)
    }

    /// Changes what is told of. It cannot fail for a descriptor that is watched.
    pub(crate) fn change(&self, descriptor: impl AsFd, token: u64, events: EventFlags) {
        let _ = epoll::modify(&self.epoll, descriptor, EventData::new_u64(token), events);
    }

    /// To be called before a descriptor is closed: while a copy of it is open elsewhere, it would be told of for ever.
    pub(crate) fn forget(&mut self, descriptor: impl AsFd, token: u64) {
        self.sources.remove(&token);
        let _ = epoll::delete(&self.epoll, descriptor);
    }

    pub(crate) fn source(&self, token: u64) -> Option<Source> {
        self.sources.get(&token).copied()
    }

    /// Waits until something is ready or the moment has come. Returns tokens.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Result<Vec<u64>> {
        let rest = until.and_then(|until| until.saturating_duration_since(Instant::now()).try_into().ok());
        let mut events = Vec::with_capacity(EVENTS_LIMIT);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), rest.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(events.iter().map(|event| event.data.u64()).collect()),
            Err(error) => Err(error),
        }
    }
}
