//! Serves `Directory` and `File` of `filesystem.capnp` over any tree of files.
//!
//! A tree says what its directories and files are and how each thing is done, one blocking call at a time ([`tree`]). All that
//! is the same for every tree is here, and a tree cannot get it wrong:
//! - **Paths** are checked as bytes before a tree sees them ([`path`]).
//! - **Rights hold for all that is derived** ([`rights`]): a tree is asked for nothing that a reference may not do.
//! - **Calls on one object take effect in their order** ([`order`]): a caller may send many without waiting. Calls on
//!   different objects have no order.
//! - **No caller holds up another** ([`disk`]): whatever may wait leaves the RPC thread, within bounds for each grant. A
//!   tree that has things in memory answers from there at once, and says where it would have to wait ([`patience`]).
//! - **What one grant can hold open is bounded** ([`open_count`]); beyond that a call fails as overloaded.
//! - **After a cut** no work begins any more. What had begun ends there, and the end of the link is confirmed after it.
//! - **Streams** hold a bounded number of bytes (the engine's window and one chunk) for a reader that is slow.
#![forbid(unsafe_code)]

pub mod disk;
mod errno;
pub mod keeping;
pub mod limits;
pub mod metadata;
pub mod open_count;
pub mod order;
pub mod page;
pub mod path;
pub mod patience;
mod per_grant;
pub mod problem;
pub mod rights;
pub mod serve;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tree;
