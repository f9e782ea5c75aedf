//! An object that may come, go and come back on a new link.

use crate::words::EndReason;
use std::cell::RefCell;
use std::fmt;
use std::task::{Poll, Waker};

/// Why a link ended, and with it an object went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The reason as a word of the system's: the last that is known.
    pub reason: EndReason,
    /// In words, for people; may be empty.
    pub detail: String,
}

impl Ending {
    /// Whether it may come back of itself: what serves it ended or was restarted. Else only a person's decision brings
    /// it back.
    #[must_use]
    pub const fn is_for_now(&self) -> bool {
        match self.reason {
            EndReason::Closed | EndReason::PeerLost | EndReason::Unavailable | EndReason::Restarted => true,
            EndReason::Revoked
            | EndReason::Expired
            | EndReason::Exhausted
            | EndReason::Misbehaved
            | EndReason::Stopped => false,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(crate::words::reason_name(self.reason))?;
        if self.detail.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.detail) }
    }
}

impl std::error::Error for Ending {}

/// What is known about an object at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence<C> {
    /// No link has come yet.
    Awaited,
    /// It is here, on its present link.
    Here(C),
    /// It is not.
    Gone(Ending),
    /// This end gave it back.
    GivenBack,
}

struct Known<C> {
    presence: Presence<C>,
    /// Grows with every link: an end that is told of an older one changes nothing.
    links: u64,
    waiting: Vec<Waker>,
}

/// The root object of a grant, across the links on which it comes. It is a handle, not a reference: calls go to what
/// [`Root::here`] gives, and when its link ends that is broken, with everything obtained through it. What of a call
/// that was under way happened is then unknown.
pub struct Root<C> {
    known: RefCell<Known<C>>,
}

/// Which of its links an object is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnLink(u64);

impl<C> Default for Root<C> {
    fn default() -> Root<C> {
        Root { known: RefCell::new(Known { presence: Presence::Awaited, links: 0, waiting: Vec::new() }) }
    }
}

impl<C: Clone> Root<C> {
    /// An object that no link has brought yet.
    #[must_use]
    pub fn new() -> Root<C> {
        Root::default()
    }

    // --- for whoever uses it ---

    /// Looks at what is known now.
    pub fn look<R>(&self, look: impl FnOnce(&Presence<C>) -> R) -> R {
        look(&self.known.borrow().presence)
    }

