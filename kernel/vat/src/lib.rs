//! Latchkey's wall: what stands between an app and everyone else.
//!
//! A process is born with a *door* and nothing else; through it come *links*, one for each grant. This library speaks
//! Cap'n Proto over a link with a peer that may be hostile: [`link::serve`] and [`link::connect`] bound what the peer
//! can make this end hold ([`bounds`]), decide whether each call may start ([`gate`]), count what happened ([`meter`])
//! and notice, before every call, whether the link was cut.
//!
//! What only reads and writes the messages of doors needs no engine: it is behind the feature `engine`, which `native`
//! and `guest` bring along.
//!
//! The core has no threads, no timers and no sockets of its own, so that a WebAssembly guest runs the same code:
//! bytes come through a [`Transport`], time through a [`Clock`].

pub mod bounds;
pub mod clock;
#[cfg(feature = "native")]
pub mod confine;
pub mod door;
#[cfg(feature = "engine")]
mod engine;
pub mod fault;
pub mod gate;
#[cfg(feature = "guest")]
pub mod guest;
#[cfg(feature = "engine")]
pub mod link;
pub mod meter;
pub mod names;
#[cfg(feature = "native")]
pub mod native;
pub mod shown;
#[cfg(feature = "socket")]
pub mod socket;
pub mod testing;
pub mod transport;
#[cfg(feature = "socket")]
mod unsafe_identity;
pub mod words;

pub use bounds::{Bounds, References};
pub use clock::Clock;
pub use door::{Badge, Peer};
#[cfg(feature = "engine")]
pub use link::{Ended, Exports, connect, serve};
pub use meter::UsageReport;
pub use transport::Transport;
pub use words::{EndReason, Method, Rights};
