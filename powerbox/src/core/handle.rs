//! How other threads reach the core: by work that is sent to it and an answer that comes back.

use std::future::Future;
use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};

use super::{Core, spawn};
use crate::problem::Problem;

type Job = Box<dyn FnOnce(Rc<Core>) + Send>;

/// Work that waits for the core. Sessions hold at most 64 calls each, so this bounds nothing that they do not.
const JOBS_LIMIT: usize = 4_096;

/// A way to the core, for any thread.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
}

/// The core's end.
pub struct Jobs(mpsc::Receiver<Job>);

impl Handle {
    /// A way to a core, and its end.
    #[must_use]
    pub fn new() -> (Self, Jobs) {
        let (jobs, waiting) = mpsc::channel(JOBS_LIMIT);
        (Self { jobs }, Jobs(waiting))
    }

    /// Has the core do something to its end, whether or not the asker is still there then.
    pub async fn act<R, Work, Doing>(&self, work: Work) -> Result<R, Problem>
    where
        R: Send + 'static,
        Work: FnOnce(Rc<Core>) -> Doing + Send + 'static,
        Doing: Future<Output = Result<R, Problem>> + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |core| {
            spawn(async move {
                // Nobody may be there to hear it.
                let _ = answer.send(work(core).await);
            });
        });
        self.jobs.send(job).await.map_err(|_| Problem::Stopping)?;
        answered.await.map_err(|_| Problem::Stopping)?
    }

    /// Has the core wait for something, as long as the asker does.
    pub async fn wait<R, Work, Doing>(&self, work: Work) -> Result<R, Problem>
    where
        R: Send + 'static,
        Work: FnOnce(Rc<Core>) -> Doing + Send + 'static,
        Doing: Future<Output = Result<R, Problem>> + 'static,
    {
        let (mut answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |core| {
            spawn(async move {
                let found = tokio::select! {
                    found = work(core) => found,
                    () = answer.closed() => return,
                };
                let _ = answer.send(found);
            });
        });
        self.jobs.send(job).await.map_err(|_| Problem::Stopping)?;
        answered.await.map_err(|_| Problem::Stopping)?
    }

    /// Has the core look something up.
    pub async fn look<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Rc<Core>) -> Result<R, Problem> + Send + 'static,
    ) -> Result<R, Problem> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |core| {
            let _ = answer.send(work(&core));
        });
        self.jobs.send(job).await.map_err(|_| Problem::Stopping)?;
        answered.await.map_err(|_| Problem::Stopping)?
    }
}

impl Jobs {
    /// Does what is sent, for ever.
    pub async fn run(mut self, core: Rc<Core>) {
        while let Some(job) = self.0.recv().await {
            job(core.clone());
        }
    }
}
