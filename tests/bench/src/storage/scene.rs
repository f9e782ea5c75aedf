//! A real node with a store, and a shell that holds a directory of it and a folder of the host on the same disk.

use crate::awake::Awake;
use crate::memory::processor_ns;
use crate::node::Node;
use crate::operator::{Held, Object, Shell};
use crate::place::{Placement, cores, pin_whole};
use rustix::process::Pid;
use schema::filesystem_capnp::directory;
use schema::storage_capnp::store;
use std::path::PathBuf;

/// What is measured and what it is measured against, on one disk.
pub(crate) struct Scene {
    /// A directory of the store.
    pub(crate) stored: Held<directory::Client>,
    /// A folder of the host, over a link like any other.
    pub(crate) folder: Held<directory::Client>,
    whole: store::Client,
    _shell: Shell,
    services: Vec<Pid>,
    cores: Vec<usize>,
    node: Node,
}

impl Scene {
    /// Within a runtime.
    pub(crate) async fn start() -> Result<Self, String> {
        let node = Node::start()?;
        node.make_keys()?;
        let shell = Shell::at(&node.state()).await?;
        let stored = shell.hold("stored", Object::Offer("storage:/bench")).await?;
        let shared = node.beside("folder");
        std::fs::create_dir(&shared).map_err(|error| format!("no folder: {error}"))?;
        let folder = shell.hold("folder", Object::Folder(&shared)).await?;
        let whole = shell.hold::<store::Client>("store", Object::Offer("storage:store")).await?.object;
        let images = ["storage", "keys", "folder"];
        let services: Result<_, String> = images.into_iter().map(|image| node.process(image)).collect();
        Ok(Self { stored, folder, whole, _shell: shell, services: services?, cores: cores()?, node })
    }

    /// Puts the services on one core, and this process, which is client and baseline, where the placement says.
    /// Where these are two, neither sleeps while what is returned lives.
    pub(crate) fn place(&self, placement: Placement) -> Result<Option<Awake>, String> {
        let awake = placement.wake_among(&self.cores)?;
        let (of_server, of_client) = placement.among(&self.cores)?;
        self.services.iter().try_for_each(|service| pin_whole(*service, &[of_server]))?;
        pin_whole(rustix::process::getpid(), &[of_client])?;
        Ok(awake)
    }

    /// The storage service's process.
    pub(crate) fn storage(&self) -> Pid {
        self.services[0]
    }

    /// Processor time that the storage service and this process have used, in nanoseconds.
    pub(crate) fn processor_ns(&self) -> [u64; 2] {
        [self.storage(), rustix::process::getpid()].map(processor_ns)
    }

    /// A path for a plain file on the same disk.
    pub(crate) fn plain(&self, name: &str) -> PathBuf {
        self.node.beside(name)
    }

    /// Where the store has everything.
    pub(crate) fn segments(&self) -> PathBuf {
        self.node.state().join("storage/segments")
    }

    /// Gives back what nothing uses any more, so that the store does not do so while something is timed.
    pub(crate) async fn tidy(&self) -> Result<(), String> {
        let compacted = self.whole.compact_request().send().promise.await;
        compacted.map(drop).map_err(|error| format!("the store was not compacted: {error}"))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What comes after may run anywhere again. That it does not is seen in its figures only, like all placing.
        let _ = pin_whole(rustix::process::getpid(), &self.cores);
    }
}
