//! The store: directories and files that are encrypted, signed and crash-safe.
#![forbid(unsafe_code)]

pub mod store;
