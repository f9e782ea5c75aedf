//! Apps that do everything wrong, in a whole node: by raw door calls and raw messages, never through the SDK. Each is
//! limited or cut; the node and its neighbours do not notice, which the neighbours' own calls show; and an operator can
//! see who it was, and why.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "hostile_app/asking.rs"]
mod asking;
#[path = "hostile_app/door.rs"]
mod door;
#[path = "hostile_app/escapes.rs"]
mod escapes;
#[path = "hostile_app/flood.rs"]
mod flood;
#[path = "hostile_app/limits.rs"]
mod limits;
#[path = "hostile_app/links.rs"]
mod links;
#[path = "hostile_app/reopening.rs"]
mod reopening;
#[path = "hostile_app/scene.rs"]
mod scene;
#[path = "hostile_app/shell.rs"]
mod shell;
