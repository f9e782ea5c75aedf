//! The wrapper around every exported object: each call passes the gate before it starts, and is metered.

use super::LinkState;
use crate::words::{EndReason, Method};
use capnp::any_pointer;
use capnp::capability::{DispatchCallResult, FromClientHook, FromServer, Params, Promise, Results, Server};
use capnp::private::capability::ClientHook;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

/// An exported object with its link.
pub(crate) struct Guarded<C, D> {
    state: Rc<LinkState>,
    object: D,
    client: PhantomData<C>,
}

/// What the engine calls.
struct Dispatch<C, D>(Rc<Guarded<C, D>>);

/// A reference made of a [`Guarded`], before it gets its type back.
struct Untyped<C, D>(Box<dyn ClientHook>, PhantomData<(C, D)>);

impl<C: 'static, D: Server + Clone + 'static> Guarded<C, D> {
    pub(crate) fn client<S>(state: Rc<LinkState>, server: Rc<S>) -> C
    where
        C: FromServer<S, Dispatch = D>,
    {
        let guarded = Rc::new(Guarded { state, object: C::from_server(server), client: PhantomData });
        let untyped: Untyped<C, D> = capnp_rpc::new_client_from_rc(guarded);
        C::new(untyped.0)
    }
}

impl<C, D> FromClientHook for Untyped<C, D> {
    fn new(hook: Box<dyn ClientHook>) -> Self {
        Untyped(hook, PhantomData)
    }

    fn into_client_hook(self) -> Box<dyn ClientHook> {
        self.0
    }

    fn as_client_hook(&self) -> &dyn ClientHook {
        self.0.as_ref()
    }
}

impl<C: 'static, D: Server + Clone + 'static> FromServer<Guarded<C, D>> for Untyped<C, D> {
    type Dispatch = Dispatch<C, D>;

    fn from_server(guarded: Rc<Guarded<C, D>>) -> Dispatch<C, D> {
        Dispatch(guarded)
    }
}

impl<C, D> Clone for Dispatch<C, D> {
    fn clone(&self) -> Self {
        Dispatch(self.0.clone())
    }
}

impl<C, D> Deref for Dispatch<C, D> {
    type Target = Guarded<C, D>;

    fn deref(&self) -> &Guarded<C, D> {
        &self.0
    }
}

impl<C, D: Server + Clone> Server for Dispatch<C, D> {
    fn dispatch_call(
        self,
        interface_id: u64,
        method_id: u16,
        params: Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        let state = self.state.clone();
        let called = self.object.clone().dispatch_call(interface_id, method_id, params, results);
        let is_streaming = called.is_streaming;
        let promise = Promise::from_future(async move {
            let method = Method { interface: interface_id, ordinal: method_id };
            if state.is_ended() || state.is_hung_up() {
                state.end(EndReason::Closed, String::new());
                return Err(capnp::Error::disconnected("the link has ended".to_owned()));
            }
            let began_ns = state.clock.now_ns();
            let admitted = state.gate.borrow_mut().admit(state.clock.wall_ms(), method);
            let result = match admitted {
                Ok(()) => called.promise.await,
                Err(refusal) => Err(capnp::Error::failed(refusal.to_string())),
            };
            state.meter.borrow_mut().call(method, state.clock.now_ns() - began_ns, result.is_err());
            result
        });
        DispatchCallResult::new(promise, is_streaming)
    }

    fn as_ptr(&self) -> usize {
        self.object.as_ptr()
    }
}
