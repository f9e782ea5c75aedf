//! The services of which a node has one process each: its keys and its store. They are started with the node and stay. What
//! they need of each other they hold as grants like anyone, so that a person sees it and can cut it.

use std::rc::Rc;

use capnp::traits::HasTypeId;
use schema::kernel_capnp::Image;
use schema::keys_capnp::{keyring, signer, unsealer};
use schema::storage_capnp::{store, stored_directory};
use vat::words::Rights;

use crate::caveats::Caveats;
use crate::core::{Core, SIGNER_LABEL, Start, THE_NODE};
use crate::live::{Kind, POWERBOX, ServerHold, ServerLife};
use crate::matching::directory;
use crate::problem::Problem;
use crate::record::{Granted, Holder, Object, Record, Service, Source};
use crate::words::{PATH_LIMIT, plain};

/// The longest name of an object; see `OBJECT_LIMIT_BYTES` of doors.
const NAME_LIMIT_BYTES: usize = vat::door::OBJECT_LIMIT_BYTES;

/// What parts of the node hold from the first start on: who, under which label, which object of the keys.
const OWN_GRANTS: [(&str, &str, &str); 3] =
    [(POWERBOX, SIGNER_LABEL, "log"), ("storage", "store", "store"), ("storage", "commits", "commits")];

impl Service {
    const fn image(self) -> Image {
        match self {
            Service::Keys => Image::Keys,
            Service::Storage => Image::Storage,
        }
    }

    /// The service of an image.
    pub(crate) fn of_image(image: Image) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.image() == image)
    }
}

impl Object {
    /// What an offer names, such as `storage:/notes`; nothing where it is none of a service's.
    #[must_use]
    pub fn parse(offer: &str) -> Option<Result<Self, Problem>> {
        let (service, name) = offer.split_once(':')?;
        let service = Service::from_name(service)?;
        let object = Object { service, name: name.to_owned() };
        Some(if object.interface().is_some() { Ok(object) } else { Err(no_object(offer, service)) })
    }

    /// How the offer of it is written.
    #[must_use]
    pub fn offer(&self) -> String {
        format!("{}:{}", self.service.name(), self.name)
    }

    /// The interface that it serves.
    #[must_use]
    pub fn interface(&self) -> Option<u64> {
        match (self.service, self.name.as_str()) {
            (Service::Keys, "keyring") => Some(keyring::Client::TYPE_ID),
            (Service::Keys, "store") => Some(unsealer::Client::TYPE_ID),
            (Service::Keys, "device" | "log" | "author" | "commits") => Some(signer::Client::TYPE_ID),
            (Service::Keys, _) => None,
            (Service::Storage, "store") => Some(store::Client::TYPE_ID),
            (Service::Storage, path) => is_path(path).then_some(stored_directory::Client::TYPE_ID),
        }
    }

    /// Whether an app may be given it. What commands the whole node is for people, and keys are used for them.
    #[must_use]
    pub fn is_for_apps(&self) -> bool {
        self.interface() == Some(stored_directory::Client::TYPE_ID)
    }
}

/// Whether an object of one interface can stand where the other is asked for (0: any).
#[must_use]
pub fn serves(interface: u64, asked: u64) -> bool {
    let is_directory = interface == stored_directory::Client::TYPE_ID && asked == directory();
    asked == 0 || asked == interface || is_directory
}

/// A path in the store: `/` or `/a/b`, of names as directories have them.
fn is_path(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains('\0');
    path.len() <= NAME_LIMIT_BYTES
        && path.strip_prefix('/').is_some_and(|names| names.is_empty() || names.split('/').all(is_name))
}

fn no_object(offer: &str, service: Service) -> Problem {
    let shown = plain(offer, PATH_LIMIT);
    Problem::refused(match service {
        Service::Keys => format!(
            "the node's keys have no object {shown}. There are keys:device, keys:log, keys:author, keys:commits, keys:store and keys:keyring"
        ),
        Service::Storage => format!(
            "{shown} names nothing in the store: write storage:/ and the path of a folder in it, such as storage:/notes"
        ),
    })
}

