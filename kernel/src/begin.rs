//! Carrying out `start`: which image, with what, as whom.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use schema::kernel_capnp::{Image, start};
use vat::door::{DoorError, Resource, ResourceKind};
use vat::words::clip;

use crate::channel::DESCRIPTORS_LIMIT;
use crate::control::{Answer, read_identity, text};
use crate::folders::{group_of, run_as};
use crate::kernel::{Kernel, POWERBOX, Plan, Process};
use crate::shells::Claim;
use crate::spawn::Limits;

/// The powerbox's user, always the same, so that its files keep their owner. Clear of the range that systemd gives out.
pub(crate) const POWERBOX_UID: u32 = 2_000_000_000;
/// Users of other processes: the lowest that is free from here.
const FIRST_UID: u32 = POWERBOX_UID + 1;
/// Names are for people; longer ones are cut.
const NAME_LIMIT_BYTES: usize = 96;

impl Kernel {
    pub(crate) fn start_wanted(
        &mut self,
        start: start::Reader<'_>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Answer, DoorError> {
        let process = start.get_process();
        if self.processes.contains_key(&process) {
            return Ok(Answer::ok());
        }
        let (image, claims) = (start.get_image()?, start.get_claims()?);
        let named = start.get_resources()?;
        let given = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
        if image == Image::Powerbox || named.len() != given || given + claims.len() > DESCRIPTORS_LIMIT as u32 {
            return Ok(Answer::refused("not a process that can be started like that"));
        }
        if self.images.get(image).is_none() {
            return Ok(Answer::refused(&format!("{} is not installed", crate::images::name(image).to_string_lossy())));
        }
        if !self.stage.is_running() {
            return Ok(Answer::refused("the node is stopping"));
        }
        if descriptors.iter().any(|descriptor| self.near_limit(std::os::fd::AsRawFd::as_raw_fd(descriptor))) {
            return Ok(Answer::busy("the kernel's limit of descriptors is near"));
        }
        let mut resources = Vec::new();
        for (resource, descriptor) in named.iter().zip(descriptors) {
            resources.push((Resource::read_from(resource)?, Rc::new(descriptor)));
        }
        if claims.iter().any(|claim| !self.operators.resources.contains_key(&claim)) {
            return Ok(Answer::unknown("a resource is not there: its shell may be gone"));
        }
        let claimed: Vec<Claim> = claims.iter().filter_map(|claim| self.operators.resources.remove(&claim)).collect();
        let mut person = (start.get_run_as(), None);
        for claim in claimed {
            person = (claim.uid, Some(claim.gid));
            resources.push((as_folder(claim.resource), claim.descriptor));
        }
        if image == Image::Folder && resources.is_empty() {
            let identity = read_identity(start.get_folder()?)?;
            match identity.reopen() {
                Ok(folder) => {
                    let path = identity.path;
                    let resource = Resource { kind: ResourceKind::Folder, name: String::new(), token: 0, path };
                    resources.push((as_folder(resource), Rc::new(folder)));
                }
                Err(why) => return Ok(Answer::refused(&why)),
            }
        }
        let identity = match self.identity(image, person, resources.first().map(|(_, folder)| &**folder)) {
            Ok(identity) => identity,
            Err(why) => return Ok(Answer::refused(&why)),
        };
        let limits = start.get_limits()?;
        let limits = Limits {
            memory_bytes: limits.get_memory_bytes(),
            cpu_seconds: limits.get_cpu_seconds(),
            descriptors: limits.get_descriptors(),
        };
        let (restart, output) = (start.get_restart(), start.get_output());
        let setup = start.get_setup()?.to_vec();
        let plan = Plan { image, setup, resources, restart, limits, output, identity };
        Ok(self.begin(process, clip(&text(start.get_name())?, NAME_LIMIT_BYTES), plan))
    }

    /// Enters a process into the table and starts it.
    pub(crate) fn begin(&mut self, process: u64, name: &str, plan: Plan) -> Answer {
        self.processes.insert(
            process,
            Process {
                name: name.to_owned(),
                uid: plan.identity.0,
                plan: Some(plan),
                life: None,
                restarts: 0,
                failures: 0,
                last: String::new(),
                stopping: false,
            },
        );
        match self.start(process) {
            Ok(()) => Answer::ok(),
            Err(error) => {
                self.processes.remove(&process);
                Answer::busy(&format!("{name} could not be started: {error}"))
            }
        }
    }

    /// User and group of a process. The person is who offered the folder.
    fn identity(
        &self,
        image: Image,
        person: (u32, Option<u32>),
        folder: Option<&OwnedFd>,
    ) -> Result<(u32, u32), String> {
        if !self.machine.root {
            return Ok((rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()));
        }
        if let (Image::Folder, Some(folder)) = (image, folder) {
            let fenced = self.machine.landlock > 0 && self.machine.has_namespaces();
            let user = run_as(person.0, folder, fenced)?;
            let group = person.1.filter(|_| user == person.0).unwrap_or_else(|| group_of(user));
            return Ok((user, group));
        }
        let used = |uid: u32| self.processes.values().any(|known| known.uid == uid);
        let free = (FIRST_UID..).find(|uid| !used(*uid)).unwrap_or(FIRST_UID);
        Ok((free, free))
    }

    /// The first start of the powerbox.
    pub(crate) fn begin_powerbox(&mut self, setup: Vec<u8>, state: OwnedFd) -> Answer {
        let path = String::new();
        let state = (Resource { kind: ResourceKind::Folder, name: "state".to_owned(), token: 0, path }, Rc::new(state));
        let identity = if self.machine.root {
            (POWERBOX_UID, POWERBOX_UID)
        } else {
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        };
        let (image, resources, limits) = (Image::Powerbox, vec![state], Limits::default());
        let plan = Plan { image, setup, resources, restart: true, limits, output: true, identity };
        self.begin(POWERBOX, "powerbox", plan)
    }
}

/// What a folder service is given is called so, whatever a shell called it.
fn as_folder(resource: Resource) -> Resource {
    Resource { name: "folder".to_owned(), ..resource }
}
