//! Faults of the machine and of the state: a full disk, a damaged index or log, wrong owners and modes, missing
//! confinement, another user, few descriptors, a kernel that was killed. Each ends in a node that works, or in a
//! refusal or a warning that says what is wrong and what to do; `doctor` explains it too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "machine/confinement.rs"]
mod confinement;
#[path = "machine/descriptors.rs"]
mod descriptors;
#[path = "machine/disk.rs"]
mod disk;
#[path = "machine/lives.rs"]
mod lives;
#[path = "machine/permissions.rs"]
mod permissions;
#[path = "machine/places.rs"]
mod places;
#[path = "machine/state.rs"]
mod state;
#[path = "machine/support.rs"]
mod support;
