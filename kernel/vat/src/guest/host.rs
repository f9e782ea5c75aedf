//! The door as the guest sees it, in plain types: what `wit/door.wit` says, and nothing of how it is bound.

use super::stream::Stream;
use crate::door::{Badge, Carries, Role};
use crate::link::Ending;
use std::time::Duration;

/// A door: the import of `wit/door.wit`, or something that stands in for it in a native test.
pub trait HostDoor {
    /// Suspends until something happened or the time has passed; then the list is empty. An empty list without a
    /// timeout says that nothing will ever happen again.
    fn wait(&mut self, timeout: Option<Duration>) -> Vec<Event>;

    /// Hands over bytes and returns how many were taken, in order from the first. Never suspends. Where not all were,
    /// [`Event::Room`] says when to go on.
    fn send(&mut self, link: u32, bytes: &[u8]) -> usize;

    /// Lets the other side send that many bytes more.
    fn open_window(&mut self, link: u32, bytes: u32);

    /// Whether the link was cut or ended, as of now. Never suspends.
    fn closed(&mut self, link: u32) -> bool;

    /// Lets go of the link.
    fn close(&mut self, link: u32);
}

/// What a door reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link was delivered.
    Opened(Opened),
    /// Bytes came on a link.
    Bytes {
        /// The link.
        link: u32,
        /// The bytes, never empty.
        bytes: Vec<u8>,
    },
    /// The link takes bytes again.
    Room(u32),
    /// Nothing comes any more on the link and nothing is taken.
    Closed {
        /// The link.
        link: u32,
        /// Why.
        ending: Ending,
    },
    /// Something about a label.
    Notice(HostNotice),
    /// Finish and exit.
    Stop,
}

/// A link as the door announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number in this guest; no number is used twice.
    pub link: u32,
    /// Which end this is.
    pub role: Role,
    /// What goes over it.
    pub carries: Carries,
    /// What it was asked for under.
    pub label: String,
    /// An encoded badge.
    pub badge: Vec<u8>,
    /// How much is taken at first.
    pub window: u32,
}

/// A notice about a label: why its link ended, or that what serves it is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostNotice {
    /// The label.
    pub label: String,
    /// Why.
    pub ending: Ending,
}

/// What a guest's main loop hands to the app's own code, in the order in which it came.
#[derive(Debug)]
pub enum Arrival {
    /// A link, ready to be used.
    Link(Delivery),
    /// Something about a label.
    Notice(HostNotice),
    /// Finish and exit.
    Stop,
}

/// A delivered link.
#[derive(Debug)]
pub struct Delivery {
    /// Which end this is.
    pub role: Role,
    /// What goes over it.
    pub carries: Carries,
    /// What it was asked for under.
    pub label: String,
    /// What the powerbox says about it.
    pub badge: Badge,
    /// The link itself. Dropping it lets go of the link.
    pub stream: Stream,
}
