//! The door of the node in miniature: links in memory, with their other ends on the same thread.

use super::Hand;
use super::directory::DirectoryServer;
use super::session::SessionServer;
use super::tree::Tree;
use capnp::traits::HasTypeId;
use futures::executor::LocalPool;
use futures::task::{LocalSpawnExt, noop_waker_ref};
use schema::session_capnp::session;
use schema::storage_capnp::stored_directory;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use vat::door::{Badge, Carries, Lease, Peer, Role};
use vat::guest::{Event, HostDoor, HostNotice, Opened};
use vat::link::Ending;
use vat::testing::{Cutter, ManualClock, MemoryEnd, SharedClock, pair};
use vat::{Bounds, EndReason, Rights, Transport, serve};

/// What one end of a link takes before the other reads: small, so that apps meet links that are full.
const LINK_BYTES: usize = 16 << 10;

type Step = Box<dyn FnOnce(&Hand<'_>)>;

/// What the parts of a node in miniature share.
#[derive(Clone, Default)]
pub(crate) struct Control {
    pub(super) offers: Rc<RefCell<BTreeMap<String, Option<Tree>>>>,
    /// The interface and the rights that were asked for under a label.
    pub(super) asked: Rc<RefCell<BTreeMap<String, (u64, Rights)>>>,
    pub(super) to_open: Rc<RefCell<Vec<String>>>,
    pub(super) revoked: Rc<RefCell<BTreeSet<String>>>,
    pub(super) steps: Rc<RefCell<VecDeque<Step>>>,
    pub(super) at_calls: Rc<RefCell<BTreeMap<u64, Step>>>,
    /// Calls that reached a folder or a file.
    pub(super) calls: Rc<Cell<u64>>,
}

/// The links of a door.
pub(super) struct Links {
    control: Control,
    state: RefCell<LinksState>,
}

#[derive(Default)]
struct LinksState {
    open: BTreeMap<u32, Link>,
    last_number: u32,
    events: VecDeque<Event>,
    later: VecDeque<Event>,
    spawned: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
}

struct Link {
    label: String,
    is_session: bool,
    end: MemoryEnd,
    cutter: Cutter,
    credit_bytes: usize,
    wants_room: bool,
    closed: bool,
}

pub(super) struct MemoryDoor {
    links: Links,
    pool: LocalPool,
}

impl MemoryDoor {
    pub(super) fn new(control: Control) -> MemoryDoor {
        let links = Links { control, state: RefCell::default() };
        links.open_session();
        MemoryDoor { links, pool: LocalPool::new() }
    }

    /// Lets the other ends do what they can, and takes in what came of it.
    fn advance(&mut self) {
        for task in self.links.state.borrow_mut().spawned.drain(..) {
            let _ = self.pool.spawner().spawn_local(task);
        }
        self.pool.run_until_stalled();
        let due = self.links.control.at_calls.borrow().keys().next().copied();
        if due.is_some_and(|due| due <= self.links.control.calls.get())
            && let Some((_, step)) = self.links.control.at_calls.borrow_mut().pop_first()
        {
            step(&Hand { door: &self.links });
        }
        let to_open = self.links.control.to_open.take();
        to_open.iter().for_each(|label| self.links.open_grant(label));
        self.links.read();
    }
}

impl HostDoor for MemoryDoor {
    fn wait(&mut self, timeout: Option<Duration>) -> Vec<Event> {
        loop {
            self.advance();
            let events = std::mem::take(&mut self.links.state.borrow_mut().events);
            if !events.is_empty() {
                return events.into();
            }
            if !self.links.state.borrow().spawned.is_empty() {
                continue;
            }
            let later = self.links.state.borrow_mut().later.pop_front();
            if let Some(event) = later {
                return vec![event];
            }
            let step = self.links.control.steps.borrow_mut().pop_front();
            if let Some(step) = step {
                step(&Hand { door: &self.links });
                continue;
            }
            if let Some(time) = timeout {
                std::thread::sleep(time);
            }
            return Vec::new();
        }
    }

    fn send(&mut self, link: u32, bytes: &[u8]) -> usize {
        self.links.send(link, bytes)
    }

    fn open_window(&mut self, link: u32, bytes: u32) {
        if let Some(link) = self.links.state.borrow_mut().open.get_mut(&link) {
            link.credit_bytes += bytes as usize;
        }
    }

    fn closed(&mut self, link: u32) -> bool {
        self.links.state.borrow().open.get(&link).is_none_or(|link| link.closed || link.end.is_hung_up())
    }

    fn close(&mut self, link: u32) {
        self.links.state.borrow_mut().open.remove(&link);
    }
}

impl Links {
    fn send(&self, link: u32, bytes: &[u8]) -> usize {
        let mut state = self.state.borrow_mut();
        let Some(link) = state.open.get_mut(&link) else { return 0 };
        let mut taken = 0;
        while taken < bytes.len() {
            let mut context = Context::from_waker(noop_waker_ref());
            match link.end.poll_write(&mut context, &[IoSlice::new(&bytes[taken..])]) {
                Poll::Ready(Ok(count)) if count > 0 => taken += count,
                Poll::Ready(_) => break,
                Poll::Pending => {
                    link.wants_room = true;
                    break;
                }
            }
        }
        taken
    }

    fn read(&self) {
        let mut state = self.state.borrow_mut();
        let LinksState { open, events, .. } = &mut *state;
        for (number, link) in open {
            if std::mem::take(&mut link.wants_room) {
                events.push_back(Event::Room(*number));
            }
            while link.credit_bytes > 0 && !link.closed {
                let mut buffer = vec![0; link.credit_bytes.min(LINK_BYTES)];
                let mut context = Context::from_waker(noop_waker_ref());
                match link.end.poll_read(&mut context, &mut buffer) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(count)) if count > 0 => {
                        buffer.truncate(count);
                        link.credit_bytes -= count;
                        events.push_back(Event::Bytes { link: *number, bytes: buffer });
                    }
                    Poll::Ready(_) => {
                        link.closed = true;
                        let ending = Ending { reason: EndReason::Closed, detail: String::new() };
                        events.push_back(Event::Closed { link: *number, ending });
                    }
                }
            }
        }
    }

    /// Opens a link whose other end serves `root`.
    fn open(
        &self,
        label: &str,
        interface: u64,
        rights: Rights,
        root: impl FnOnce(&vat::Exports) -> capnp::capability::Client,
    ) {
        let is_session = interface == session::Client::TYPE_ID;
        let badge = Badge {
            grant: 1,
            interface,
            rights,
            expires_at_ms: 0,
            calls: Lease::UNLIMITED,
            bytes: Lease::UNLIMITED,
            methods: Vec::new(),
            peer: if is_session { Peer::Powerbox } else { Peer::Service },
            holder: "test".to_owned(),
            object: String::new(),
            accounts: Vec::new(),
        };
        let (here, there) = pair(LINK_BYTES);
        let clock = Rc::new(SharedClock(ManualClock::at_ms(0)));
        let server_badge = Badge { peer: Peer::App, ..badge.clone() };
        let bounds = if is_session { Bounds::for_app_session() } else { Bounds::for_peer(Peer::App) };
        let serving = serve(there, &server_badge, bounds, clock, root);
        let mut state = self.state.borrow_mut();
        state.spawned.push(Box::pin(async move {
            serving.await;
        }));
        state.last_number += 1;
        let number = state.last_number;
        state.events.push_back(Event::Opened(Opened {
            link: number,
            role: Role::Client,
            carries: if is_session { Carries::Session } else { Carries::Grant },
            label: label.to_owned(),
            badge: badge.encode().unwrap_or_default(),
            window: 0,
        }));
        let (cutter, label) = (here.cutter(), label.to_owned());
        let link = Link { label, is_session, end: here, cutter, credit_bytes: 0, wants_room: false, closed: false };
        state.open.insert(number, link);
    }

    fn open_session(&self) {
        let server = SessionServer(self.control.clone());
        self.open("", session::Client::TYPE_ID, Rights::ALL, |exports| {
            exports.export::<session::Client, _>(server).client
        });
    }

    fn open_grant(&self, label: &str) {
        let asked = self.control.asked.borrow().get(label).copied();
        let offer = self.control.offers.borrow().get(label).cloned().flatten();
        let (Some((interface, rights)), Some(tree)) = (asked, offer) else { return };
        let calls = self.control.calls.clone();
        let is_stored = interface == stored_directory::Client::TYPE_ID;
        self.open(label, interface, rights, |exports| {
            DirectoryServer { exports: exports.clone(), tree, at: Vec::new(), rights, calls, is_stored }.export().client
        });
    }

    /// Ends a label's links, with the reason told at once or only after the app has seen the end.
    pub(super) fn end(&self, label: &str, reason: EndReason, detail: &str, at_once: bool) {
        if reason == EndReason::Revoked {
            self.control.revoked.borrow_mut().insert(label.to_owned());
        }
        let mut state = self.state.borrow_mut();
        let ending = Ending { reason, detail: detail.to_owned() };
        let LinksState { open, events, later, .. } = &mut *state;
        for (number, link) in open.iter_mut().filter(|(_, link)| link.label == label && !link.is_session) {
            link.cutter.cut();
            link.closed = true;
            let bare = Ending { reason: EndReason::Closed, detail: String::new() };
            let told = if at_once { ending.clone() } else { bare };
            events.push_back(Event::Closed { link: *number, ending: told });
        }
        let notice = Event::Notice(HostNotice { label: label.to_owned(), ending });
        if at_once { events.push_back(notice) } else { later.push_back(notice) }
    }

    pub(super) fn reopen(&self, label: &str) {
        self.control.to_open.borrow_mut().push(label.to_owned());
    }

    pub(super) fn restart_session(&self) {
        for link in self.state.borrow_mut().open.values_mut().filter(|link| link.is_session) {
            link.cutter.cut();
        }
        self.open_session();
    }

    pub(super) fn stop(&self) {
        self.state.borrow_mut().events.push_back(Event::Stop);
    }
}
