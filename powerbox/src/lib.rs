//! The powerbox: it decides who may have what, and writes it down.
//!
//! What decides is plain data and pure functions: [`grants`] (the tree), [`caveats`] (what a child may have),
//! [`matching`] (which offers fit a request), [`requests`] (what is undecided) and [`state`] (what the log's records add
//! up to). Around them: the [`log`], the truth of a node; the [`index`], which can always be rebuilt from it; and one
//! thread, the [`core`], that owns them all and commands the kernel. Sessions of apps and operators' shells are served on
//! threads of their own and reach the core by messages.
#![forbid(unsafe_code)]

mod asking;
pub mod bells;
pub mod caveats;
mod choosing;
pub mod clock;
mod compile;
pub mod control;
pub mod core;
mod deciding;
mod folders;
pub mod grants;
pub mod index;
mod instances;
mod live;
pub mod log;
pub mod matching;
pub mod operator;
mod output;
mod pace;
mod paced;
mod packages;
pub mod problem;
pub mod record;
mod reports;
pub mod requests;
mod runs;
pub mod services;
pub mod sessions;
pub mod start;
pub mod state;
#[cfg(test)]
mod testing;
pub mod usage;
mod warnings;
pub mod words;

use vat::fault;
