//! Work that may wait for a file system leaves the RPC thread.
//!
//! One thread serves every link of this process. A read that waits some milliseconds for a disk there would stop all
//! others; an fsync may take seconds; and a file system that another process or machine serves may never answer. So only what is
//! certain to be in memory is served at once ([`Patience::Memory`](crate::patience::Patience)), and all
//! else goes to a bounded number of threads, of which one grant can have only a part: opening, looking at, and closing too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use vat::link::Work;

use crate::limits::{DISK_OPERATIONS, DISK_OPERATIONS_PER_GRANT};
use crate::per_grant::PerGrant;
use crate::problem::{Problem, Word};

/// The disk threads of this process.
#[derive(Clone, Debug)]
pub struct Disk {
    permits: Arc<Semaphore>,
    grants: PerGrant<Semaphore>,
}

impl Disk {
    /// None is started before there is work.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "one a process: nobody should get one by default")]
    pub fn new() -> Disk {
        Disk { permits: Arc::new(Semaphore::new(DISK_OPERATIONS)), grants: PerGrant::default() }
    }

    /// The share of a grant, for its link whose work this is.
    #[must_use]
    pub fn link(&self, grant: u64, work: Work) -> DiskOfLink {
        let permits = self.grants.of(grant, || Semaphore::new(DISK_OPERATIONS_PER_GRANT));
        DiskOfLink { process: self.permits.clone(), permits, work }
    }
}

/// One link's share of the disk threads.
#[derive(Clone, Debug)]
pub struct DiskOfLink {
    process: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    work: Work,
}

