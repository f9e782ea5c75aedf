//! The RPC engine behind the library's face: capnp-rpc on a network of our own, which checks and bounds everything
//! before the engine sees it.

mod call;
mod driver;
mod fault;
mod frame;
pub(crate) mod guard;
mod ledger;
mod network;
mod outgoing;
mod permits;
mod state;
mod traffic;

pub(crate) use driver::Engine;
pub(crate) use state::LinkState;
