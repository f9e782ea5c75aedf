//! Every kind of process is killed, under load and between the steps of grant, delivery, cut and record; what was
//! acknowledged before is judged by a record of the test's own.
//!
//! `LATCH_SEED` sets where the kills come, `LATCH_CRASH_ROUNDS` how many times as many there are.
#![allow(clippy::expect_used, reason = "a test that cannot go on says why and ends")]

#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/stage.rs"]
mod stage;

use tests::seed;

#[path = "crash/budget.rs"]
mod budget;
#[path = "crash/kinds.rs"]
mod kinds;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/quiet.rs"]
mod quiet;
#[path = "crash/storm.rs"]
mod storm;
