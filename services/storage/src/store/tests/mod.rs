//! What the store promises.

mod basic;
mod disk;
mod draw;
mod faults;
mod flips;
mod keys;
mod model;
mod power;
