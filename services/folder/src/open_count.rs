//! How many descriptors are held open, by this process and by each link, and the bounds on both.
//!
//! Every reference to a file or a directory is a descriptor: only that way does it stay the same file when names
//! change. So an app that drops nothing would use up the descriptors of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{OPEN_PART, OPEN_PER_LINK};
use crate::problem::{Problem, Word};

/// Counts what is open in this process. One a process, handed down from `main`.
#[derive(Clone, Debug)]
pub struct OpenInProcess {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl OpenInProcess {
    /// For a process that may have so many descriptors (the soft limit of RLIMIT_NOFILE).
    #[must_use]
    pub fn new(descriptor_limit: usize) -> OpenInProcess {
        OpenInProcess { count: Arc::default(), limit: (descriptor_limit / OPEN_PART).max(1) }
    }

    /// A count for one more link, within this one.
    #[must_use]
    pub fn link(&self) -> OpenOnLink {
        // Two links that hold all they may leave room for others.
        let limit = OPEN_PER_LINK.min(self.limit.div_ceil(3));
        OpenOnLink { process: self.clone(), count: Arc::default(), limit }
    }

    /// How many are open now.
    #[must_use]
    pub fn now(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// Counts what is open through one link.
#[derive(Clone, Debug)]
pub struct OpenOnLink {
    process: OpenInProcess,
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl OpenOnLink {
    /// Room for one descriptor; given back when the slot is dropped.
    pub fn take(&self) -> Result<OpenSlot, Problem> {
        let on_link = Counted::take(&self.count, self.limit).ok_or_else(|| {
            let limit = self.limit;
            Problem::new(Word::Overloaded, format!("{limit} files and directories are open here already: drop some"))
        })?;
        let in_process = Counted::take(&self.process.count, self.process.limit).ok_or_else(|| {
            let text = "all who use this folder hold all the files that it can keep open: drop some, or try later";
            Problem::new(Word::Overloaded, text)
        })?;
        Ok(OpenSlot { _on_link: on_link, _in_process: in_process })
    }
}

/// Room for one descriptor.
#[derive(Debug)]
pub struct OpenSlot {
    _on_link: Counted,
    _in_process: Counted,
}

/// One in a bounded count.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn take(count: &Arc<AtomicUsize>, limit: usize) -> Option<Counted> {
        let one_more = |now: usize| (now < limit).then_some(now + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Counted(count.clone()))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_share_and_no_more() {
        let process = OpenInProcess::new(OPEN_PART * 9);
        let (greedy, other) = (process.link(), process.link());
        let mut held: Vec<OpenSlot> = (0..3).map(|_| greedy.take().expect("within its share")).collect();
        assert_eq!(greedy.take().expect_err("over its share").word(), Word::Overloaded);
        other.take().expect("others still have room");
        held.pop();
        greedy.take().expect("what is dropped can be taken again");
        drop(held);
        assert_eq!(process.now(), 0);
    }

    #[test]
    fn the_process_is_bounded_whoever_asks() {
        let process = OpenInProcess::new(OPEN_PART * 4);
        let links: Vec<OpenOnLink> = (0..3).map(|_| process.link()).collect();
        let held: Vec<OpenSlot> = (0..4).map(|turn| links[turn % 3].take().expect("room")).collect();
        assert!(links[1].take().expect_err("full").to_string().contains("all who use this folder"));
        assert_eq!(process.now(), held.len());
    }

    #[test]
    fn a_tiny_limit_still_serves_something() {
        OpenInProcess::new(1).link().take().expect("one at least");
    }
}
