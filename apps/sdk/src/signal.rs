//! A value that tasks wait for.

use std::cell::RefCell;
use std::task::{Poll, Waker};

/// A value with those who wait for it to change.
pub(crate) struct Signal<T> {
    value: RefCell<T>,
    waiting: RefCell<Vec<Waker>>,
}

impl<T> Signal<T> {
    pub(crate) fn new(value: T) -> Signal<T> {
        Signal { value: RefCell::new(value), waiting: RefCell::default() }
    }

    pub(crate) fn set(&self, value: T) {
        *self.value.borrow_mut() = value;
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Looks again after each change until there is an answer.
    pub(crate) async fn until<R>(&self, mut look: impl FnMut(&T) -> Option<R>) -> R {
        std::future::poll_fn(|context| {
            if let Some(found) = look(&self.value.borrow()) {
                return Poll::Ready(found);
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
