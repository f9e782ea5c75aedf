//! The storage service is killed, and the keys that it is unlocked by, under concurrent writers and between the steps of
//! writing, committing, compacting, closing and opening. What was acknowledged is judged by a record of the test's own.
//!
//! The processes and their files are the real ones; the test stands in for the kernel, which only introduces them, so that
//! a life is short and there can be hundreds. `node` kills whole nodes.
//!
//! `LATCH_SEED` sets what is written and where the kills come, `LATCH_CRASH_ROUNDS` how many times as many there are.
#![allow(clippy::expect_used, reason = "a test that cannot go on says why and ends")]

use tests::seed;

#[path = "crash_storage/disaster.rs"]
mod disaster;
#[path = "crash_storage/disk.rs"]
mod disk;
#[path = "crash_storage/journal.rs"]
mod journal;
#[path = "crash_storage/judge.rs"]
mod judge;
#[path = "crash_storage/keys.rs"]
mod keys;
#[path = "crash_storage/ledger.rs"]
mod ledger;
#[path = "crash_storage/process.rs"]
mod process;
#[path = "crash_storage/store.rs"]
mod store;
#[path = "crash_storage/tree.rs"]
mod tree;
#[path = "crash_storage/writer.rs"]
mod writer;

#[path = "crash_storage/node.rs"]
mod node;
#[path = "crash_storage/points.rs"]
mod points;
#[path = "crash_storage/storm.rs"]
mod storm;
