//! Carrying out `start`: which image, with what, as whom.

use crate::folders::group_of;
use crate::prelude::*;
use crate::state::{own_folder, owner};
use capnp::message::Builder;
use schema::kernel_capnp::start;
use schema::setup_capnp::powerbox_setup;
use vat::socket::DESCRIPTORS_LIMIT;

/// The first user of a process's own, the powerbox's. Clear of the range that systemd gives out.
pub(crate) const FIRST_UID: u32 = 2_000_000_000;
/// So many images always have the same user, from the first on, and these are nobody else's.
const OWN_UIDS: u32 = 3;
/// Names are for people; longer ones are cut.
const NAME_LIMIT_BYTES: usize = 96;

impl Kernel {
    pub(crate) fn start_wanted(&mut self, start: start::Reader<'_>, given: Vec<OwnedFd>) -> Result<Answer, DoorError> {
        let (process, image, named) = (start.get_process(), start.get_image()?, start.get_resources()?);
        let claims: Vec<u64> = start.get_claims()?.iter().collect();
        let own = own_folder(image, self.machine.root);
        let fits = named.len() as usize == given.len() && given.len() + claims.len() <= DESCRIPTORS_LIMIT;
        let refused = match () {
            () if self.processes.contains_key(&process) => Some(ok()),
            () if !fits || image == Image::Powerbox => Some(no(Outcome::Refused, "nothing is started like that")),
            () if let Err((_, why)) = &own => Some(no(Outcome::Refused, why.as_str())),
            () if self.stopping => Some(no(Outcome::Refused, "the node is stopping")),
            () if !self.machine.has(image) => Some(no(Outcome::Refused, "its image is not installed")),
            () if given.iter().any(near_limit) => Some(no(Outcome::Busy, "the kernel's limit of descriptors is near")),
            () if claims.iter().all(|claim| self.operators.claims.contains_key(claim)) => None,
            () => Some(no(Outcome::Unknown, "a resource is not there: its shell may be gone")),
        };
        if let Some(refused) = refused {
            return Ok(refused);
        }
        let mut resources = Vec::from_iter(own.ok().flatten());
        resources.extend(self.machine.tpm.clone().filter(|_| image == Image::Keys));
        for (resource, descriptor) in named.iter().zip(given) {
            resources.push((Resource::read_from(resource)?, Rc::new(descriptor)));
        }
        let mut person = None;
        for claim in claims.iter().filter_map(|claim| self.operators.claims.remove(claim)) {
            person = Some(claim.identity);
            resources.push((folder(claim.resource), claim.descriptor));
        }
        let named = image == Image::Folder && resources.is_empty();
        let folder = named.then(|| Resource::read_from(start.get_folder()?).map(folder)).transpose()?;
        let identity = match start.get_run_as() {
            _ if image != Image::Folder || !self.machine.root => self.identity_of(image),
            user => person.unwrap_or_else(|| (user, group_of(user))),
        };
        let (limits, setup, name) = (start.get_limits()?, start.get_setup()?.to_vec(), text(start.get_name())?);
        let (memory_bytes, cpu_seconds) = (limits.get_memory_bytes(), limits.get_cpu_seconds());
        let (file_bytes, restart) = (limits.get_file_bytes(), start.get_restart());
        let plan = Plan { image, setup, resources, folder, restart, memory_bytes, cpu_seconds, file_bytes, identity };
        let begun = self.begin(process, clip(&name, NAME_LIMIT_BYTES), plan);
        Ok(begun.map_or_else(|error| no(Outcome::Busy, format!("it could not be started: {error}")), |()| ok()))
    }

    /// Enters a process into the table and starts it.
    fn begin(&mut self, process: u64, name: &str, plan: Plan) -> std::io::Result<()> {
        let (name, identity) = (name.to_owned(), plan.identity);
        self.processes.insert(process, Process { name, identity, plan: Some(Rc::new(plan)), ..Process::default() });
        self.start(process).inspect_err(|_| drop(self.processes.remove(&process)))
    }

    /// The image's own user, or one that no other process has, where there can be several.
    fn identity_of(&self, image: Image) -> (u32, u32) {
        if !self.machine.root {
            return (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        }
        let free = |user: &u32| self.processes.values().all(|known| known.identity.0 != *user);
        let user = owner(image).map_or_else(|| (FIRST_UID + OWN_UIDS..).find(free), |(_, user)| Some(user));
        let user = user.unwrap_or(FIRST_UID);
        (user, user)
    }

    /// The first start of the powerbox.
    pub(crate) fn begin_powerbox(&mut self, state: Option<(Resource, Rc<OwnedFd>)>) -> std::io::Result<()> {
        let mut message = Builder::new_default();
        let mut setup = message.init_root::<powerbox_setup::Builder<'_>>();
        fill!(setup, set_state_uid(self.operators.state_uid), set_reduced(self.reduced));
        let alone = |why| format!("RLIMIT_DATA only, because {why}");
        let limits = self.machine.cgroups.as_ref().map_or_else(alone, |_| "cgroup v2 and RLIMIT_DATA".to_owned());
        self.machine.say(&format!("memory is limited by {limits}"));
        setup.set_memory_limits(limits.as_str());
        setup.set_kernel_missing(self.machine.missing.as_slice()).map_err(std::io::Error::other)?;
        let setup = vat::door::packet::pack::<powerbox_setup::Owned>(&message).map_err(std::io::Error::other)?;
        let (image, resources, folder) = (Image::Powerbox, Vec::from_iter(state), None);
        let identity = self.identity_of(image);
        let (restart, memory_bytes, cpu_seconds, file_bytes) = (true, 0, 0, 0);
        let plan = Plan { image, setup, resources, folder, restart, memory_bytes, cpu_seconds, file_bytes, identity };
        self.begin(POWERBOX, "powerbox", plan)
    }
}

/// What a folder service is given is called so, whatever a shell called it.
fn folder(named: Resource) -> Resource {
    Resource { path: named.path, identity: named.identity, ..Resource::new(ResourceKind::Folder, "folder") }
}
