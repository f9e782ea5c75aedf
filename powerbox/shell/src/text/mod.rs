//! Text for people: escaped, aligned, with times and sizes that read well.

pub(crate) mod escape;
pub(crate) mod filter;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod words;
