//! How many files and directories are held open, by this process and by each grant, and the bounds on both.
//!
//! Every reference to a file or a directory takes something of which the process has a bounded number or amount, such as a
//! descriptor: only that way does it stay the same file when names change. So an app that drops nothing would use up what
//! there is for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::OPEN_PER_GRANT;
use crate::per_grant::PerGrant;
use crate::problem::{Problem, Word};

/// Counts what is open in this process. One a process, handed down from `main`.
#[derive(Clone, Debug)]
pub struct OpenInProcess {
    count: Arc<AtomicUsize>,
    limit: usize,
    grants: PerGrant<AtomicUsize>,
}

impl OpenInProcess {
    /// For a process that can hold so many open; one at least.
    #[must_use]
    pub fn new(limit: usize) -> OpenInProcess {
        OpenInProcess { count: Arc::default(), limit: limit.max(1), grants: PerGrant::default() }
    }

    /// The count of a grant, within this one.
    #[must_use]
    pub fn grant(&self, grant: u64) -> OpenOfGrant {
        // Two grants that hold all they may leave room for others.
        let limit = OPEN_PER_GRANT.min(self.limit.div_ceil(3));
        OpenOfGrant { process: self.clone(), count: self.grants.of(grant, AtomicUsize::default), limit }
    }

    /// How many are open now.
    #[must_use]
    pub fn now(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// Counts what is open through the links of one grant.
#[derive(Clone, Debug)]
pub struct OpenOfGrant {
    process: OpenInProcess,
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl OpenOfGrant {
    /// Room for one file or directory; given back when the slot is dropped.
    pub fn take(&self) -> Result<OpenSlot, Problem> {
        let of_grant = Counted::take(&self.count, self.limit).ok_or_else(|| {
            let limit = self.limit;
            Problem::new(Word::Overloaded, format!("{limit} files and directories are open here already: drop some"))
        })?;
        let in_process = Counted::take(&self.process.count, self.process.limit).ok_or_else(|| {
            let text = "all who use this folder hold all the files that it can keep open: drop some, or try later";
            Problem::new(Word::Overloaded, text)
        })?;
        Ok(OpenSlot { _of_grant: of_grant, _in_process: in_process })
    }
}

/// Room for one open file or directory.
#[derive(Debug)]
pub struct OpenSlot {
    _of_grant: Counted,
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
    fn a_grant_has_its_share_and_no_more() {
        let process = OpenInProcess::new(9);
        let (greedy, other) = (process.grant(1), process.grant(2));
        let mut held: Vec<OpenSlot> = (0..3).map(|_| greedy.take().expect("within its share")).collect();
        assert_eq!(greedy.take().expect_err("over its share").word(), Word::Overloaded);
        other.take().expect("others still have room");
        held.pop();
        greedy.take().expect("what is dropped can be taken again");
        held.push(process.grant(1).take().expect("there is room"));
        assert_eq!(process.grant(1).take().expect_err("over it on any link").word(), Word::Overloaded);
        drop(held);
        assert_eq!(process.now(), 0);
    }

    #[test]
    fn the_process_is_bounded_whoever_asks() {
        let process = OpenInProcess::new(4);
        let grants: Vec<OpenOfGrant> = (0..3).map(|grant| process.grant(grant)).collect();
        let held: Vec<OpenSlot> = (0..4).map(|turn| grants[turn % 3].take().expect("room")).collect();
        assert!(grants[1].take().expect_err("full").to_string().contains("all who use this folder"));
        assert_eq!(process.now(), held.len());
    }

    #[test]
    fn a_tiny_limit_still_serves_something() {
        OpenInProcess::new(0).grant(1).take().expect("one at least");
    }
}
