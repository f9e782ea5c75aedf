//! What the store promises.

mod basic;
mod draw;
mod keys;
mod model;