    /// Looks again after each change until there is an answer.
    pub async fn until<R>(&self, mut look: impl FnMut(&Presence<C>) -> Option<R>) -> R {
        std::future::poll_fn(|context| {
            let mut known = self.known.borrow_mut();
            if let Some(found) = look(&known.presence) {
                return Poll::Ready(found);
            }
            if !known.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                known.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// The object, if it is here, or that it does not come back of itself; nothing where it may yet come.
    #[must_use]
    pub fn now(&self) -> Option<Result<C, Option<Ending>>> {
        self.look(settled)
    }

    /// The object, as soon as it is here.
    ///
    /// # Errors
    /// It does not come back of itself: why, or nothing where this end gave it back.
    pub async fn here(&self) -> Result<C, Option<Ending>> {
        self.until(settled).await
    }

    /// It is asked for again: what was over may come back.
    pub fn asked_again(&self) {
        if self.look(|presence| matches!(settled(presence), Some(Err(_)))) {
            self.set(Presence::Awaited);
        }
    }

    /// This end gave it back.
    pub fn given_back(&self) {
        self.set(Presence::GivenBack);
    }

    // --- for whoever takes links from the door ---

    /// A link brought it, for the first time or again.
    pub fn arrived(&self, object: C) -> OnLink {
        self.known.borrow_mut().links += 1;
        self.set(Presence::Here(object));
        OnLink(self.known.borrow().links)
    }

    /// That link of it ended. Why is often told by a notice, before or after.
    pub fn ended(&self, link: OnLink, ending: Ending) {
        let is_last = link.0 == self.known.borrow().links;
        if is_last && self.look(|presence| matches!(presence, Presence::Here(_))) {
            self.set(Presence::Gone(ending));
        }
    }

    /// A notice came about it. One that says it is away does not count against a link that is still open: it may be
    /// about an older one.
    pub fn noticed(&self, ending: Ending, is_open: impl FnOnce(&C) -> bool) {
        let stays = self.look(|presence| match presence {
            Presence::Here(object) => is_open(object),
            Presence::GivenBack => true,
            Presence::Awaited | Presence::Gone(_) => false,
        });
        if !(stays && ending.is_for_now()) {
            self.set(Presence::Gone(ending));
        }
    }

    fn set(&self, presence: Presence<C>) {
        let mut known = self.known.borrow_mut();
        known.presence = presence;
        let waiting = std::mem::take(&mut known.waiting);
        drop(known);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Whether there is an answer for who waits.
fn settled<C: Clone>(presence: &Presence<C>) -> Option<Result<C, Option<Ending>>> {
    match presence {
        Presence::Here(object) => Some(Ok(object.clone())),
        Presence::Gone(gone) if !gone.is_for_now() => Some(Err(Some(gone.clone()))),
        Presence::GivenBack => Some(Err(None)),
        Presence::Awaited | Presence::Gone(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn gone(reason: EndReason, detail: &str) -> Ending {
        Ending { reason, detail: detail.to_owned() }
    }

    #[test]
    fn it_is_waited_for_until_it_is_here() {
        let root = Root::new();
        assert_eq!(root.here().now_or_never(), None);
        root.noticed(gone(EndReason::Unavailable, "it starts"), |_| true);
        assert_eq!(root.here().now_or_never(), None);
        root.arrived("object");
        assert_eq!(root.here().now_or_never(), Some(Ok("object")));
    }

    #[test]
    fn what_was_lost_comes_back_and_what_was_revoked_says_so() {
        let root = Root::new();
        let first = root.arrived(1);
        root.ended(first, gone(EndReason::PeerLost, ""));
        assert_eq!(root.here().now_or_never(), None);
        let second = root.arrived(2);
        assert_eq!(root.now(), Some(Ok(2)));
        root.noticed(gone(EndReason::Revoked, "by Ada"), |_| true);
        root.ended(second, gone(EndReason::Closed, ""));
        let why = root.here().now_or_never().unwrap().unwrap_err();
        assert_eq!(why.unwrap().to_string(), "revoked: by Ada");
        // asked for again, a person grants it anew
        root.asked_again();
        assert_eq!(root.now(), None);
        root.arrived(3);
        assert_eq!(root.here().now_or_never(), Some(Ok(3)));
    }

    #[test]
    fn news_of_an_older_link_change_nothing() {
        let root = Root::new();
        let old = root.arrived("old");
        root.arrived("new");
        root.ended(old, gone(EndReason::Closed, ""));
        root.noticed(gone(EndReason::Restarted, ""), |_| true);
        assert_eq!(root.now(), Some(Ok("new")));
        // unless the present one is closed as well, which is not known yet
        root.noticed(gone(EndReason::Restarted, ""), |_| false);
        assert_eq!(root.now(), None);
    }

    #[test]
    fn what_was_given_back_comes_only_when_it_is_asked_for_again() {
        let root = Root::new();
        let link = root.arrived(1);
        root.given_back();
        root.ended(link, gone(EndReason::Closed, ""));
        root.noticed(gone(EndReason::Unavailable, ""), |_| true);
        assert_eq!(root.here().now_or_never(), Some(Err(None)));
        root.asked_again();
        assert_eq!(root.now(), None);
    }

    #[test]
    fn whoever_waits_is_woken_by_each_change() {
        let root = Root::<u8>::new();
        let mut changes = std::pin::pin!(root.until(|presence| match presence {
            Presence::Gone(gone) => Some(gone.reason),
            _ => None,
        }));
        assert_eq!(changes.as_mut().now_or_never(), None);
        root.arrived(1);
        assert_eq!(changes.as_mut().now_or_never(), None);
        root.noticed(gone(EndReason::Expired, ""), |_| true);
        assert_eq!(changes.as_mut().now_or_never(), Some(EndReason::Expired));
    }
}