/// A thread, as far as the bounds go.
type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl DiskOfLink {
    /// Does the work on a disk thread, first come first served within the grant and among grants. Where the future is
    /// dropped (the call was cancelled, the link cut), work that has not begun does not begin; what has begun ends
    /// on its own, and holds its place until then. The link is not quiet before.
    pub async fn run<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, Problem> + Send + 'static,
    {
        let room = self.room().await.map_err(|_| Problem::new(Word::Io, "this service is stopping"))?;
        let wanted = Wanted::default();
        let still_wanted = wanted.0.clone();
        let begun = self.work.begin();
        let worked = tokio::task::spawn_blocking(move || {
            let _held = (room, begun);
            if still_wanted.load(Ordering::Acquire) { Some(work()) } else { None }
        });
        match worked.await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Problem::new(Word::Io, "the call was cancelled")),
            Err(_) => Err(Problem::new(Word::Io, "the work on the disk failed by a fault of this service")),
        }
    }

    /// Does what nobody waits for, neither a call nor the end of the link: closing. It has no less a place in the bounds.
    pub fn later<W: FnOnce() + Send + 'static>(&self, work: W) {
        // Without a runtime, as in the last moments of the process, there is no thread that others need.
        let Ok(runtime) = Handle::try_current() else { return work() };
        let disk = self.clone();
        runtime.spawn(async move {
            let room = disk.room().await;
            tokio::task::spawn_blocking(move || {
                let _held = room;
                work();
            });
        });
    }

    async fn room(&self) -> Result<Room, AcquireError> {
        let of_grant = self.permits.clone().acquire_owned().await?;
        Ok((of_grant, self.process.clone().acquire_owned().await?))
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

    /// As many calls of that link as asked for, none of which comes to its end before its sender is dropped.
    fn ask(disk: &DiskOfLink, calls: usize, began: &mpsc::Sender<()>) -> Vec<(mpsc::Sender<()>, Call)> {
        let call = |_| {
            let (let_go, work) = stuck(began);
            let disk = disk.clone();
            (let_go, tokio::task::spawn_local(async move { disk.run(work).await }))
        };
        (0..calls).map(call).collect()
    }

    /// Waits until so much work has begun, while others have their turn.
    async fn begun(is_running: &mpsc::Receiver<()>, calls: usize) {
        for _ in 0..calls {
            while is_running.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
        }
    }

    type Call = tokio::task::JoinHandle<Result<(), Problem>>;

    #[test]
    fn ten_grants_whose_calls_never_end_leave_threads_to_others() {
        const GRANTS: usize = 10;
        vat::native::run(async {
            let disk = Disk::new();
            let (began, is_running) = mpsc::channel();
            let links: Vec<DiskOfLink> = (0..GRANTS as u64).map(|grant| disk.link(grant, Work::default())).collect();
            let held: Vec<_> = links.iter().map(|link| ask(link, 64, &began)).collect();
            begun(&is_running, GRANTS * DISK_OPERATIONS_PER_GRANT).await;
            assert_eq!(disk.link(99, Work::default()).run(|| Ok(7)).await, Ok(7), "a neighbour is served meanwhile");
            assert!(is_running.try_recv().is_err(), "no more than their shares have begun");
            for (let_go, call) in held.into_iter().flatten() {
                drop(let_go);
                call.await.unwrap().unwrap();
            }
        })
        .unwrap();
    }

    #[test]
    fn what_an_ended_link_left_counts_for_the_next_of_its_grant() {
        vat::native::run(async {
            let disk = Disk::new();
            let (began, is_running) = mpsc::channel();
            let ended = disk.link(1, Work::default());
            let mut held = Vec::new();
            let calls = ask(&ended, DISK_OPERATIONS_PER_GRANT, &began);
            begun(&is_running, DISK_OPERATIONS_PER_GRANT).await;
            for (let_go, call) in calls {
                call.abort();
                held.push(let_go);
            }
            drop(ended);
            let next = disk.link(1, Work::default());
            let mut call = Box::pin(next.run(|| Ok(())));
            assert!(futures::poll!(&mut call).is_pending());
            disk.link(2, Work::default()).run(|| Ok(())).await.unwrap();
            assert!(futures::poll!(&mut call).is_pending());
            held.pop();
            call.await.unwrap();
        })
        .unwrap();
    }

    #[test]
    fn closing_takes_its_turn_and_nobody_waits_for_it() {
        vat::native::run(async {
            let work = Work::default();
            let disk = Disk::new().link(1, work.clone());
            let (let_go, wait) = mpsc::channel::<()>();
            let (closed, is_closed) = tokio::sync::oneshot::channel();
            disk.later(move || {
                _ = wait.recv();
                closed.send(()).unwrap();
            });
            work.quiet().await;
            disk.run(|| Ok(())).await.unwrap();
            drop(let_go);
            is_closed.await.unwrap();
        })
        .unwrap();
    }

    #[test]
    fn a_link_that_asks_without_end_leaves_threads_to_others() {
        vat::native::run(async {
            let disk = Disk::new();
            let (began, is_running) = mpsc::channel();
            let held = ask(&disk.link(1, Work::default()), 10 * DISK_OPERATIONS_PER_GRANT, &began);
            begun(&is_running, DISK_OPERATIONS_PER_GRANT).await;
            assert_eq!(disk.link(2, Work::default()).run(|| Ok(7)).await, Ok(7), "a neighbour is served meanwhile");
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
            let disk = Disk::new().link(1, Work::default());
            let (began, is_running) = mpsc::channel();
            let held = ask(&disk, DISK_OPERATIONS_PER_GRANT, &began);
            begun(&is_running, DISK_OPERATIONS_PER_GRANT).await;
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
            disk.run(|| Ok(())).await.unwrap();
            assert!(!began_late.load(Ordering::Acquire));
        })
        .unwrap();
    }

    #[test]
    fn a_link_is_quiet_when_the_work_that_had_begun_is_done() {
        vat::native::run(async {
            let work = Work::default();
            let disk = Disk::new().link(1, work.clone());
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
            let disk = Disk::new().link(1, Work::default());
            let fault: Result<(), Problem> = disk.run(|| panic!("a fault, on purpose")).await;
            assert_eq!(fault.expect_err("is reported").word(), Word::Io);
            assert_eq!(disk.run(|| Ok(1)).await, Ok(1));
        })
        .unwrap();
    }
}
