//! An object that may come, go and come back on a new link.

use crate::words::EndReason;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Why an object is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The last that is known.
    pub reason: EndReason,
    /// For people.
    pub detail: String,
}

impl Gone {
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

impl fmt::Display for Gone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(crate::words::reason_name(self.reason))?;
        if self.detail.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.detail) }
    }
}

impl std::error::Error for Gone {}

/// What is known about an object at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence<C> {
    /// No link has come yet.
    Awaited,
    /// It is here, on its present link.
    Here(C),
    /// It is not.
    Gone(Gone),
}

struct Shared<C> {
    presence: RefCell<Presence<C>>,
    /// Grows with every link: an end that is told of an older one changes nothing.
    links: Cell<u64>,
    changes: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

/// The root object of a grant, across the links on which it comes. It is a handle, not a reference: calls go to what
/// [`Root::here`] gives, and when its link ends that is broken, with everything obtained through it. What of a call
/// that was under way happened is then unknown.
pub struct Root<C> {
    shared: Rc<Shared<C>>,
    /// The change that this handle has seen last.
    seen: Cell<u64>,
}

/// Which of its links an object is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnLink(u64);

impl<C> Default for Root<C> {
    fn default() -> Root<C> {
        let shared = Shared {
            presence: RefCell::new(Presence::Awaited),
            links: Cell::new(0),
            changes: Cell::new(0),
            waiting: RefCell::default(),
        };
        Root { shared: Rc::new(shared), seen: Cell::new(0) }
    }
}

impl<C> Clone for Root<C> {
    fn clone(&self) -> Root<C> {
        Root { shared: self.shared.clone(), seen: self.seen.clone() }
    }
}

impl<C: Clone> Root<C> {
    /// An object that no link has brought yet.
    #[must_use]
    pub fn new() -> Root<C> {
        Root::default()
    }

    // --- for whoever uses it ---

    /// What is known now.
    #[must_use]
    pub fn presence(&self) -> Presence<C> {
        self.shared.presence.borrow().clone()
    }

    /// Waits for the next change after the last that this handle has seen.
    pub async fn changed(&self) -> Presence<C> {
        self.until(|presence| (self.shared.changes.get() != self.seen.get()).then(|| presence.clone())).await
    }

    /// The object, as soon as it is here.
    ///
    /// # Errors
    /// It does not come back of itself.
    pub async fn here(&self) -> Result<C, Gone> {
        self.until(|presence| match presence {
            Presence::Here(object) => Some(Ok(object.clone())),
            Presence::Gone(gone) if !gone.is_for_now() => Some(Err(gone.clone())),
            Presence::Awaited | Presence::Gone(_) => None,
        })
        .await
    }

    async fn until<R>(&self, mut look: impl FnMut(&Presence<C>) -> Option<R>) -> R {
        std::future::poll_fn(|context| {
            if let Some(found) = look(&self.shared.presence.borrow()) {
                self.seen.set(self.shared.changes.get());
                return Poll::Ready(found);
            }
            let mut waiting = self.shared.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    // --- for whoever takes links from the door ---

    /// A link brought it, for the first time or again.
    pub fn arrived(&self, object: C) -> OnLink {
        self.shared.links.set(self.shared.links.get() + 1);
        self.set(Presence::Here(object));
        OnLink(self.shared.links.get())
    }

    /// That link of it ended. Why is often told by a notice, before or after.
    pub fn ended(&self, link: OnLink, reason: EndReason, detail: &str) {
        let is_here = matches!(*self.shared.presence.borrow(), Presence::Here(_));
        if is_here && link.0 == self.shared.links.get() {
            self.set(Presence::Gone(Gone { reason, detail: detail.to_owned() }));
        }
    }

    /// A notice came about it. One that says it is away does not count against a link that is still open: it may be
    /// about an older one.
    pub fn noticed(&self, reason: EndReason, detail: &str) {
        let gone = Gone { reason, detail: detail.to_owned() };
        let is_here = matches!(*self.shared.presence.borrow(), Presence::Here(_));
        if !(is_here && gone.is_for_now()) {
            self.set(Presence::Gone(gone));
        }
    }

    fn set(&self, presence: Presence<C>) {
        *self.shared.presence.borrow_mut() = presence;
        self.shared.changes.set(self.shared.changes.get() + 1);
        self.shared.waiting.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn it_is_waited_for_until_it_is_here() {
        let root = Root::new();
        assert_eq!(root.here().now_or_never(), None);
        root.noticed(EndReason::Unavailable, "it starts");
        assert_eq!(root.here().now_or_never(), None);
        root.arrived("object");
        assert_eq!(root.here().now_or_never(), Some(Ok("object")));
    }

    #[test]
    fn what_was_lost_comes_back_and_what_was_revoked_says_so() {
        let root = Root::new();
        let first = root.arrived(1);
        root.ended(first, EndReason::PeerLost, "");
        assert_eq!(root.here().now_or_never(), None);
        let second = root.arrived(2);
        assert_eq!(root.here().now_or_never(), Some(Ok(2)));
        root.noticed(EndReason::Revoked, "by Ada");
        root.ended(second, EndReason::Closed, "");
        let gone = root.here().now_or_never().unwrap().unwrap_err();
        assert_eq!(gone.to_string(), "revoked: by Ada");
        // a person grants it anew
        root.arrived(3);
        assert_eq!(root.here().now_or_never(), Some(Ok(3)));
    }

    #[test]
    fn news_of_an_older_link_change_nothing() {
        let root = Root::new();
        let old = root.arrived("old");
        root.arrived("new");
        root.ended(old, EndReason::Closed, "");
        root.noticed(EndReason::Restarted, "");
        assert_eq!(root.presence(), Presence::Here("new"));
    }

    #[test]
    fn each_handle_sees_each_change_once() {
        let (root, other) = (Root::new(), Root::<u8>::new());
        let watcher = root.clone();
        assert_eq!(watcher.changed().now_or_never(), None);
        root.arrived(1);
        assert_eq!(watcher.changed().now_or_never(), Some(Presence::Here(1)));
        assert_eq!(watcher.changed().now_or_never(), None);
        root.noticed(EndReason::Expired, "");
        assert!(matches!(watcher.changed().now_or_never(), Some(Presence::Gone(_))));
        assert_eq!(other.changed().now_or_never(), None);
    }
}
