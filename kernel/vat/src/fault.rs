//! Fault points: named places where a test kills this process. They exist only in a build with the feature `faults`,
//! which nothing but the crash tests asks for; otherwise a point is nothing at all.
//!
//! The file `faults` in the process's own folder says which: lines of `<name> <n>`, the first of which kills at the n-th
//! pass of that point. That line is removed before the kill, so that the process that is started next goes on, or meets
//! the next line.

/// A place between two steps that a crash must be able to separate.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn point(_name: &str) {}

/// The same; `half` is done first where the crash is to come in the midst of a step.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn point_amid(_name: &str, _half: impl FnOnce()) {}

/// A place between two steps that a crash must be able to separate.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    point_amid(name, || {});
}

/// The same; `half` is done first where the crash is to come in the midst of a step.
#[cfg(feature = "faults")]
pub fn point_amid(name: &str, half: impl FnOnce()) {
    use std::sync::atomic::{AtomicU64, Ordering};
    /// Passes of the point that the file named when it was last passed.
    static PASSES: AtomicU64 = AtomicU64::new(0);
    let Ok(wishes) = std::fs::read_to_string(FILE) else { return };
    let (wish, rest) = wishes.split_once('\n').unwrap_or((&wishes, ""));
    let Some((wished, count)) = wish.trim().split_once(' ') else { return };
    if wished != name {
        return;
    }
    let count: u64 = count.trim().parse().unwrap_or(1);
    if PASSES.fetch_add(1, Ordering::Relaxed) + 1 >= count {
        half();
        let _ = if rest.trim().is_empty() { std::fs::remove_file(FILE) } else { std::fs::write(FILE, rest) };
        // At once and without unwinding. The kill itself is a system call that a confined process does not have.
        std::process::abort();
    }
}

/// Relative to the process's folder, which it works in.
#[cfg(feature = "faults")]
const FILE: &str = "faults";