impl Core {
    /// Starts the node's services where they do not run yet, and gives them what they hold of each other.
    pub(crate) async fn start_services(self: &Rc<Self>) {
        for service in Service::ALL {
            if let Err(problem) = self.serve_service(service).await {
                self.warn_about(service.name(), format!("{} was not started: {problem}", service.name()));
            }
        }
        for (holder, label, key) in OWN_GRANTS {
            if let Err(problem) = self.grant_own(holder, label, key).await {
                self.warn(format!("{holder} was not given keys:{key}: {problem}"));
            }
        }
    }

    /// The process of a service, which is started where it does not run, and what keeps it.
    pub(crate) async fn serve_service(self: &Rc<Self>, service: Service) -> Result<(u64, ServerHold), Problem> {
        let running = self.live.borrow_mut().services.get_mut(&service).map(|life| (life.process, life.hold()));
        let (process, hold) = match running {
            Some(running) => running,
            None => {
                let process = self.new_id()?;
                let mut life = ServerLife::of(process);
                let hold = life.hold();
                self.live.borrow_mut().services.insert(service, life);
                if let Err(problem) = self.start_service(process, service).await {
                    self.live.borrow_mut().services.remove(&service);
                    self.bells.processes.ring();
                    return Err(problem);
                }
                (process, hold)
            }
        };
        let failed = |why: String| {
            Problem::refused(format!(
                "{} does not run: {why}. Try again in a moment; `latch status` and the node's kernel.log tell more",
                service.name()
            ))
        };
        self.confined_or_dead(process, &hold).await.map_err(failed)?;
        Ok((process, hold))
    }

    async fn start_service(self: &Rc<Self>, process: u64, service: Service) -> Result<(), Problem> {
        self.start_process(Start {
            process,
            image: service.image(),
            kind: Kind::Service(service),
            name: service.name().to_owned(),
            setup: Vec::new(),
            resources: Vec::new(),
            claim: None,
            folder: None,
            restart: true,
            memory_bytes: 0,
            cpu_seconds: 0,
            file_bytes: 0,
        })
        .await?;
        self.link_session(process).await
    }

    /// A part of the node is given an object of the keys, unless it holds it.
    async fn grant_own(self: &Rc<Self>, holder: &str, label: &str, key: &str) -> Result<(), Problem> {
        let holder = Holder::Service(holder.to_owned());
        let held = {
            let state = self.state.borrow();
            let held = state.grants.labelled(&holder, label).filter(|(_, node)| node.ended.is_none());
            held.map(|(grant, _)| grant)
        };
        let grant = match held {
            Some(grant) => grant,
            None => {
                let object = Object { service: Service::Keys, name: key.to_owned() };
                let grant = self.state.borrow().grants.next();
                let granted = Granted {
                    grant,
                    parent: 0,
                    holder,
                    label: label.to_owned(),
                    offer: object.offer(),
                    interface: object.interface().unwrap_or_default(),
                    source: Source::Object(object),
                    caveats: Caveats { rights: Rights::ALL, ..Caveats::default() },
                    transient: false,
                };
                self.commit(THE_NODE, Record::Granted(Box::new(granted))).await?;
                grant
            }
        };
        self.open_soon(grant);
        Ok(())
    }

    /// A service has ended and is not started again: it could not begin.
    pub(crate) fn service_ended(&self, service: Service, process: u64, how: &str) {
        let mut live = self.live.borrow_mut();
        if live.services.get(&service).is_some_and(|life| life.process == process)
            && let Some(life) = live.services.remove(&service)
        {
            life.ended(how.to_owned());
        }
        drop(live);
        self.warn_about(service.name(), format!("{} has ended and is not started again: {how}", service.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_they_are_offered() {
        for (offer, apps) in
            [("storage:/", true), ("storage:/notes/2026", true), ("storage:store", false), ("keys:author", false)]
        {
            let object = Object::parse(offer).unwrap().unwrap();
            assert_eq!((object.offer().as_str(), object.is_for_apps()), (offer, apps));
        }
        for none in ["storage:", "storage:notes", "storage:/a//b", "storage:/../x", "storage:/a/", "keys:", "keys:root"]
        {
            assert!(Object::parse(none).unwrap().is_err(), "{none}");
        }
        assert!(Object::parse("search:docs").is_none() && Object::parse("storage").is_none());
    }

    #[test]
    fn a_stored_directory_is_a_directory_and_not_the_other_way() {
        let stored = stored_directory::Client::TYPE_ID;
        assert!(serves(stored, directory()) && serves(stored, stored) && serves(stored, 0));
        assert!(!serves(directory(), stored));
    }
}
