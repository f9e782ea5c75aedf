//! What runs now: processes, links, what shells brought. Nothing of it is recorded: after a start it is learned anew
//! from the kernel's inventory and the log.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use schema::kernel_capnp::Image;
use vat::bounds::LAST_REPORTS_LIMIT;
use vat::door::{Carries, Confinement, ResourceKind};

use crate::pace::Pace;
use crate::record::{Folder, Holder, Service, Source};
use crate::runs::is_given_up;
use crate::usage::LinkTotals;

/// Ended links that are remembered for their last report, which a service makes within milliseconds of the end. Of one that
/// is forgotten what is left of its lease still comes back, because the lease names it.
const ENDED_LIMIT: usize = LAST_REPORTS_LIMIT;

/// The name of the powerbox as a holder; its process number is 0.
pub(crate) const POWERBOX: &str = "powerbox";

/// What a process is to the powerbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An app's sandbox.
    App {
        /// The instance.
        instance: String,
    },
    /// One host folder's service.
    Folder(Folder),
    /// A service of the node.
    Service(Service),
    /// A compilation.
    Compile,
    /// A person's shell.
    Shell,
    /// Nothing that this powerbox knows: it is stopped.
    Unknown,
}

/// A process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// What it is.
    pub kind: Kind,
    /// Its image; none for a shell.
    pub image: Option<Image>,
    /// For people.
    pub name: String,
    /// The operating system's number; 0: not known yet.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Whether it is behind its walls.
    pub confined: bool,
    /// How.
    pub confinement: Confinement,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended the last time.
    pub last_exit: String,
    /// While the kernel waits before it starts it again.
    pub backing_off: bool,
    /// It was told to stop.
    pub stopping: bool,
}

impl Process {
    /// A process that is being started.
    #[must_use]
    pub(crate) fn starting(kind: Kind, image: Option<Image>, name: String) -> Self {
        Self {
            kind,
            image,
            name,
            pid: 0,
            uid: 0,
            confined: false,
            confinement: Confinement::default(),
            restarts: 0,
            last_exit: String::new(),
            backing_off: false,
            stopping: false,
        }
    }
}

/// A link that is open as far as the powerbox knows.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// 0: session or raw.
    pub grant: u64,
    /// What goes over it.
    pub carries: Carries,
    /// The serving process; 0: the powerbox.
    pub server: u64,
    /// The using process.
    pub client: u64,
    /// What its server has reported of it so far.
    pub used: LinkTotals,
    /// Its server has made the last report of it.
    pub told_last: bool,
}

impl Link {
    /// A link of which nothing was reported yet.
    #[must_use]
    pub(crate) fn new(grant: u64, carries: Carries, server: u64, client: u64) -> Self {
        Self { grant, carries, server, client, used: LinkTotals::default(), told_last: false }
    }
}

/// A thing that a shell brought through its door.
#[derive(Debug)]
pub(crate) struct Brought {
    /// The kernel's number.
    pub resource: u64,
    /// What it is.
    pub kind: ResourceKind,
    /// Where it is one: with the uid of whoever brought it.
    pub folder: Folder,
    /// A file's own descriptor.
    pub descriptor: Option<OwnedFd>,
}

/// The process that serves a folder or is a service of the node, and who needs it although no link goes there yet.
#[derive(Debug)]
pub(crate) struct ServerLife {
    /// Its process.
    pub process: u64,
    /// How often it was taken into use: whoever saw it idle before and after sees by this whether it was in between.
    uses: u64,
    /// Shared with everyone who holds it. How the process ended, once it has and is not started again.
    holds: Rc<OnceCell<String>>,
}

/// Keeps a server's process from being stopped as idle.
#[derive(Clone, Debug)]
pub(crate) struct ServerHold {
    holds: Rc<OnceCell<String>>,
}

impl ServerHold {
    /// How the process ended, if it has for good.
    pub(crate) fn end(&self) -> Option<String> {
        self.holds.get().cloned()
    }
}

impl ServerLife {
    /// What nobody needs yet.
    pub(crate) fn of(process: u64) -> Self {
        Self { process, uses: 0, holds: Rc::default() }
    }

    /// Keeps it for as long as the hold lives.
    pub(crate) fn hold(&mut self) -> ServerHold {
        self.uses += 1;
        ServerHold { holds: self.holds.clone() }
    }

    /// Its process has ended for good: whoever waits for it is told how.
    pub(crate) fn ended(&self, how: String) {
        // It ends once.
        let _ = self.holds.set(how);
    }

    /// How often it was taken into use; nothing while somebody holds it.
    pub(crate) fn uses_unless_held(&self) -> Option<u64> {
        (Rc::strong_count(&self.holds) == 1).then_some(self.uses)
    }
}

/// What a process uses of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Processor time, microseconds.
    pub cpu_us: u64,
    /// Memory.
    pub resident_bytes: u64,
}

