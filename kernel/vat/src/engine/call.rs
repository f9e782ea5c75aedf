//! One call that came in, from its message to its result.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

/// What the parts of a link know about a call: the ledger keeps it until the call is finished, the guard finds it by
/// the message that it was called with.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// Calls of a link count from 1, in the order in which they were read.
    pub(crate) number: u64,
    /// Of its message.
    pub(crate) size_bytes: usize,
    /// When it was read.
    pub(crate) read_ns: u64,
    /// How many calls wait on each other's results up to this one; 0 for the root that everything begins with.
    pub(crate) depth: usize,
    /// Calls whose results it uses: as its target, or as references among what it is given.
    pub(crate) parents: Vec<Rc<Call>>,
    /// Those among the parents whose references it is given. It starts when they are settled: what handlers get never
    /// resolves later, so that nobody can tie references into a knot.
    pub(crate) given: Vec<Rc<Call>>,
    /// How far it is.
    pub(crate) progress: Progress,
}

/// What becomes of a call.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    returned: Cell<bool>,
    /// Calls that use its result and have not returned.
    dependents: Cell<usize>,
    /// The other end has finished with it.
    unwanted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Call {
    /// Counts it with its parents.
    pub(crate) fn attach(&self) {
        for parent in &self.parents {
            parent.progress.dependents.set(parent.progress.dependents.get() + 1);
        }
    }

    pub(crate) fn has_returned(&self) -> bool {
        self.progress.returned.get()
    }

    /// Its result was sent, so it needs its parents' results no more.
    pub(crate) fn set_returned(&self) {
        if self.progress.returned.replace(true) {
            return;
        }
        for parent in &self.parents {
            parent.progress.dependents.set(parent.progress.dependents.get().saturating_sub(1));
            parent.wake();
        }
    }

    /// The other end wants no result.
    pub(crate) fn set_unwanted(&self) {
        self.progress.unwanted.set(true);
        self.wake();
    }

    /// Whether nobody would notice if it never ran.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.progress.unwanted.get() && self.progress.dependents.get() == 0
    }

    /// Whether what it is given is settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.given.iter().all(|call| call.has_returned())
    }

    /// Who is to be woken when it is cancelled.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut kept = self.progress.waker.borrow_mut();
        match &mut *kept {
            Some(known) => known.clone_from(waker),
            None => *kept = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        if self.progress.unwanted.get()
            && let Some(waker) = &*self.progress.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}
