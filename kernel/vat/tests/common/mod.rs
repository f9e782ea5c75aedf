//! What the tests of links share: an object that keeps what it is given, a node on one thread, and a raw peer.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its part")]

pub mod keeper;
pub mod mutate;
pub mod raw;
pub mod world;
