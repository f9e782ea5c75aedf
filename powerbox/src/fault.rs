//! Fault points: named places where a test kills this process. They exist only in a build with the feature `faults`,
//! which nothing but the crash tests asks for; otherwise a point is nothing at all.
//!
//! The file `faults` in the powerbox's folder says which: one line, `<name> <n>`, kills at the n-th pass of that
//! point. The file is removed before the kill, so that the process that is started next goes on.

/// A place between two steps that a crash must be able to separate.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn point(_name: &str) {}

/// A place between two steps that a crash must be able to separate.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSES: AtomicU64 = AtomicU64::new(0);
    let Ok(wish) = std::fs::read_to_string("faults") else { return };
    let Some((wished, count)) = wish.trim().split_once(' ') else { return };
    if wished != name {
        return;
    }
    let count: u64 = count.trim().parse().unwrap_or(1);
    if PASSES.fetch_add(1, Ordering::Relaxed) + 1 >= count {
        let _ = std::fs::remove_file("faults");
        // At once and without unwinding. The kill itself is a system call that a confined powerbox does not have.
        std::process::abort();
    }
}