/// What runs now.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// How often the kernel started this powerbox again.
    pub own_restarts: u32,
    /// By number.
    pub processes: BTreeMap<u64, Process>,
    /// By number.
    pub links: HashMap<u64, Link>,
    /// Links of grants that have ended and of which their servers may yet make the last report. Numbers ascend: the first
    /// ended, or at least began, before the others.
    pub ended: BTreeMap<u64, Link>,
    /// The open link of a grant.
    pub open: HashMap<u64, u64>,
    /// Grants for which a link is being made.
    pub opening: HashSet<u64>,
    /// Grants that are being cut: nothing is linked for them any more.
    pub ending: HashSet<u64>,
    /// Grants whose server was restarted, to be linked again.
    pub relink: HashSet<u64>,
    /// Grants that their holder asked for while they had a link, or one was being made.
    pub asked_again: HashSet<u64>,
    /// How often links of a grant were asked for lately; those that were not are left out.
    pub paces: HashMap<u64, Pace>,
    /// Grants whose next link waits for its time.
    pub paced: HashSet<u64>,
    /// Whether somebody waits to stop those that nothing uses.
    pub watches_idle_folders: bool,
    /// The process for each folder.
    pub folders: HashMap<Folder, ServerLife>,
    /// The processes of the node's services.
    pub services: BTreeMap<Service, ServerLife>,
    /// What shells brought, by shell and the shell's number.
    pub brought: HashMap<(u64, u64), Brought>,
    /// Instances that somebody is starting, from before anything of it is known to others.
    pub starting: HashSet<String>,
    /// Compiled components by hash.
    pub compiled: HashMap<[u8; 32], Rc<OwnedFd>>,
    /// How often an instance asked again for what is undecided, by request.
    pub coalesced: HashMap<u64, u32>,
    /// How often an instance asked for what its package does not announce.
    pub unannounced: HashMap<String, u64>,
    /// How often links were cut for what somebody did on them, by name, since this powerbox was started.
    pub misbehaved: HashMap<String, u32>,
    /// What services said of trouble lately, and when.
    pub troubles: HashMap<(u64, String), u64>,
    /// Failures in a row of a detached instance.
    pub failures: HashMap<String, u32>,
    /// What processes used when the kernel was last asked.
    pub figures: HashMap<u64, Figures>,
    /// Links that were cut and whose server has not confirmed yet, with its process.
    pub unquiet: HashMap<u64, u64>,
}

impl Live {
    /// The process of a holder, if it runs.
    #[must_use]
    pub(crate) fn process_of(&self, holder: &Holder) -> Option<u64> {
        match holder {
            Holder::Shell { process, .. } => self.processes.contains_key(process).then_some(*process),
            Holder::Service(name) if name == POWERBOX => Some(0),
            Holder::Service(name) => {
                let service = Service::from_name(name)?;
                self.services.get(&service).map(|life| life.process)
            }
            Holder::Instance(name) => {
                self.of_instance(name).find(|(_, process)| !process.stopping).map(|(number, _)| number)
            }
        }
    }

    /// The process of an instance, also while it is being stopped.
    #[must_use]
    pub(crate) fn process_of_instance(&self, instance: &str) -> Option<u64> {
        self.of_instance(instance).next().map(|(number, _)| number)
    }

    fn of_instance(&self, name: &str) -> impl Iterator<Item = (u64, &Process)> {
        let is_it = move |kind: &Kind| matches!(kind, Kind::App { instance } if instance == name);
        self.processes
            .iter()
            .filter(move |(_, process)| is_it(&process.kind))
            .map(|(number, process)| (*number, process))
    }

    /// How many links a process has.
    #[must_use]
    pub(crate) fn links_of(&self, process: u64) -> u32 {
        let count = self.links.values().filter(|link| link.server == process || link.client == process).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether an earlier process for this folder was told to end before it had found it, and has not: the file system
    /// does not let it go.
    #[must_use]
    pub(crate) fn is_stuck(&self, folder: &Folder) -> bool {
        let is_it = |process: &Process| matches!(&process.kind, Kind::Folder(served) if served == folder);
        self.processes.values().any(|process| process.stopping && !process.confined && is_it(process))
    }

    /// The process that serves what comes from there, if one does.
    #[must_use]
    pub(crate) fn server_of(&self, source: &Source) -> Option<u64> {
        let life = match source {
            Source::Folder(folder) => self.folders.get(folder),
            Source::Object(object) => self.services.get(&object.service),
        };
        life.map(|life| life.process)
    }

    /// Whether a grant's link leads to this process.
    #[must_use]
    pub(crate) fn serves(&self, process: u64) -> bool {
        self.links.values().any(|link| link.server == process && link.grant != 0)
    }

    /// Forgets a link; what it was.
    pub(crate) fn close(&mut self, link: u64) -> Option<Link> {
        let closed = self.links.remove(&link)?;
        if self.open.get(&closed.grant) == Some(&link) {
            self.open.remove(&closed.grant);
        }
        Some(closed)
    }

    /// A link has ended; what it was. Its server may make a last report of it.
    pub(crate) fn end_link(&mut self, link: u64) -> Option<Link> {
        let closed = self.close(link)?;
        if closed.grant != 0 && !closed.told_last {
            self.ended.insert(link, closed.clone());
        }
        if self.ended.len() > ENDED_LIMIT {
            self.ended.pop_first();
        }
        Some(closed)
    }

    /// The link of that number, open or ended lately.
    pub(crate) fn link_mut(&mut self, link: u64) -> Option<&mut Link> {
        self.links.get_mut(&link).or_else(|| self.ended.get_mut(&link))
    }

    /// Whether an instance has failed so often in a row that only a person starts it again.
    pub(crate) fn is_given_up(&self, instance: &str) -> bool {
        self.failures.get(instance).is_some_and(|failures| is_given_up(*failures))
    }
}
