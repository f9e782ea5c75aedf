//! For tests of trees: a link in memory with a client at its other end, and what must hold for every tree ([`suite`]).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod calls;
mod collector;
mod link;
pub mod suite;

pub use calls::*;
pub use collector::*;
pub use link::*;
