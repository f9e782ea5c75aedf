//! The folder service.
#![forbid(unsafe_code)]

pub mod change;
pub mod content;
pub mod disk;
pub mod limits;
pub mod list;
pub mod metadata;
pub mod open_count;
pub mod path;
pub mod place;
pub mod problem;
pub mod resolve;
pub mod rights;
pub mod serve;
