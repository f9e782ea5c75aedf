//! What the store promises.

mod basic;
mod keys;
