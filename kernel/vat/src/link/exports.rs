//! How a vat makes the objects that it hands out on a link.

use crate::engine::LinkState;
use crate::engine::guard::Guarded;
use crate::link::Work;
use capnp::capability::FromServer;
use std::rc::Rc;

/// Makes objects for one link: every object that is handed out on it is made here, so that each of its calls passes
/// the link's gate and is metered. Objects keep a clone of it to make further ones.
#[derive(Clone)]
pub struct Exports {
    state: Rc<LinkState>,
}

impl Exports {
    pub(crate) fn new(state: Rc<LinkState>) -> Exports {
        Exports { state }
    }

    /// A reference to `server` that obeys the link's caveats. It is good for this link only.
    ///
    /// Its methods are to be asynchronous functions: what a method does before it returns its future happens when the
    /// call comes in, before the checks that decide whether it may start.
    pub fn export<C, S>(&self, server: S) -> C
    where
        C: FromServer<S> + 'static,
        S: 'static,
    {
        self.export_shared(Rc::new(server))
    }

    /// The same for a server that others hold as well.
    pub fn export_shared<C, S>(&self, server: Rc<S>) -> C
    where
        C: FromServer<S> + 'static,
        S: 'static,
    {
        Guarded::client(self.state.clone(), server)
    }

    /// What counts the work that goes on without the call that began it: the link is not quiet before it has ended.
    #[must_use]
    pub fn work(&self) -> Work {
        self.state.work.clone()
    }

    /// Whether the link was cut or its other end is gone, as of now: a handler that works long without awaiting asks.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state.is_ended() || self.state.is_hung_up()
    }
}
