//! The wrapper around every exported object: each call passes the gate before it starts, and is metered.

use super::LinkState;
use super::call::Call;
use super::permits::{Permit, Ticket};
use crate::gate::Refusal;
use crate::words::Method;
use capnp::any_pointer;
use capnp::capability::{DispatchCallResult, FromClientHook, FromServer, Params, Promise, Results, Server};
use capnp::private::capability::ClientHook;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

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
    /// The object makes its future at once, and nothing of a handler runs before that is polled first.
    fn dispatch_call(
        self,
        interface_id: u64,
        method_id: u16,
        params: Params<any_pointer::Owned>,
        results: Results<any_pointer::Owned>,
    ) -> DispatchCallResult {
        let state = self.state.clone();
        state.set_probe(None);
        // whether it can be read is the handler's concern; looking at it shows which call it belongs to
        let _ = params.hook.get();
        let call = state.take_probe();
        let called = self.object.clone().dispatch_call(interface_id, method_id, params, results);
        let began_ns = call.as_ref().map_or_else(|| state.clock.now_ns(), |call| call.read_ns);
        let method = Method { interface: interface_id, ordinal: method_id };
        let guarding = Guarding {
            method,
            // not started yet: that comes with the first poll
            phase: match state.permits.try_start(call.as_ref(), || state.admit(method, call.as_ref())) {
                Some(permit) => Phase::Admitted(permit),
                None => Phase::Waiting(state.permits.queue(call.clone())),
            },
            handler: Some(called.promise),
            began_ns,
            call,
            state,
        };
        DispatchCallResult::new(Promise::from_future(guarding), called.is_streaming)
    }

    fn as_ptr(&self) -> usize {
        self.object.as_ptr()
    }
}

/// How far a call is.
enum Phase {
    /// It waits for its turn.
    Waiting(Rc<Ticket>),
    /// It is its turn.
    Admitted(Permit),
    /// It runs.
    Running(Permit),
    /// It is over.
    Over,
}

/// One call of an exported object.
struct Guarding {
    state: Rc<LinkState>,
    call: Option<Rc<Call>>,
    method: Method,
    phase: Phase,
    handler: Option<Promise<(), capnp::Error>>,
    began_ns: u64,
}

impl Guarding {
    /// Whether the call must not go on.
    fn stopped(&self) -> Option<capnp::Error> {
        if self.state.is_ended() {
            return Some(self.state.end_error());
        }
        let cancelled = self.call.as_ref().is_some_and(|call| call.is_cancelled());
        cancelled.then(|| capnp::Error::failed("the caller no longer wants it".to_owned()))
    }

    /// Whether a call whose turn it is may start.
    fn check(&self, admitted: Result<(), Refusal>) -> capnp::Result<()> {
        if self.state.is_hung_up() {
            return Err(self.state.end_error());
        }
        admitted.map_err(|refusal| {
            self.state.meter.borrow_mut().refused();
            capnp::Error::failed(refusal.to_string())
        })
    }

    /// It is over: the permit goes to the next, the handler goes.
    fn close(&mut self) {
        // first, so that what it holds is free before somebody else starts
        self.handler = None;
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Waiting(ticket) => self.state.permits.leave(&ticket),
            Phase::Admitted(permit) => {
                if permit.admitted.is_ok() {
                    self.state.gate.borrow_mut().take_back(permit.size_bytes as u64);
                }
                self.state.permits.give_back(&permit);
            }
            Phase::Running(permit) => self.state.permits.give_back(&permit),
            Phase::Over => {}
        }
    }

    fn poll_handler(&mut self, context: &mut Context<'_>) -> Poll<capnp::Result<()>> {
        let Some(handler) = &mut self.handler else { return Poll::Pending };
        // a fault of one handler is one caller's error
        catch_unwind(AssertUnwindSafe(|| Pin::new(handler).poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(capnp::Error::failed("a fault in the service".to_owned()))))
    }
}

impl Future for Guarding {
    type Output = capnp::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<capnp::Result<()>> {
        let this = &mut *self;
        // A call that goes on after a wait may be about to do the next thing: it asks once more, since nobody may have
        // looked since the link was cut.
        if matches!(this.phase, Phase::Running(_)) {
            this.state.is_hung_up();
        }
        if let Some(error) = this.stopped() {
            this.close();
            return Poll::Ready(Err(error));
        }
        if let Some(call) = &this.call {
            call.set_waker(context.waker());
        }
        if let Phase::Waiting(ticket) = &this.phase {
            let admit = || this.state.admit(this.method, this.call.as_ref());
            match this.state.permits.poll_start(ticket, context.waker(), admit) {
                Some(permit) => this.phase = Phase::Admitted(permit),
                None => return Poll::Pending,
            }
        }
        if let Phase::Admitted(permit) = &this.phase {
            if let Err(error) = this.check(permit.admitted) {
                this.close();
                return Poll::Ready(Err(error));
            }
            if let Phase::Admitted(permit) = std::mem::replace(&mut this.phase, Phase::Over) {
                this.phase = Phase::Running(permit);
            }
        }
        let result = ready!(this.poll_handler(context));
        this.close();
        this.meter(result.is_err());
        Poll::Ready(result)
    }
}

impl Guarding {
    fn meter(&self, failed: bool) {
        let latency_ns = self.state.clock.now_ns().saturating_sub(self.began_ns);
        self.state.meter.borrow_mut().call(self.method, latency_ns, failed);
    }
}

impl Drop for Guarding {
    fn drop(&mut self) {
        self.close();
    }
}
