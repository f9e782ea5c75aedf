//! What the store promises.

pub(crate) mod basic;
mod bounds;
mod disk;
mod draw;
mod faults;
mod flips;
mod folder;
mod forged;
mod keys;
mod large;
mod life;
mod model;
mod power;
mod repair;
mod room;
mod root;
mod rotate;
mod segments;
mod taken;
mod times;
