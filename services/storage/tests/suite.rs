//! A directory of the store keeps the contract of every tree.

mod common;

files::tree_suite!(common::world);
