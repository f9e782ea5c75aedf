//! Work that may wait for the disk leaves the RPC thread.
//!
//! One thread serves every link of this process. A read that waits some milliseconds for a disk there would stop all
//! others, and an fsync may take seconds. So what the kernel has in memory is served at once (RESOLVE_CACHED,
//! RWF_NOWAIT), and all else goes to a bounded number of threads, of which one link can have only a part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use vat::link::Work;

use crate::limits::{DISK_OPERATIONS, DISK_OPERATIONS_PER_LINK};
use crate::problem::{Problem, Word};

/// The disk threads of this process.
#[derive(Clone, Debug)]
pub struct Disk {
    permits: Arc<Semaphore>,
}

impl Disk {
    /// None is started before there is work.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "one a process: nobody should get one by default")]
    pub fn new() -> Disk {
        Disk { permits: Arc::new(Semaphore::new(DISK_OPERATIONS)) }
    }

    /// The share of one more link, whose work this is.
    #[must_use]
    pub fn link(&self, work: Work) -> DiskOfLink {
        DiskOfLink { process: self.clone(), permits: Arc::new(Semaphore::new(DISK_OPERATIONS_PER_LINK)), work }
    }
}

/// One link's share of the disk threads.
#[derive(Clone, Debug)]
pub struct DiskOfLink {
    process: Disk,
    permits: Arc<Semaphore>,
    work: Work,
}

impl DiskOfLink {
    /// Does the work on a disk thread, first come first served within the link and among links. Where the future is
    /// dropped (the call was cancelled, the link cut), work that has not begun does not begin; what has begun ends
    /// on its own, and holds its place until then. The link is not quiet before.
    pub async fn run<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, Problem> + Send + 'static,
    {
        let gone = |_| Problem::new(Word::Io, "this service is stopping");
        let on_link = self.permits.clone().acquire_owned().await.map_err(gone)?;
        let in_process = self.process.permits.clone().acquire_owned().await.map_err(gone)?;
        let wanted = Wanted::default();
        let still_wanted = wanted.0.clone();
        let begun = self.work.begin();
        let worked = tokio::task::spawn_blocking(move || {
            let _held = (on_link, in_process, begun);
            if still_wanted.load(Ordering::Acquire) { Some(work()) } else { None }
        });
        match worked.await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Problem::new(Word::Io, "the call was cancelled")),
            Err(_) => Err(Problem::new(Word::Io, "the work on the disk failed by a fault of this service")),
        }
    }
}

/// True until the one who waits has gone.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Work that ends when the returned sender is dropped, and says that it began.
    fn stuck(began: &mpsc::Sender<()>) -> (mpsc::Sender<()>, impl FnOnce() -> Result<(), Problem> + Send + use<>) {
        let (let_go, wait) = mpsc::channel();
        let began = began.clone();
        let work = move || {
            began.send(()).unwrap();
            _ = wait.recv();
            Ok(())
        };
        (let_go, work)
    }

    #[test]
    fn a_link_that_asks_without_end_leaves_threads_to_others() {
        vat::native::run(async {
            let disk = Disk::new();
            let greedy = disk.link(Work::default());
            let (began, is_running) = mpsc::channel();
            let mut held = Vec::new();
            for _ in 0..10 * DISK_OPERATIONS {
                let (let_go, work) = stuck(&began);
                let greedy = greedy.clone();
                held.push((let_go, tokio::task::spawn_local(async move { greedy.run(work).await })));
            }
            assert_eq!(disk.link(Work::default()).run(|| Ok(7)).await, Ok(7), "a neighbour is served meanwhile");
            for _ in 0..DISK_OPERATIONS_PER_LINK {
                is_running.recv().unwrap();
            }
            assert!(is_running.try_recv().is_err(), "no more than its share has begun");
            for (let_go, call) in held {
                drop(let_go);
                call.await.unwrap().unwrap();
            }
        })
        .unwrap();
    }

    #[test]
    fn work_of_a_call_that_has_gone_does_not_begin() {
        vat::native::run(async {
            let disk = Disk::new().link(Work::default());
            let (began, is_running) = mpsc::channel();
            let mut held = Vec::new();
            for _ in 0..DISK_OPERATIONS_PER_LINK {
                let (let_go, work) = stuck(&began);
                let disk = disk.clone();
                held.push((let_go, tokio::task::spawn_local(async move { disk.run(work).await })));
            }
            let began_late = Arc::new(AtomicBool::new(false));
            let late = began_late.clone();
            let waiting = disk.run(move || {
                late.store(true, Ordering::Release);
                Ok(())
            });
            let mut waiting = Box::pin(waiting);
            assert!(futures::poll!(&mut waiting).is_pending());
            drop(waiting);
            for (let_go, call) in held {
                drop(let_go);
                call.await.unwrap().unwrap();
            }
            assert_eq!(is_running.iter().take(DISK_OPERATIONS_PER_LINK).count(), DISK_OPERATIONS_PER_LINK);
            disk.run(|| Ok(())).await.unwrap();
            assert!(!began_late.load(Ordering::Acquire));
        })
        .unwrap();
    }

    #[test]
    fn a_link_is_quiet_when_the_work_that_had_begun_is_done() {
        vat::native::run(async {
            let work = Work::default();
            let disk = Disk::new().link(work.clone());
            let (began, is_running) = mpsc::channel();
            let (let_go, stuck) = stuck(&began);
            let mut call = Box::pin(disk.run(stuck));
            assert!(futures::poll!(&mut call).is_pending());
            is_running.recv().unwrap();
            drop(call);
            let mut quiet = Box::pin(work.quiet());
            assert!(futures::poll!(&mut quiet).is_pending());
            drop(let_go);
            quiet.await;
        })
        .unwrap();
    }

    #[test]
    fn a_fault_in_the_work_fails_that_call_only() {
        vat::native::run(async {
            let disk = Disk::new().link(Work::default());
            let fault: Result<(), Problem> = disk.run(|| panic!("a fault, on purpose")).await;
            assert_eq!(fault.expect_err("is reported").word(), Word::Io);
            assert_eq!(disk.run(|| Ok(1)).await, Ok(1));
        })
        .unwrap();
    }
}
