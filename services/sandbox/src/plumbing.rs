//! All links of the guest, and what waits for it at its door. Nothing here looks into the bytes.

use crate::bindings::latchkey::door::door as wit;
use crate::doorway::Doorway;
use crate::link::{Arrived, Link, SEND_LIMIT_BYTES};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::task::{Context, Poll, Waker};
use vat::door::{Badge, Carries, Notice, Role};
use vat::native::Delivery;
use vat::words::reason_name;

/// Bytes that go to the guest in one list: some links' worth, and little beside the memory of a guest.
const BATCH_LIMIT_BYTES: usize = 1 << 20;
/// Events that wait. For a guest that does not come to its door no more is taken from the kernel, which sees the door
/// fill up.
const EVENTS_LIMIT: usize = 1_024;

/// The links by the guest's numbers, the process's own door, and the events between them.
pub(crate) struct Plumbing {
    doorway: Doorway,
    early: VecDeque<Delivery>,
    links: BTreeMap<u32, Link>,
    last_number: u32,
    /// Whose turn it is to be read first.
    next: u32,
    events: VecDeque<wit::Event>,
    batch_bytes: usize,
    /// Why links ended, where that came before their end did.
    reasons: BTreeMap<u64, Notice>,
    /// Server ends whose end was told with the last list of events.
    told: Vec<u64>,
    /// The guest waits at its door and has polled just now.
    polled: bool,
    /// The guest is to stop and was not told yet.
    stop_waits: bool,
}

impl Plumbing {
    /// `early`: what came through the door before the guest began.
    pub(crate) fn new(doorway: Doorway, early: Vec<Delivery>) -> Self {
        Self {
            doorway,
            early: early.into(),
            links: BTreeMap::new(),
            last_number: 0,
            next: 0,
            events: VecDeque::new(),
            batch_bytes: 0,
            reasons: BTreeMap::new(),
            told: Vec::new(),
            polled: false,
            stop_waits: false,
        }
    }

