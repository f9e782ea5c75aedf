//! Starting and stopping processes.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use schema::kernel_capnp::{Image, Outcome};
use vat::door::{Resource, ResourceKind};

use super::Core;
use crate::live::{Kind, Process, ServerHold};
use crate::problem::Problem;
use crate::record::Folder;

/// How long a folder's process may take to find its folder and confine itself, which takes milliseconds where the file
/// system answers: well within the 30 s that the kernel gives it, so that it is this that is told.
const FOLDER_PATIENCE: Duration = Duration::from_secs(20);

/// A process as the kernel is asked for it.
pub(crate) struct Start<'a> {
    pub(crate) process: u64,
    pub(crate) image: Image,
    pub(crate) kind: Kind,
    /// For people.
    pub(crate) name: String,
    pub(crate) setup: Vec<u8>,
    /// What it is given, by name.
    pub(crate) resources: Vec<(&'a str, ResourceKind, Rc<OwnedFd>)>,
    /// A resource that a shell brought, by the kernel's number.
    pub(crate) claim: Option<u64>,
    pub(crate) folder: Option<&'a Folder>,
    pub(crate) restart: bool,
    /// 0: the profile's default.
    pub(crate) memory_bytes: u64,
    /// 0: no limit.
    pub(crate) cpu_seconds: u64,
    /// The largest file that a sandbox or a compiler may write.
    pub(crate) file_bytes: u64,
}

impl Core {
    /// Starts a process. It is known from before the kernel hears of it.
    pub(crate) async fn start_process(&self, start: Start<'_>) -> Result<(), Problem> {
        if self.stopping.get() {
            return Err(Problem::Stopping);
        }
        let Start { process, image, .. } = start;
        let known = Process::starting(start.kind.clone(), Some(image), start.name.clone());
        self.live.borrow_mut().processes.insert(process, known);
        let descriptors: Vec<Rc<OwnedFd>> =
            start.resources.iter().map(|(_, _, descriptor)| descriptor.clone()).collect();
        let done = self
            .control
            .command(&descriptors, |command| {
                let mut builder = command.init_start();
                builder.set_process(process);
                builder.set_image(image);
                builder.set_name(&start.name);
                builder.set_setup(&start.setup);
                builder.set_restart(start.restart);
                let mut limits = builder.reborrow().init_limits();
                limits.set_memory_bytes(start.memory_bytes);
                limits.set_cpu_seconds(start.cpu_seconds);
                limits.set_file_bytes(start.file_bytes);
                if let Some(folder) = start.folder {
                    builder.set_run_as(folder.run_as);
                    folder.resource().write_to(builder.reborrow().init_folder());
                }
                if let Some(claim) = start.claim {
                    builder.reborrow().init_claims(1).set(0, claim);
                }
                let mut resources = builder.init_resources(u32::try_from(start.resources.len()).unwrap_or(0));
                for (index, (name, kind, _)) in (0..).zip(&start.resources) {
                    Resource::new(*kind, name).write_to(resources.reborrow().get(index));
                }
            })
            .await;
        let why = match done {
            Ok(done) if done.outcome == Outcome::Ok => return Ok(()),
            Ok(done) => Problem::refused(format!("{} could not be started: {}", start.name, done.detail)),
            Err(problem) => problem,
        };
        self.live.borrow_mut().processes.remove(&process);
        Err(why)
    }

    /// Has the kernel stop a process. How it ended comes as an event.
    pub(crate) fn stop_process(&self, process: u64, kill: bool) {
        if let Some(known) = self.live.borrow_mut().processes.get_mut(&process) {
            known.stopping = true;
        }
        drop(self.control.send(&[], |command| {
            let mut stop = command.init_stop();
            stop.set_process(process);
            stop.set_kill(kill);
        }));
    }

    /// Waits until a folder's process is behind its walls; else says why it is not. It finds its folder itself, and a file
    /// system may not answer it: then nobody waits for that longer than a while.
    pub(crate) async fn confined_or_dead(&self, process: u64, hold: &ServerHold) -> Result<(), String> {
        let confined = self.bells.processes.until(|| {
            let live = self.live.borrow();
            match live.processes.get(&process) {
                None => {
                    let unknown = || "it ended at once. The node's kernel.log may tell more".to_owned();
                    Some(Err(hold.end().unwrap_or_else(unknown)))
                }
                Some(known) if known.confined => Some(Ok(())),
                Some(known) if known.backing_off => Some(Err(known.last_exit.clone())),
                Some(_) => None,
            }
        });
        let late = |_| Err(format!("the file system has not answered for {} s", FOLDER_PATIENCE.as_secs()));
        tokio::time::timeout(FOLDER_PATIENCE, confined).await.unwrap_or_else(late)
    }
}

/// A message for a process's beginning.
pub(crate) fn setup(message: &capnp::message::Builder<capnp::message::HeapAllocator>) -> Vec<u8> {
    capnp::serialize::write_message_to_words(message)
}
