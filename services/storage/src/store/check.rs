//! Checking everything.

use std::ops::ControlFlow;

use super::error::Outcome;
use super::shared::Shared;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is lost.
    Note,
    /// It was wrong, and is right now.
    Repaired,
    /// Something is lost.
    Lost,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Such as "segment 12 at 4096".
    pub place: String,
    /// What is wrong, and what it means for which file.
    pub what: String,
    /// What was done about it; empty: nothing.
    pub done: String,
}

/// What a check read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames.
    pub frames: u64,
    /// Bytes of segments.
    pub bytes: u64,
    /// Files, all of whose bytes were opened.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// What was wrong and is right now.
    pub repaired: u64,
    /// What is lost.
    pub lost: u64,
    /// Nothing is wrong, or no longer.
    pub clean: bool,
}

impl Shared {
    pub(crate) fn check(&self, _: bool, _: &mut dyn FnMut(Finding) -> ControlFlow<()>) -> Outcome<Summary> {
        todo!()
    }
}
