//! The keys of a whole node, as people have them: made, locked, opened, exchanged, saved and taken elsewhere by `latch`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "keys/lives.rs"]
mod lives;
#[path = "keys/moved.rs"]
mod moved;
#[path = "keys/people.rs"]
mod people;
#[path = "keys/tpm.rs"]
mod tpm;
