//! What the app holds under one label: an object that may come, go, and come back on a new link.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::signal::Signal;
use std::rc::Rc;
use std::time::Duration;
use vat::door::Badge;
use vat::guest::{Delivery, Ending, Guest, GuestClock, LinkWatch};
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
    state: Signal<State>,
}

#[derive(Clone)]
enum State {
    /// There is no link yet, or none just now.
    Away(Option<Ending>),
    Here(Here),
    /// It does not come back of itself.
    Over(Ending),
    /// The app gave it back.
    GivenBack,
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
        Held { label: label.to_owned(), state: Signal::new(State::Away(None)) }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// A link for it came.
    pub(crate) fn link(self: &Rc<Self>, delivery: Delivery, guest: &Guest) {
        let link = delivery.stream.watch();
        let bounds = Bounds::for_peer(delivery.badge.peer);
        let connected = connect(delivery.stream, bounds, Rc::new(GuestClock::new(guest.clone())));
        self.state.set(State::Here(Here { root: connected.root, badge: Rc::new(delivery.badge), link: link.clone() }));
        let held = self.clone();
        guest.spawn(async move {
            let ended = connected.driving.await;
            // the door knows better than this end why, if it knows
            let ending = link.ending().unwrap_or(Ending { reason: ended.reason, detail: ended.detail });
            if held.is_on(&link) {
                held.state.set(after(ending));
            }
        });
    }

    /// The node says why there is no link, or that there will be none for a while.
    pub(crate) fn notice(&self, ending: Ending) {
        let next = after(ending);
        // a notice that it is away may be about an older link than the one that is here
        let stays = self.state.look(|state| match state {
            State::Here(here) => !here.link.is_hung_up(),
            State::GivenBack => true,
            State::Away(_) | State::Over(_) => false,
        });
        if !(stays && matches!(next, State::Away(_))) {
            self.state.set(next);
        }
    }

    fn is_on(&self, link: &LinkWatch) -> bool {
        self.state.look(|state| matches!(state, State::Here(here) if here.link.number() == link.number()))
    }

    /// The object, once it is here.
    pub(crate) async fn get(&self) -> Result<Here> {
        // most of the time there is nothing to wait for
        if let Some(result) = self.state.look(|state| arrived(state, &self.label)) {
            return result;
        }
        let wait = self.state.until(|state| arrived(state, &self.label));
        match Context::current().within(RECONNECT_PATIENCE, wait).await {
            Some(result) => result,
            None => Err(self.state.look(|state| match state {
                State::Away(Some(ending)) => Error::new(ErrorKind::Unavailable, &self.label, ending.detail.as_str()),
                _ => Error::new(ErrorKind::Unavailable, &self.label, "no link came"),
            })),
        }
    }

    /// It is asked for again: what was over may come back.
    pub(crate) fn reopen(&self) {
        if self.state.look(|state| matches!(state, State::Over(_) | State::GivenBack)) {
            self.state.set(State::Away(None));
        }
    }

    /// Whether there is something to give back: it is here, or may come.
    pub(crate) fn is_asked(&self) -> bool {
        self.state.look(|state| match state {
            State::Here(_) | State::Away(Some(_)) => true,
            State::Away(None) | State::Over(_) | State::GivenBack => false,
        })
    }

    /// The node has taken it back at the app's own wish.
    pub(crate) fn give_back(&self) {
        self.state.set(State::GivenBack);
    }

    /// Why a call on that link came to nothing.
    pub(crate) async fn explain(&self, error: &capnp::Error, link: &LinkWatch, subject: &str) -> Error {
        let plain = Error::from_exception(error, subject);
        if plain.kind() != ErrorKind::Disconnected {
            return plain;
        }
        let known = |state: &State| match state {
            State::Over(ending) => Some(over(ending, &self.label)),
            State::GivenBack => Some(given_back(&self.label)),
            State::Away(Some(ending)) if !is_bare(ending.reason) => Some(lost(ending, subject)),
            State::Here(here) if here.link.number() != link.number() => {
                Some(Error::new(ErrorKind::Disconnected, subject, "it was connected anew: open it again"))
            }
            _ => None,
        };
        let reason = Context::current().within(REASON_PATIENCE, self.state.until(known)).await;
        reason.unwrap_or_else(|| match link.ending() {
            Some(ending) => lost(&ending, subject),
            None => plain,
        })
    }
}

fn arrived(state: &State, label: &str) -> Option<Result<Here>> {
    match state {
        State::Here(here) => Some(Ok(here.clone())),
        State::Over(ending) => Some(Err(over(ending, label))),
        State::GivenBack => Some(Err(given_back(label))),
        State::Away(_) => None,
    }
}

/// Whether it only says that a link ended, and a notice that says why may follow.
fn is_bare(reason: EndReason) -> bool {
    matches!(reason, EndReason::Closed | EndReason::PeerLost)
}

/// What a link's ending means for the label.
fn after(ending: Ending) -> State {
    match ending.reason {
        EndReason::Closed | EndReason::PeerLost | EndReason::Unavailable | EndReason::Restarted => {
            State::Away(Some(ending))
        }
        EndReason::Revoked | EndReason::Expired | EndReason::Exhausted | EndReason::Misbehaved | EndReason::Stopped => {
            State::Over(ending)
        }
    }
}

fn over(ending: &Ending, label: &str) -> Error {
    let kind = match ending.reason {
        EndReason::Revoked => ErrorKind::Revoked,
        EndReason::Expired => ErrorKind::Expired,
        EndReason::Exhausted => ErrorKind::Exhausted,
        EndReason::Misbehaved => ErrorKind::Misbehaved,
        EndReason::Unavailable | EndReason::Stopped => ErrorKind::Unavailable,
        EndReason::Closed | EndReason::PeerLost | EndReason::Restarted => ErrorKind::Disconnected,
    };
    Error::new(kind, label, ending.detail.as_str())
}

fn given_back(label: &str) -> Error {
    Error::new(ErrorKind::GivenBack, label, "")
}

fn lost(ending: &Ending, subject: &str) -> Error {
    let why = match ending.reason {
        EndReason::Restarted => "what serves it was restarted",
        EndReason::PeerLost => "what served it ended",
        EndReason::Unavailable => "what serves it is not running",
        _ => "the link was closed",
    };
    let detail = if ending.detail.is_empty() { why.to_owned() } else { format!("{why}: {}", ending.detail) };
    Error::new(ErrorKind::Disconnected, subject, detail)
}
