//! What the app holds under one label: an object that may come, go, and come back on a new link.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use std::rc::Rc;
use std::time::Duration;
use vat::door::Badge;
use vat::guest::{Delivery, Guest, GuestClock, LinkWatch};
use vat::link::{Ending, Presence, Root};
use vat::words::EndReason;
use vat::{Bounds, connect};

/// How long an object that is away is waited for: longer than a service takes to be restarted a few times over, short
/// enough that a person does not think that the app hangs.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long after a lost connection its reason is waited for. It is told by another process, right after.
const REASON_PATIENCE: Duration = Duration::from_millis(500);

/// The object of one label.
pub struct Held {
    label: String,
    root: Root<Here>,
}

/// An object on its present link.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) root: capnp::capability::Client,
    pub(crate) badge: Rc<Badge>,
    pub(crate) link: LinkWatch,
}

impl Held {
    pub(crate) fn new(label: &str) -> Held {
        Held { label: label.to_owned(), root: Root::new() }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// A link for it came.
    pub(crate) fn link(self: &Rc<Self>, delivery: Delivery, guest: &Guest) {
        let link = delivery.stream.watch();
        let bounds = Bounds::for_peer(delivery.badge.peer);
        let connected = connect(delivery.stream, bounds, Rc::new(GuestClock::new(guest.clone())));
        let here = Here { root: connected.root, badge: Rc::new(delivery.badge), link: link.clone() };
        let on_link = self.root.arrived(here);
        let held = self.clone();
        guest.spawn(async move {
            let ended = connected.driving.await;
            // the door knows better than this end why, if it knows
            let ending = link.ending().unwrap_or(Ending { reason: ended.reason, detail: ended.detail });
            held.root.ended(on_link, ending);
        });
    }

    /// The node says why there is no link, or that there will be none for a while.
    pub(crate) fn notice(&self, ending: Ending) {
        self.root.noticed(ending, |here| !here.link.is_hung_up());
    }

    /// The object, once it is here.
    pub(crate) async fn get(&self) -> Result<Here> {
        // most of the time there is nothing to wait for
        let found = match self.root.now() {
            Some(found) => Some(found),
            None => Context::current().within(RECONNECT_PATIENCE, self.root.here()).await,
        };
        match found {
            Some(found) => found.map_err(|gone| gone.map_or_else(|| self.was_given_back(), |gone| self.over(&gone))),
            None => Err(self.root.look(|presence| match presence {
                Presence::Gone(gone) => Error::new(ErrorKind::Unavailable, &self.label, gone.detail.as_str()),
                _ => Error::new(ErrorKind::Unavailable, &self.label, "no link came"),
            })),
        }
    }

    /// It is asked for again: what was over may come back.
    pub(crate) fn reopen(&self) {
        self.root.asked_again();
    }

    /// Whether there is something to give back: it is here, or may come.
    pub(crate) fn is_asked(&self) -> bool {
        self.root.look(|presence| match presence {
            Presence::Here(_) => true,
            Presence::Gone(gone) => gone.is_for_now(),
            Presence::Awaited | Presence::GivenBack => false,
        })
    }

    /// The node has taken it back at the app's own wish.
    pub(crate) fn give_back(&self) {
        self.root.given_back();
    }

    /// Why a call on that link came to nothing.
    pub(crate) async fn explain(&self, error: &capnp::Error, link: &LinkWatch, subject: &str) -> Error {
        let plain = Error::from_exception(error, subject);
        if plain.kind() != ErrorKind::Disconnected {
            return plain;
        }
        let known = |presence: &Presence<Here>| match presence {
            Presence::Gone(gone) if !gone.is_for_now() => Some(self.over(gone)),
            Presence::Gone(gone) if !is_bare(gone.reason) => Some(lost(gone.reason, &gone.detail, subject)),
            Presence::GivenBack => Some(self.was_given_back()),
            Presence::Here(here) if here.link.number() != link.number() => {
                Some(Error::new(ErrorKind::Disconnected, subject, "it was connected anew: open it again"))
            }
            _ => None,
        };
        let reason = Context::current().within(REASON_PATIENCE, self.root.until(known)).await;
        reason.unwrap_or_else(|| match link.ending() {
            Some(ending) => lost(ending.reason, &ending.detail, subject),
            None => plain,
        })
    }

    /// It does not come back of itself.
    fn over(&self, ending: &Ending) -> Error {
        let kind = match ending.reason {
            EndReason::Revoked => ErrorKind::Revoked,
            EndReason::Expired => ErrorKind::Expired,
            EndReason::Exhausted => ErrorKind::Exhausted,
            EndReason::Misbehaved => ErrorKind::Misbehaved,
            EndReason::Unavailable | EndReason::Stopped => ErrorKind::Unavailable,
            EndReason::Closed | EndReason::PeerLost | EndReason::Restarted => ErrorKind::Disconnected,
        };
        Error::new(kind, &self.label, ending.detail.as_str())
    }

    fn was_given_back(&self) -> Error {
        Error::new(ErrorKind::GivenBack, &self.label, "")
    }
}

/// Whether it only says that a link ended, and a notice that says why may follow.
fn is_bare(reason: EndReason) -> bool {
    matches!(reason, EndReason::Closed | EndReason::PeerLost)
}

fn lost(reason: EndReason, detail: &str, subject: &str) -> Error {
    let why = match reason {
        EndReason::Restarted => "what serves it was restarted",
        EndReason::PeerLost => "what served it ended",
        EndReason::Unavailable => "what serves it is not running",
        _ => "the link was closed",
    };
    let detail = if detail.is_empty() { why.to_owned() } else { format!("{why}: {detail}") };
    Error::new(ErrorKind::Disconnected, subject, detail)
}
