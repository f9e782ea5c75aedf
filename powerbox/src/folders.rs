//! Host folders: one process for each, by the folder's identity and the uid of whoever offered it; started when it is
//! first needed, stopped when nothing uses it any more.

use std::rc::Rc;
use std::time::Duration;

use capnp::message::Builder;
use schema::kernel_capnp::Image;
use schema::setup_capnp::folder_setup;

use crate::core::{Core, Start, setup, spawn};
use crate::live::{FolderLife, Kind};
use crate::matching::folder_offer;
use crate::problem::Problem;
use crate::record::Folder;
use crate::words::{PATH_LIMIT, plain};

/// How long a folder that nothing uses is still served: people often use the same one again at once.
const IDLE_PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    /// The process that serves a folder. `claim`: the kernel's number of the folder that a shell brought; without one
    /// the kernel opens the path again, and compares.
    pub(crate) async fn folder_process(self: &Rc<Self>, folder: &Folder, claim: Option<u64>) -> Result<u64, Problem> {
        let offer = plain(&folder_offer(folder), PATH_LIMIT);
        let failed = |why: String| Problem::refused(format!("{offer} cannot be served: {why}"));
        let running = self.live.borrow().folders.get(folder).map(|life| life.process);
        if let Some(process) = running {
            if let Some(resource) = claim {
                self.drop_resource(resource);
            }
            self.confined_or_dead(process).await.map_err(failed)?;
            return Ok(process);
        }
        let process = self.new_id()?;
        self.live.borrow_mut().folders.insert(folder.clone(), FolderLife { process });
        let started = self.start_folder(process, folder, claim, &offer).await;
        if started.is_err() {
            self.live.borrow_mut().folders.remove(folder);
            self.bells.processes.ring();
        }
        started?;
        if let Err(why) = self.confined_or_dead(process).await {
            self.live.borrow_mut().folders.remove(folder);
            self.stop_process(process, true);
            return Err(failed(why));
        }
        self.release_idle_folders();
        Ok(process)
    }

    async fn start_folder(
        self: &Rc<Self>,
        process: u64,
        folder: &Folder,
        claim: Option<u64>,
        offer: &str,
    ) -> Result<(), Problem> {
        let mut message = Builder::new_default();
        message.init_root::<folder_setup::Builder<'_>>().set_path(&folder.path);
        self.start_process(Start {
            process,
            image: Image::Folder,
            kind: Kind::Folder(folder.clone()),
            name: offer.to_owned(),
            setup: setup(&message),
            resources: Vec::new(),
            claim,
            folder: Some(folder),
            restart: true,
            memory_bytes: 0,
            cpu_seconds: 0,
        })
        .await?;
        self.link_session(process).await
    }

    /// Stops folders' processes that have been without a link for a while.
    pub(crate) fn release_idle_folders(self: &Rc<Self>) {
        if self.stopping.get() || self.live.borrow().watches_idle_folders {
            return;
        }
        let idle = self.idle_folders();
        if idle.is_empty() {
            return;
        }
        self.live.borrow_mut().watches_idle_folders = true;
        let core = self.clone();
        spawn(async move {
            tokio::time::sleep(IDLE_PATIENCE).await;
            let still: Vec<(Folder, u64)> = core.idle_folders().into_iter().filter(|one| idle.contains(one)).collect();
            for (folder, process) in still {
                core.live.borrow_mut().folders.remove(&folder);
                core.stop_process(process, false);
            }
            core.live.borrow_mut().watches_idle_folders = false;
            // Those that became idle meanwhile get their own time.
            core.release_idle_folders();
        });
    }

    fn idle_folders(&self) -> Vec<(Folder, u64)> {
        let live = self.live.borrow();
        let is_used = |process: u64| live.links.values().any(|link| link.server == process && link.grant != 0);
        // While any link is being made, none is known to be idle.
        if !live.opening.is_empty() {
            return Vec::new();
        }
        live.folders
            .iter()
            .filter(|(_, life)| !is_used(life.process))
            .map(|(folder, life)| (folder.clone(), life.process))
            .collect()
    }
}
