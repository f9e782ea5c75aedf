//! Work of calls that goes on without them: on another thread, where nobody can stop it once it has begun.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

#[derive(Debug, Default)]
struct Shared {
    under_way: usize,
    waiting: Vec<Waker>,
}

/// The work of one link that is out of its calls' hands. The link has ended when no call of it starts or runs any more; it
/// is quiet when this has come to its end as well.
#[derive(Clone, Debug, Default)]
pub struct Work(Arc<Mutex<Shared>>);

/// Held for as long as one piece of work may still do something.
#[derive(Debug)]
#[must_use = "the work counts as done when this is dropped"]
pub struct Begun(Work);

impl Work {
    /// One more piece of work. To be asked for before it begins, and by the call that wants it.
    pub fn begin(&self) -> Begun {
        self.lock().under_way += 1;
        Begun(self.clone())
    }

    /// Waits until none is under way.
    pub async fn quiet(&self) {
        poll_fn(|context| {
            let mut shared = self.lock();
            if shared.under_way == 0 {
                return Poll::Ready(());
            }
            shared.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // it is whole whoever panicked
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut shared = self.0.lock();
        shared.under_way -= 1;
        let waiting = if shared.under_way == 0 { std::mem::take(&mut shared.waiting) } else { Vec::new() };
        drop(shared);
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn it_is_quiet_when_the_last_has_come_to_its_end() {
        let work = Work::default();
        assert_eq!(work.quiet().now_or_never(), Some(()));
        let (one, other) = (work.begin(), work.begin());
        drop(one);
        assert_eq!(work.quiet().now_or_never(), None);
        let elsewhere = std::thread::spawn(move || drop(other));
        futures::executor::block_on(async { futures::join!(work.quiet(), work.quiet()) });
        elsewhere.join().unwrap();
    }
}
