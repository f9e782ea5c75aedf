//! Whether a call was started that must not have been.
//!
//! A link is cut at some moment; a call may start only if the library looked at the link before, found it open, and
//! began that look before the cut had returned. Each look allows one start. The witness sees both the looks (it wraps
//! the transport) and the starts (the handlers tell it), on the one thread of the server.

use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use vat::Transport;

thread_local! {
    /// When the look began that allows the next start.
    static LOOKED: Cell<Option<u64>> = const { Cell::new(None) };
    static STARTS: RefCell<Vec<Start>> = const { RefCell::new(Vec::new()) };
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy)]
struct Start {
    looked_ns: Option<u64>,
    after_quiet: bool,
}

/// What the witness saw of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Calls that started.
    pub(crate) started: u64,
    /// Of these, without a look of their own, or with one that began after the cut had returned.
    pub(crate) after_cut: u64,
    /// Of these, after the link's end was confirmed.
    pub(crate) after_quiet: u64,
}

impl std::ops::AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.started += other.started;
        self.after_cut += other.after_cut;
        self.after_quiet += other.after_quiet;
    }
}

/// Nanoseconds of the clock that all processes of a machine share.
pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A handler was entered; gives the moment.
pub(crate) fn started() -> u64 {
    let entered_ns = now_ns();
    let start = Start { looked_ns: LOOKED.take(), after_quiet: QUIET.get() };
    STARTS.with_borrow_mut(|starts| starts.push(start));
    entered_ns
}

/// The server has confirmed that nothing starts any more.
pub(crate) fn quiet() {
    QUIET.set(true);
}

/// Judges everything since the last time, and forgets it.
pub(crate) fn judge(cut_returned_ns: u64) -> Verdict {
    QUIET.set(false);
    LOOKED.set(None);
    let starts = STARTS.take();
    let too_late = |start: &&Start| start.is_too_late(cut_returned_ns);
    Verdict {
        started: starts.len() as u64,
        after_cut: starts.iter().filter(too_late).count() as u64,
        after_quiet: starts.iter().filter(|start| start.after_quiet).count() as u64,
    }
}

impl Start {
    fn is_too_late(&self, cut_returned_ns: u64) -> bool {
        self.looked_ns.is_none_or(|looked_ns| looked_ns > cut_returned_ns)
    }
}

/// A transport whose looks are noted.
pub(crate) struct Watched<T> {
    inner: T,
}

impl<T: Transport> Watched<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner }
    }
}

impl<T: Transport> Transport for Watched<T> {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.inner.poll_read(context, buffer)
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.inner.poll_write(context, pieces)
    }

    fn is_hung_up(&self) -> bool {
        let began_ns = now_ns();
        let hung_up = self.inner.is_hung_up();
        LOOKED.set((!hung_up).then_some(began_ns));
        hung_up
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_needs_a_look_of_its_own_that_began_in_time() {
        let start = |looked_ns| Start { looked_ns, after_quiet: false };
        assert!(!start(Some(99)).is_too_late(100), "it began in time, however long the process was paused after it");
        assert!(start(Some(101)).is_too_late(100));
        assert!(start(None).is_too_late(100), "whoever does not look starts too late sooner or later");
    }

    #[test]
    fn one_look_allows_one_start() {
        LOOKED.set(Some(now_ns()));
        let (first, second) = (started(), started());
        assert!(first <= second);
        assert_eq!(judge(u64::MAX), Verdict { started: 2, after_cut: 1, after_quiet: 0 });
        LOOKED.set(Some(1));
        started();
        started();
        quiet();
        started();
        assert_eq!(judge(2), Verdict { started: 3, after_cut: 2, after_quiet: 1 });
        assert_eq!(judge(0), Verdict::default());
    }
}
