//! Host folders: one process for each, by the folder's identity and the uid of whoever offered it; started when it is
//! first needed, stopped when nothing uses it any more.

use std::rc::Rc;
use std::time::Duration;

use capnp::message::Builder;
use schema::kernel_capnp::Image;
use schema::setup_capnp::folder_setup;

use crate::core::{Core, Start, setup, spawn};
use crate::live::{Kind, ServerHold, ServerLife};
use crate::matching::folder_offer;
use crate::problem::Problem;
use crate::record::{Folder, Source};
use crate::words::{PATH_LIMIT, plain};

/// How long a folder that nothing uses is still served: people often use the same one again at once.
const IDLE_PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    /// The process that serves what comes from there, and what keeps it.
    pub(crate) async fn serve_source(self: &Rc<Self>, source: &Source) -> Result<(u64, ServerHold), Problem> {
        match source {
            Source::Folder(folder) => self.serve_folder(folder, None).await,
            Source::Object(object) => self.serve_service(object.service).await,
        }
    }

    /// The process that serves a folder, and what keeps it from being stopped as idle. `claim`: the kernel's number of
    /// the folder that a shell brought; without one it opens the path again itself, and compares.
    pub(crate) async fn serve_folder(
        self: &Rc<Self>,
        folder: &Folder,
        claim: Option<u64>,
    ) -> Result<(u64, ServerHold), Problem> {
        let offer = plain(&folder_offer(folder), PATH_LIMIT);
        let failed = |why: String| Problem::refused(format!("{offer} cannot be served: {why}"));
        let running = self.live.borrow_mut().folders.get_mut(folder).map(|life| (life.process, life.hold()));
        if let Some((process, hold)) = running {
            if let Some(resource) = claim {
                self.drop_resource(resource);
            }
            self.confined_or_dead(process, &hold).await.map_err(failed)?;
            return Ok((process, hold));
        }
        if self.live.borrow().is_stuck(folder) {
            if let Some(resource) = claim {
                self.drop_resource(resource);
            }
            let why = "its file system has not answered since it was last asked for. Look at the mount, then try again";
            return Err(failed(why.to_owned()));
        }
        let process = self.new_id()?;
        let mut life = ServerLife::of(process);
        let hold = life.hold();
        self.live.borrow_mut().folders.insert(folder.clone(), life);
        let started = self.start_folder(process, folder, claim, &offer).await;
        if started.is_err() {
            self.forget_folder(folder, process);
            self.bells.processes.ring();
        }
        started?;
        if let Err(why) = self.confined_or_dead(process, &hold).await {
            self.forget_folder(folder, process);
            self.stop_process(process, true);
            return Err(failed(why));
        }
        self.release_idle_folders();
        Ok((process, hold))
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
            file_bytes: 0,
        })
        .await?;
        let linked = self.link_session(process).await;
        // One that could not begin may be gone by now, and has said why.
        if self.live.borrow().processes.contains_key(&process) { linked } else { Ok(()) }
    }

    /// This process serves a folder no longer; another may by now.
    fn forget_folder(&self, folder: &Folder, process: u64) {
        let mut live = self.live.borrow_mut();
        if live.folders.get(folder).is_some_and(|life| life.process == process) {
            live.folders.remove(folder);
        }
    }

    /// A folder's process has ended and is not started again: who waits for it is told how, and what was to be linked to it
    /// again is given to another, if one can be started.
    pub(crate) fn folder_ended(self: &Rc<Self>, folder: &Folder, process: u64, how: String) {
        if let Some(life) = self.live.borrow().folders.get(folder).filter(|life| life.process == process) {
            life.ended(how);
        }
        self.forget_folder(folder, process);
        for grant in self.take_relinks(|source| source.is_folder(folder)) {
            self.open_soon(grant);
        }
    }

    /// The grants on these objects that were served when their process died.
    pub(crate) fn take_relinks(&self, is_theirs: impl Fn(&Source) -> bool) -> Vec<u64> {
        let (state, mut live) = (self.state.borrow(), self.live.borrow_mut());
        let is_served = |grant: &u64| state.grants.get(*grant).is_some_and(|node| is_theirs(&node.granted.source));
        let again: Vec<u64> = live.relink.iter().copied().filter(is_served).collect();
        again.iter().for_each(|grant| _ = live.relink.remove(grant));
        again
    }

    /// Stops folders' processes that nothing has used for a while. Looks again for as long as there are any without a
    /// link, however they came to be so.
    pub(crate) fn release_idle_folders(self: &Rc<Self>) {
        if self.live.borrow().watches_idle_folders || !self.has_unlinked_folders() {
            return;
        }
        self.live.borrow_mut().watches_idle_folders = true;
        let core = self.clone();
        spawn(async move {
            let mut idle = core.idle_folders();
            while core.has_unlinked_folders() {
                tokio::time::sleep(IDLE_PATIENCE).await;
                idle = core.stop_idle_folders(&idle);
            }
            core.live.borrow_mut().watches_idle_folders = false;
        });
    }

    /// Stops those that were idle before and were not used since. Returns those that are idle now.
    pub(crate) fn stop_idle_folders(&self, before: &[Idle]) -> Vec<Idle> {
        let (still, newly): (Vec<Idle>, Vec<Idle>) =
            self.idle_folders().into_iter().partition(|idle| before.contains(idle));
        for idle in still {
            self.live.borrow_mut().folders.remove(&idle.folder);
            self.stop_process(idle.process, false);
        }
        newly
    }

    fn has_unlinked_folders(&self) -> bool {
        let live = self.live.borrow();
        !self.stopping.get() && live.folders.values().any(|life| !live.serves(life.process))
    }

    /// Folders' processes that no link leads to, that nobody holds, and that no grant being linked will use.
    pub(crate) fn idle_folders(&self) -> Vec<Idle> {
        let (state, live) = (self.state.borrow(), self.live.borrow());
        let is_being_linked = |folder: &Folder| {
            let opening = live.opening.iter().chain(&live.relink).filter_map(|grant| state.grants.get(*grant));
            let mut sources = opening.map(|node| &node.granted.source);
            sources.any(|source| source.is_folder(folder))
        };
        live.folders
            .iter()
            .filter(|(folder, life)| !live.serves(life.process) && !is_being_linked(folder))
            .filter_map(|(folder, life)| {
                let uses = life.uses_unless_held()?;
                Some(Idle { folder: folder.clone(), process: life.process, uses })
            })
            .collect()
    }
}

/// A folder's process that nothing uses, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    folder: Folder,
    process: u64,
    uses: u64,
}
