//! The order of things, seen from the kernel: a test plays the kernel's side of the control channel, and looks at the
//! disk at each step.

mod choosing;
mod compiling;
mod folders;
mod indexed;
mod kernel;
mod recovery;
mod reports;
mod requests;
mod spoken;
mod starting;
mod steps;
mod used_up;

use std::path::Path;
use std::rc::Rc;

use capnp::traits::HasTypeId;
use package::{Announced, Manifest};
use tokio::sync::mpsc;
use vat::native::Door;
use vat::words::{EndReason, Rights};

use super::{Core, Parts, Setup, spawn};
use crate::caveats::Caveats;
use crate::log::Log;
use crate::record::{Entry, Folder, Granted, Holder, Installed, Ran, Record, Source};
use kernel::Kernel;

/// A powerbox whose kernel is the test.
struct Node {
    core: Rc<Core>,
    kernel: Kernel,
    folder: tempfile::TempDir,
    /// Where sessions would be served.
    _threads: [mpsc::UnboundedReceiver<crate::sessions::Incoming>; 2],
}

impl Node {
    /// A powerbox whose log holds these records. It hears the kernel, and does nothing else by itself.
    fn new(records: Vec<Record>) -> Node {
        let folder = tempfile::tempdir().unwrap();
        write_log(folder.path(), records);
        let (log, state, index, warnings) = crate::start::read_state(folder.path()).unwrap();
        let (control, kernel) = Kernel::new();
        let (door, _) = kernel::pair();
        let ((sessions, first), (operators, second)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let core = Core::new(Parts {
            folder: folder.path().to_path_buf(),
            setup: Setup::default(),
            log,
            state,
            index,
            control,
            door: Door::new(door).unwrap(),
            sessions,
            operators,
            warnings,
            confinement: vat::door::Confinement::default(),
        })
        .unwrap();
        let hears = core.clone();
        spawn(async move { hears.hear().await.unwrap() });
        Node { core, kernel, folder, _threads: [first, second] }
    }

    /// The same, done with its recovery: the kernel has these processes and links.
    async fn recovered(records: Vec<Record>, inventory: kernel::Inventory) -> Node {
        let node = Node::new(records);
        let core = node.core.clone();
        let recovering = tokio::task::spawn_local(core.recover());
        node.kernel.give_inventory(&inventory).await;
        node.kernel.agree_until(recovering).await.unwrap();
        node
    }

    /// What is on the disk now, in another reader's eyes.
    fn on_disk(&self) -> Vec<Record> {
        let mut found = Vec::new();
        crate::log::replay(self.folder.path(), u64::MAX, |_, payload| {
            found.push(Entry::decode(payload).unwrap().record);
            Ok(())
        })
        .unwrap();
        found
    }

    /// The grants that the disk says have ended, with their reasons.
    fn ended_on_disk(&self) -> Vec<(u64, EndReason)> {
        let ended = self.on_disk().into_iter().filter_map(|record| match record {
            Record::Ended(ended) => Some(ended),
            _ => None,
        });
        ended.flat_map(|ended| ended.grants.into_iter().map(move |grant| (grant, ended.reason))).collect()
    }
}

fn write_log(folder: &Path, records: Vec<Record>) {
    for name in ["log", "keys"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let mut log = Log::open(folder, |_, _, _| Ok(())).unwrap().log;
    for record in records {
        log.append(1_000, "test", record).unwrap();
    }
    let (mut reached, position) = (log.reached(), log.position());
    let is_there = |reached: &crate::log::Reached| *reached == crate::log::Reached::Position(position);
    futures::executor::block_on(reached.wait_for(is_there)).unwrap();
}

/// Runs a test where tokio can.
fn run(test: impl Future<Output = ()>) {
    vat::native::run(test).unwrap();
}

fn directory() -> u64 {
    schema::filesystem_capnp::directory::Client::TYPE_ID
}

fn folder() -> Folder {
    Folder { path: "/docs".into(), file_system: 1, handle: vec![1, 2, 3], inode: 7, run_as: 1000 }
}

/// The app `search`, which announces this many folders: `l0`, `l1`, …
fn installed(labels: usize) -> Record {
    let announced = |number| Announced {
        label: format!("l{number}"),
        interface: directory(),
        rights: Rights::READ,
        reason: "to search it".into(),
    };
    Record::Installed(Installed {
        manifest: Manifest {
            name: "search".into(),
            version: "1.0.0".into(),
            requests: (0..labels).map(announced).collect(),
            ..Manifest::default()
        },
        digest: [1; 32],
        bytes: 1,
        at_ms: 1,
    })
}

/// The instance `search` runs as this process.
fn ran(process: u64) -> Record {
    Record::Ran(Ran { instance: "search".into(), app: "search".into(), process, detached: true, ..Ran::default() })
}

fn granted(grant: u64, parent: u64, label: &str, caveats: Caveats) -> Record {
    Record::Granted(Box::new(Granted {
        grant,
        parent,
        holder: Holder::Instance("search".into()),
        label: label.into(),
        offer: "host:/docs".into(),
        source: Source::Folder(folder()),
        interface: directory(),
        caveats,
        transient: false,
    }))
}

fn read_only() -> Caveats {
    Caveats { rights: Rights::READ, ..Caveats::default() }
}
