//! The store killed at each of its fault points once, each where it is sure to be passed.

use crate::disaster::{CLOSING, COMMITTING, COMPACTING, OPENING, SEGMENTS, WRITING};
use std::collections::BTreeSet;

#[test]
fn no_fault_point_is_left_out() {
    let named: BTreeSet<&str> =
        [WRITING, COMMITTING, SEGMENTS, COMPACTING, CLOSING, OPENING].into_iter().flatten().copied().collect();
    let placed = tests::faults::points(&tests::checkout().join("services/storage/src"));
    assert_eq!(named, placed.iter().map(String::as_str).collect());
}
