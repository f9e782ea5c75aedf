//! The RPC engine behind the library's face.

pub(crate) mod guard;
mod state;
mod thin;

pub(crate) use state::LinkState;
pub(crate) use thin::Engine;
