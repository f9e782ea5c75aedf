//! Links: serving an object to the other end of one, and using the object that the other end serves.

mod exports;
mod root;
mod work;

pub use exports::Exports;
pub use root::{Ending, OnLink, Presence, Root};
pub use work::{Begun, Work};

use crate::bounds::Bounds;
use crate::clock::Clock;
use crate::door::{Badge, Lease};
use crate::engine::{Engine, LinkState};
use crate::gate::Gate;
use crate::meter::UsageReport;
use crate::transport::Transport;
use crate::words::EndReason;
use capnp::capability::Client;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// How a link ended. No call of it can start any more, and none runs. What they left running elsewhere
/// [`Watch::quiet`] waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why, as far as this end knows: a link that was revoked looks closed from here.
    pub reason: EndReason,
    /// For people: which bound was passed, for example.
    pub detail: String,
    /// What was not reported yet.
    pub usage: UsageReport,
}

/// What the two ends of a link hold of each other, as this end knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Calls of the other end that it has not finished with.
    pub unfinished_calls: usize,
    /// Their bytes.
    pub unfinished_bytes: usize,
    /// Calls of this end that are not answered, or whose results are still held.
    pub own_calls: usize,
    /// Objects here that the other end holds.
    pub objects_out: usize,
    /// Objects there that are held here.
    pub objects_in: usize,
}

/// A handle on a link: looks at it and can end it, without keeping it open.
#[derive(Clone)]
pub struct Watch {
    state: Rc<LinkState>,
}

impl Watch {
    /// Whether the link has ended, was cut, or its other end is gone, as of now. Never suspends.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state.is_ended() || self.state.is_hung_up()
    }

    /// Takes what was counted since the last time.
    #[must_use]
    pub fn usage(&self) -> UsageReport {
        self.state.usage()
    }

    /// Waits until a slice of a budget runs low: what to ask for, calls and bytes, where `limited`, and what the link
    /// was given of it so far. It says so again until [`Watch::renew`] brings more, or the word that there is none.
    pub async fn low(&self) -> (Lease, Lease) {
        poll_fn(|context| self.state.poll_low(context)).await
    }

    /// Brings more of the budgets, where `limited`: what the link has been given by now, and whether there is more.
    /// Calls and results that waited for it go on.
    pub fn renew(&self, calls: Lease, bytes: Lease) {
        self.state.renew(calls, bytes);
    }

    /// Waits until no [`Work`] of the link is under way. After the link has ended nothing of it happens any more then.
    pub async fn quiet(&self) {
        self.state.work.quiet().await;
    }

    /// What the two ends hold of each other.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.state.tables()
    }

    /// Ends the link from this side. The future that drives it is ready soon after.
    pub fn end(&self, reason: EndReason, detail: &str) {
        self.state.end(reason, detail.to_owned());
    }
}

/// Serves a link; a future that is ready when the link has ended. Dropping it ends the link.
#[must_use = "a link moves only while this is polled"]
pub struct Serving {
    engine: Engine,
}

/// Drives the using end of a link; a future that is ready when the link has ended. Dropping it ends the link.
#[must_use = "a link moves only while this is polled"]
pub struct Driving {
    engine: Engine,
}

/// The using end of a link.
pub struct Connected {
    /// The root of what the other end serves. It breaks (`disconnected`) when the link ends.
    pub root: Client,
    /// Makes objects of this end that can be passed over the link.
    pub exports: Exports,
    /// To be spawned.
    pub driving: Driving,
}

/// Serves `root` to the other end of `transport`, under the caveats of `badge`. The closure is given what makes every
/// object that is handed out on this link.
pub fn serve<T: Transport>(
    transport: T,
    badge: &Badge,
    bounds: Bounds,
    clock: Rc<dyn Clock>,
    root: impl FnOnce(&Exports) -> Client,
) -> Serving {
    let state = LinkState::new(Box::new(transport), Gate::new(badge), bounds, clock);
    let root = root(&Exports::new(state.clone()));
    Serving { engine: Engine::serve(state, root) }
}

/// Uses what the other end of `transport` serves.
pub fn connect<T: Transport>(transport: T, bounds: Bounds, clock: Rc<dyn Clock>) -> Connected {
    let state = LinkState::new(Box::new(transport), Gate::open(), bounds, clock);
    let exports = Exports::new(state.clone());
    let (root, engine) = Engine::connect(state);
    Connected { root, exports, driving: Driving { engine } }
}

impl Serving {
    /// A handle on the link.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch { state: self.engine.state().clone() }
    }
}

impl Driving {
    /// A handle on the link.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch { state: self.engine.state().clone() }
    }
}

impl Future for Serving {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        self.engine.poll(context)
    }
}

impl Future for Driving {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        self.engine.poll(context)
    }
}
