//! What the loop, the streams and the app's own code of one guest share. Nothing here is a global, so that tests run
//! several guests side by side.

use super::bound::INPUT_WINDOW_BYTES;
use super::clock::Timers;
use super::host::{Arrival, Delivery, Event, HostDoor, Opened};
use super::link::Link;
use super::stream::Stream;
use crate::door::Badge;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

pub(super) struct Shared {
    host: RefCell<Box<dyn HostDoor>>,
    links: RefCell<BTreeMap<u32, Rc<Link>>>,
    arrivals: RefCell<Arrivals>,
    pub(super) timers: Timers,
}

#[derive(Default)]
struct Arrivals {
    waiting: VecDeque<Arrival>,
    waker: Option<Waker>,
}

impl Shared {
    pub(super) fn new(host: Box<dyn HostDoor>) -> Rc<Shared> {
        Rc::new(Shared {
            host: RefCell::new(host),
            links: RefCell::default(),
            arrivals: RefCell::default(),
            timers: Timers::default(),
        })
    }

    pub(super) fn is_hung_up(&self, link: &Link) -> bool {
        link.is_hung_up(&mut **self.host.borrow_mut())
    }

    pub(super) fn write(&self, link: &Link, pieces: &[IoSlice<'_>], waker: &Waker) -> Option<usize> {
        link.write(pieces, waker, &mut **self.host.borrow_mut())
    }

    pub(super) fn poll_arrival(&self, context: &mut Context<'_>) -> Poll<Arrival> {
        let mut arrivals = self.arrivals.borrow_mut();
        if let Some(arrival) = arrivals.waiting.pop_front() {
            return Poll::Ready(arrival);
        }
        arrivals.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// All output goes out, credit goes back, links that nobody holds are let go of. Whether something can run now.
    pub(super) fn end_turn(&self) -> bool {
        let mut host = self.host.borrow_mut();
        let mut woken = false;
        self.links.borrow_mut().retain(|number, link| {
            woken |= link.end_turn(&mut **host);
            let kept = !(link.dropped.get() && link.is_flushed());
            if !kept {
                host.close(*number);
            }
            kept
        });
        woken
    }

    /// Suspends at the door, and takes what it brought. False: nothing will ever happen again.
    pub(super) fn wait(self: &Rc<Self>) -> bool {
        let timeout = self.timers.until_next();
        let events = self.host.borrow_mut().wait(timeout);
        let alive = timeout.is_some() || !events.is_empty();
        for event in events {
            self.take(event);
        }
        self.timers.fire();
        alive
    }

    fn take(self: &Rc<Self>, event: Event) {
        match event {
            Event::Opened(opened) => self.open(opened),
            Event::Bytes { link, bytes } => self.with(link, |link| link.put(bytes)),
            Event::Room(link) => self.with(link, Link::room),
            Event::Closed { link, ending } => self.with(link, |link| link.end(ending)),
            Event::Notice(notice) => self.arrive(Arrival::Notice(notice)),
            Event::Stop => self.arrive(Arrival::Stop),
        }
    }

    fn open(self: &Rc<Self>, opened: Opened) {
        let mut host = self.host.borrow_mut();
        // a badge that cannot be read is a system that this library does not know: better no link than a wrong one
        let Ok(badge) = Badge::decode(&opened.badge) else {
            host.close(opened.link);
            return;
        };
        host.open_window(opened.link, INPUT_WINDOW_BYTES);
        drop(host);
        let link = Rc::new(Link::new(opened.link));
        self.links.borrow_mut().insert(opened.link, link.clone());
        self.arrive(Arrival::Link(Delivery {
            role: opened.role,
            carries: opened.carries,
            label: opened.label,
            badge,
            stream: Stream::new(link, self.clone()),
        }));
    }

    fn with(&self, number: u32, act: impl FnOnce(&Link)) {
        // one that was let go of may still have had something under way
        let link = self.links.borrow().get(&number).cloned();
        if let Some(link) = link {
            act(&link);
        }
    }

    fn arrive(&self, arrival: Arrival) {
        let mut arrivals = self.arrivals.borrow_mut();
        arrivals.waiting.push_back(arrival);
        if let Some(waker) = arrivals.waker.take() {
            waker.wake();
        }
    }
}
