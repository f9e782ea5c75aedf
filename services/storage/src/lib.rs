//! The store: directories and files that are encrypted, signed and crash-safe, as `StoredDirectory` and `File` to any number
//! of links.
//!
//! - [`store`] keeps them. It blocks, and knows no RPC.
//! - [`serve`] serves them, through the crate `files` like any other tree, and the store itself to operators.
//! - [`remote_keys`] reaches the keys, which another process has.
#![forbid(unsafe_code)]

pub mod remote_keys;
pub mod serve;
pub mod store;
