//! The terminal of the person who ran an app: what it asks, what it prints, and who reads the keyboard.

pub(crate) mod confirm;
pub(crate) mod gate;
pub(crate) mod passphrase;
pub(crate) mod prompt;
pub(crate) mod pump;
pub(crate) mod questions;
pub(crate) mod screen;
pub(crate) mod tty;
