//! Parts of the store that others read and write elsewhere: given by a node, used without one, by the command as people
//! have it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "caps/chains.rs"]
mod chains;
#[path = "caps/person.rs"]
mod person;
#[path = "caps/readers.rs"]
mod readers;
#[path = "caps/store.rs"]
mod store;
