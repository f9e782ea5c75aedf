//! What a person picks: found, and held against what may be had.

use std::rc::Rc;
use std::time::Duration;

use vat::door::ResourceKind;
use vat::words::{Method, Rights};

use crate::caveats::{Caveats, Left, narrow};
use crate::core::Core;
use crate::grants::Node;
use crate::live::{Brought, ServerHold};
use crate::matching::{HOST_RESOLVER, Offer, Target, directory, folder_offer};
use crate::problem::Problem;
use crate::record::{Holder, Object, Service, Source, interface_name};
use crate::services::serves;
use crate::words::{PATH_LIMIT, plain};

/// How long a decision waits for the folder that a shell said it has sent: both take another way.
const RESOURCE_PATIENCE: Duration = Duration::from_secs(5);
/// Allowed methods of one grant: all of every interface there is, and they fit into a badge.
const METHODS_LIMIT: usize = 256;

/// What a person picks for a request.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) pick: Pick,
    pub(crate) caveats: Caveats,
}

/// Which object.
#[derive(Clone, Debug)]
pub(crate) enum Pick {
    /// A folder that the shell brought, by its number for it.
    Folder(u64),
    /// An offer by name.
    Offer(String),
    /// A child of what is already granted.
    Target(String),
}

/// A choice that was found to be possible.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) parent: u64,
    pub(crate) offer: String,
    pub(crate) source: Source,
    pub(crate) interface: u64,
    pub(crate) caveats: Caveats,
    /// Keeps what serves it there until it is linked, where it was started for this.
    pub(crate) hold: Option<ServerHold>,
}

impl Core {
    /// Finds what a choice names, and whether it can be had: of the interface asked for (0: any), with no more rights
    /// than `most`.
    pub(crate) async fn resolve(
        self: &Rc<Self>,
        shell: u64,
        uid: u32,
        choice: Choice,
        interface: u64,
        most: Rights,
    ) -> Result<Resolved, Problem> {
        if choice.caveats.methods.len() > METHODS_LIMIT {
            return Err(Problem::refused(format!("more than {METHODS_LIMIT} methods are named. Name fewer")));
        }
        let asked = Caveats { rights: choice.caveats.rights.intersect(most), ..choice.caveats };
        let unlimited = Caveats { rights: Rights::ALL, ..Caveats::default() };
        let now_ms = self.now_ms();
        let too_wide = |why: crate::caveats::TooWide| Problem::refused(why.to_string());
        // An object of a service is named in the same way whether or not anyone holds it.
        let pick = match choice.pick {
            Pick::Target(words) if Object::parse(&words).is_some() => Pick::Offer(words),
            pick => pick,
        };
        let resolved = match pick {
            Pick::Folder(token) => {
                let brought = self.brought(shell, token).await?;
                if brought.kind != ResourceKind::Folder {
                    return Err(Problem::refused("what was brought is not a folder. Name a folder"));
                }
                let caveats = narrow(&unlimited, Left::default(), &asked, now_ms).map_err(too_wide)?;
                let folder = brought.folder.clone();
                // Served before it is granted: what cannot be served is refused with nothing left behind.
                let (_, hold) = self.serve_folder(&folder, Some(brought.resource)).await?;
                Resolved {
                    parent: 0,
                    offer: folder_offer(&folder),
                    source: Source::Folder(folder),
                    interface: directory(),
                    caveats,
                    hold: Some(hold),
                }
            }
            Pick::Offer(name) => {
                let (source, interface, rights) = self.offer(&name)?;
                let within = |rights: Rights| Caveats { rights: asked.rights.intersect(rights), ..asked.clone() };
                narrow(&unlimited, Left::default(), &within(rights), now_ms).map_err(too_wide)?;
                may_use(uid, &source)?;
                let (_, hold) = self.serve_source(&source).await?;
                // That took time: it is given as it is offered now, if it still is.
                let (still, _, rights) = self.offer(&name)?;
                if still != source {
                    let shown = plain(&name, PATH_LIMIT);
                    return Err(Problem::refused(format!("{shown} is another one now. Look at it and try again")));
                }
                let caveats = narrow(&unlimited, Left::default(), &within(rights), self.now_ms()).map_err(too_wide)?;
                Resolved { parent: 0, offer: name, source, interface, caveats, hold: Some(hold) }
            }
            Pick::Target(words) => {
                let (parent, node) = self.target(&words)?;
                may_use(uid, &node.granted.source)?;
                let asked = Caveats { rights: asked.rights.intersect(node.granted.caveats.rights), ..asked };
                let caveats = narrow(&node.granted.caveats, node.left, &asked, now_ms).map_err(too_wide)?;
                let granted = node.granted;
                Resolved {
                    parent,
                    offer: granted.offer,
                    source: granted.source,
                    interface: granted.interface,
                    caveats,
                    hold: None,
                }
            }
        };
        if !serves(resolved.interface, interface) {
            return Err(Problem::refused(format!(
                "{} serves {}, and {} was asked for. Choose another object",
                plain(&resolved.offer, PATH_LIMIT),
                interface_name(resolved.interface),
                interface_name(interface)
            )));
        }
        if let Source::Object(object) = &resolved.source
            && interface != 0
            && !object.is_for_apps()
        {
            let shown = plain(&resolved.offer, PATH_LIMIT);
            return Err(Problem::refused(format!("{shown} is for the node's operators alone. Choose another object")));
        }
        if resolved.caveats.quota.is_some() && !resolved.source.is_of(Service::Storage) {
            return Err(Problem::refused("a quota can be given for objects of the store only. Leave it out"));
        }
        // What was asked for is what it is used as.
        let interface = if interface == 0 { resolved.interface } else { interface };
        Ok(Resolved { interface, ..resolved })
    }

