//! A first engine: capnp-rpc's own network over a transport.

use super::LinkState;
use crate::link::Ended;
use crate::words::EndReason;
use capnp::capability::Client;
use capnp::message::ReaderOptions;
use capnp_rpc::RpcSystem;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::twoparty::VatNetwork;
use futures::io::{AsyncRead, AsyncWrite};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

struct Stream(Rc<LinkState>);

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let poll = self.0.transport.borrow_mut().poll_read(context, buffer);
        if let Poll::Ready(Ok(count)) = &poll {
            self.0.meter.borrow_mut().bytes_in(*count);
        }
        poll
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = self.0.transport.borrow_mut().poll_write(context, &[IoSlice::new(bytes)]);
        if let Poll::Ready(Ok(count)) = &poll {
            self.0.meter.borrow_mut().bytes_out(*count);
        }
        poll
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) struct Engine {
    state: Rc<LinkState>,
    system: Option<RpcSystem<Side>>,
}

impl Engine {
    fn network(state: &Rc<LinkState>, side: Side) -> Box<VatNetwork<Stream>> {
        Box::new(VatNetwork::new(Stream(state.clone()), Stream(state.clone()), side, ReaderOptions::default()))
    }

    pub(crate) fn serve(state: Rc<LinkState>, root: Client) -> Engine {
        let system = RpcSystem::new(Engine::network(&state, Side::Server), Some(root));
        Engine { state, system: Some(system) }
    }

    pub(crate) fn connect(state: Rc<LinkState>) -> (Client, Engine) {
        let mut system = RpcSystem::new(Engine::network(&state, Side::Client), None);
        let root = system.bootstrap(Side::Server);
        (root, Engine { state, system: Some(system) })
    }

    pub(crate) fn state(&self) -> &Rc<LinkState> {
        &self.state
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        *self.state.driver.borrow_mut() = Some(context.waker().clone());
        if let Some(system) = &mut self.system
            && Pin::new(system).poll(context).is_ready()
        {
            self.state.end(EndReason::Closed, String::new());
        }
        if !self.state.is_ended() {
            return Poll::Pending;
        }
        self.system = None;
        self.state.transport.borrow_mut().close();
        Poll::Ready(self.state.ended())
    }
}
