//! The house rules that a program can check: who imports what, how large the kernel is, where unsafe code may be,
//! and that what is generated is what the schemas say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/sources.rs"]
mod sources;