    /// Takes what a shell brought, waiting for it a while.
    pub(crate) async fn brought(&self, shell: u64, token: u64) -> Result<Brought, Problem> {
        let key = (shell, token);
        let came = self.bells.resources.until(|| self.live.borrow_mut().brought.remove(&key));
        tokio::time::timeout(RESOURCE_PATIENCE, came).await.map_err(|_| {
            Problem::refused(
                "the folder or file did not arrive at the node. Try again; `latch status` shows whether it works",
            )
        })
    }

    /// What is on offer now.
    pub(crate) fn offers(&self) -> Vec<Offer> {
        crate::matching::offers(&self.state.borrow().grants, &self.live.borrow().ending, self.now_ms())
    }

    /// What serves an offer of this name, with which interface, and the most that it can be had with.
    fn offer(&self, name: &str) -> Result<(Source, u64, Rights), Problem> {
        if name == HOST_RESOLVER {
            return Err(Problem::refused("name a folder in the place of PATH: host:/some/folder"));
        }
        if let Some(object) = Object::parse(name) {
            let object = object?;
            let interface = object.interface().unwrap_or_default();
            return Ok((Source::Object(object), interface, Rights::ALL));
        }
        let none = || {
            let name = plain(name, PATH_LIMIT);
            Problem::refused(format!("there is no offer {name}, or no longer. `latch offers` lists them"))
        };
        let offer = self.offers().into_iter().find(|offer| offer.name == name).ok_or_else(none)?;
        let source = offer.source.ok_or_else(none)?;
        Ok((source, offer.interface, offer.rights))
    }

    /// Whether there is anything of these grants to revoke.
    pub(crate) fn check_revocable(&self, grants: &[u64]) -> Result<(), Problem> {
        let state = self.state.borrow();
        match grants.iter().find(|grant| state.grants.get(**grant).is_none()) {
            Some(none) => Err(Problem::refused(format!("there is no grant #{none}. `latch grants` lists them"))),
            None if grants.iter().any(|grant| state.grants.is_alive(*grant)) => Ok(()),
            None => Err(Problem::refused("all of this has ended already. `latch grants` lists what has not")),
        }
    }

    /// The grant that a person means, which must be alive.
    pub(crate) fn target(&self, words: &str) -> Result<(u64, Node), Problem> {
        let state = self.state.borrow();
        let shown = plain(words, PATH_LIMIT);
        let none =
            || Problem::refused(format!("there is nothing called {shown}. `latch grants` lists what is granted"));
        let found = match Target::parse(words) {
            Target::Grant(grant) => state.grants.get(grant).map(|node| (grant, node)),
            Target::Held { instance, label } => state.grants.labelled(&Holder::Instance(instance), &label),
            Target::Offer(_) | Target::Instance(_) => None,
        };
        let (grant, node) = found.ok_or_else(none)?;
        if node.ended.is_some() || self.live.borrow().ending.contains(&grant) {
            return Err(Problem::refused(format!("grant #{grant} has ended. `latch why #{grant}` tells how")));
        }
        Ok((grant, node.clone()))
    }
}

/// A folder is served with the rights of whoever offered it: those are not for other people to pass on.
fn may_use(uid: u32, source: &Source) -> Result<(), Problem> {
    // What the node's services serve is the node's, and its operators'.
    let Source::Folder(folder) = source else { return Ok(()) };
    if uid == 0 || uid == folder.run_as {
        return Ok(());
    }
    Err(Problem::refused(format!(
        "{} was offered by another user (uid {}), with whose rights it is served. Name a folder of your own",
        plain(&folder_offer(folder), PATH_LIMIT),
        folder.run_as
    )))
}

/// The methods of a choice.
pub(crate) fn methods(list: impl Iterator<Item = Method>) -> Vec<Method> {
    list.take(METHODS_LIMIT + 1).collect()
}