    /// Moves what can be moved while the guest waits for something else than its door.
    ///
    /// # Errors
    /// The door is of no use any more, and so is this process.
    pub(crate) fn poll_beside(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.polled) { Ok(()) } else { self.poll(context) }
    }

    /// The guest is at its door: everything that waits, once something does.
    ///
    /// # Errors
    /// As for [`Plumbing::poll_beside`].
    pub(crate) fn poll_events(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Vec<wit::Event>>> {
        self.poll(context)?;
        self.polled = self.events.is_empty();
        if self.polled { Poll::Pending } else { Poll::Ready(Ok(self.take_events())) }
    }

    /// Whether the guest is to stop, and has not come to its door since.
    pub(crate) fn stop_waits(&self) -> bool {
        self.stop_waits
    }

    /// The guest came back to its door: what it was told has had its effect. No call of a link of which it knows the
    /// end is started any more.
    pub(crate) fn confirm_told(&mut self) {
        for link in self.told.drain(..) {
            self.doorway.confirm_ended(link);
        }
    }

    pub(crate) fn send(&mut self, number: u32, bytes: &[u8]) -> usize {
        self.links.get_mut(&number).map_or(0, |link| link.send(bytes))
    }

    pub(crate) fn open_window(&mut self, number: u32, bytes: u32) {
        if let Some(link) = self.links.get_mut(&number) {
            link.open_window(bytes);
        }
    }

    /// A link that there is not counts as closed.
    pub(crate) fn is_closed(&self, number: u32) -> bool {
        self.links.get(&number).is_none_or(Link::is_closed)
    }

    pub(crate) fn close(&mut self, number: u32) {
        let Some(mut link) = self.links.remove(&number) else { return };
        link.flush();
        self.told.retain(|told| *told != link.id);
        self.reasons.remove(&link.id);
        if link.role == Role::Server {
            self.doorway.confirm_ended(link.id);
        }
    }

    /// The guest is gone: what it sent last goes out as far as the sockets take it.
    pub(crate) fn flush(&mut self) {
        self.links.values_mut().for_each(Link::flush);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while let Some(delivery) = self.early.pop_front() {
            self.take(delivery, context.waker())?;
        }
        while self.events.len() < EVENTS_LIMIT {
            match self.doorway.poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(delivery) => self.take(delivery?, context.waker())?,
            }
        }
        self.poll_links();
        self.doorway.poll_confirm(context)
    }

    fn take(&mut self, delivery: Delivery, task: &Waker) -> io::Result<()> {
        match delivery {
            Delivery::Link(link) if link.carries != Carries::Raw => {
                self.last_number += 1;
                let number = self.last_number;
                let badge = link.badge.as_ref().map_or_else(|| Ok(Vec::new()), Badge::encode);
                self.events.push_back(wit::Event::Opened(wit::Delivery {
                    link: number,
                    role: if link.role == Role::Server { wit::Role::Server } else { wit::Role::Client },
                    carries: if link.carries == Carries::Session { wit::Carries::Session } else { wit::Carries::Grant },
                    label: link.label.clone(),
                    badge: badge.map_err(io::Error::other)?,
                    window: u32::try_from(SEND_LIMIT_BYTES).unwrap_or(u32::MAX),
                }));
                let (id, role) = (link.id, link.role);
                self.links.insert(number, Link::new(link.socket, id, role, task.clone())?);
            }
            Delivery::Notice(notice) => self.notice(notice),
            Delivery::Stop => {
                self.stop_waits = true;
                self.events.push_back(wit::Event::Stop);
            }
            // A guest has three standard streams and they came before it; resources come before that.
            Delivery::Link(_) | Delivery::Resource(..) => {}
        }
        Ok(())
    }

    fn notice(&mut self, notice: Notice) {
        if self.links.values().any(|link| link.id == notice.link) {
            self.reasons.insert(notice.link, notice.clone());
        }
        self.events.push_back(wit::Event::Notice(wit::Notice {
            label: notice.label,
            reason: reason_name(notice.reason).to_owned(),
            detail: notice.detail,
        }));
    }

    /// One chunk from each link to which something happened, in turns; those that found no room are first next time.
    fn poll_links(&mut self) {
        let first = self.next;
        let (before, after): (Vec<u32>, Vec<u32>) = self
            .links
            .iter()
            .filter(|(_, link)| link.is_raised())
            .map(|(number, _)| *number)
            .partition(|number| *number < first);
        for number in after.into_iter().chain(before) {
            if self.batch_bytes >= BATCH_LIMIT_BYTES || self.events.len() >= EVENTS_LIMIT {
                self.next = number;
                return;
            }
            self.poll_link(number);
        }
    }

    fn poll_link(&mut self, number: u32) {
        let Self { links, events, batch_bytes, reasons, .. } = self;
        let Some(link) = links.get_mut(&number) else { return };
        let id = link.id;
        link.poll(|arrived| {
            events.push_back(match arrived {
                Arrived::Bytes(bytes) => {
                    *batch_bytes += bytes.len();
                    wit::Event::Bytes(wit::Chunk { link: number, bytes })
                }
                Arrived::Room => wit::Event::Room(number),
                Arrived::End => wit::Event::Closed(ending(number, reasons.remove(&id))),
            });
        });
    }

    fn take_events(&mut self) -> Vec<wit::Event> {
        self.batch_bytes = 0;
        self.stop_waits = false;
        let events = Vec::from(std::mem::take(&mut self.events));
        for event in &events {
            if let wit::Event::Closed(ending) = event
                && let Some(link) = self.links.get(&ending.link)
                && link.role == Role::Server
            {
                self.told.push(link.id);
            }
        }
        events
    }
}

fn ending(link: u32, notice: Option<Notice>) -> wit::Ending {
    match notice {
        Some(notice) => wit::Ending { link, reason: reason_name(notice.reason).to_owned(), detail: notice.detail },
        None => wit::Ending { link, reason: "closed".to_owned(), detail: String::new() },
    }
}
