//! (being built)

pub mod door;
pub mod words;
