//! The processes that a row measures: clients and servers, one process each, told what to do over a control socket.

pub(crate) mod calls;
mod control;
mod engine;
mod object;
mod order;
mod process;
pub(crate) mod program;
pub(crate) mod witness;

pub(crate) use control::Control;
pub(crate) use engine::{Engine, badge};
pub(crate) use object::{Maker, Object};
pub(crate) use order::{Load, Order, Reply, Work};
pub(crate) use process::{Pair, Peer, borrowed, link, socket_pairs};
