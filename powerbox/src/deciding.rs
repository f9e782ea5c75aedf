//! Requests and what people decide: from an app's question, or a person's own idea, to a grant that is recorded and
//! linked.

use std::rc::Rc;
use std::time::Duration;

use vat::door::ResourceKind;
use vat::words::{EndReason, Method, Rights, clip};

use crate::caveats::{Caveats, Left, narrow};
use crate::core::{Core, spawn};
use crate::grants::Node;
use crate::live::Brought;
use crate::matching::{HOST_RESOLVER, Target, directory, folder_offer, offers};
use crate::problem::Problem;
use crate::record::{Asked, Denied, Folder, Granted, Holder, How, Record, Source, interface_name};
use crate::requests::Standing;
use crate::state::LabelState;
use crate::words::{PATH_LIMIT, PHRASE_LIMIT, REASON_LIMIT, plain};

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
    parent: u64,
    offer: String,
    source: Source,
    interface: u64,
    caveats: Caveats,
}

/// What a person has decided before an app asked.
#[derive(Clone, Debug)]
pub(crate) struct Preset {
    pub(crate) by: String,
    pub(crate) resolved: Resolved,
}

/// What an app asks for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) label: String,
    pub(crate) interface: u64,
    pub(crate) hint: String,
    pub(crate) rights: Rights,
    pub(crate) reason: String,
}

/// What an app is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Pending,
    Granted,
    Denied,
    Unannounced,
    TimedOut,
    Revoked,
}

impl Answer {
    fn of(state: LabelState) -> Option<Answer> {
        Some(match state {
            LabelState::Granted(_) => Answer::Granted,
            LabelState::Revoked(_) => Answer::Revoked,
            LabelState::Asked(Standing::Pending(_)) => Answer::Pending,
            LabelState::Asked(Standing::Settled(How::TimedOut)) => Answer::TimedOut,
            LabelState::Asked(Standing::Settled(_)) => Answer::Denied,
            LabelState::Free => return None,
        })
    }
}

pub(crate) fn not_announced(instance: &str, label: &str) -> Problem {
    Problem::refused(format!(
        "the package of {instance} does not announce “{}”, so it cannot be given that. Its author would have to add it",
        plain(label, PHRASE_LIMIT)
    ))
}

impl Core {
    /// An app asks. The same label again gives the same answer and changes nothing.
    pub(crate) async fn ask(self: &Rc<Self>, instance: String, question: Question) -> Result<Answer, Problem> {
        let label = question.label.clone();
        let Some(rights) = self.announced_rights(&instance, &question) else {
            *self.live.borrow_mut().unannounced.entry(instance).or_default() += 1;
            return Ok(Answer::Unannounced);
        };
        let standing = self.state.borrow().label(&instance, &label);
        if let LabelState::Granted(grant) = standing {
            self.open_soon(grant);
        }
        if let LabelState::Asked(Standing::Pending(request)) = standing {
            *self.live.borrow_mut().coalesced.entry(request).or_default() += 1;
        }
        let key = (instance.clone(), label.clone());
        let preset = self.live.borrow_mut().presets.remove(&key);
        if let Some(preset) = preset {
            // A person has said so for this very run, whatever was before.
            let holder = Holder::Instance(instance);
            let grant = self.grant(&preset.by, holder, &label, preset.resolved, false).await?;
            self.open_soon(grant);
            return Ok(Answer::Granted);
        }
        if let Some(answer) = Answer::of(standing) {
            return Ok(answer);
        }
        self.need_room()?;
        if self.state.borrow().requests.admits(&instance).is_err() {
            return Err(Problem::Busy("too many requests are undecided. Ask again when some are".into()));
        }
        let asked = Asked {
            request: self.state.borrow().requests.next(),
            label,
            interface: question.interface,
            hint: clip(&question.hint, PHRASE_LIMIT).to_owned(),
            rights,
            reason: clip(&question.reason, REASON_LIMIT).to_owned(),
            at_ms: self.now_ms(),
            instance: instance.clone(),
        };
        self.record(&format!("app {instance}"), Record::Asked(asked))?;
        self.bells.requests.ring();
        Ok(Answer::Pending)
    }

    /// What of the rights asked for the package announces; nothing where it announces no such request.
    fn announced_rights(&self, instance: &str, question: &Question) -> Option<Rights> {
        let state = self.state.borrow();
        let row = state.instances.get(instance)?;
        let announced = state.packages.get(&row.run.app)?.manifest.announced(&question.label)?.clone();
        let fits = announced.interface == question.interface && question.rights.is_subset_of(announced.rights);
        fits.then(|| question.rights.complete())
    }

    /// Waits until a label is decided.
    pub(crate) async fn decision(self: &Rc<Self>, instance: &str, label: &str) -> Result<Answer, Problem> {
        self.bells
            .requests
            .until(|| match Answer::of(self.state.borrow().label(instance, label)) {
                Some(Answer::Pending) => None,
                Some(answer) => Some(Ok(answer)),
                None => Some(Err(Problem::refused("nothing was asked for under this label. Ask first"))),
            })
            .await
    }

    /// An app gives something back.
    pub(crate) async fn give_back(self: &Rc<Self>, instance: &str, label: &str) -> Result<(), Problem> {
        let holder = Holder::Instance(instance.to_owned());
        let held =
            self.state.borrow().grants.labelled(&holder, label).map(|(grant, node)| (grant, node.ended.is_some()));
        let (grant, ended) = held.ok_or_else(|| Problem::refused("nothing is held under this label"))?;
        if !ended {
            self.end_grants(&format!("app {instance}"), &[grant], EndReason::Closed, "given back by the app").await?;
        }
        Ok(())
    }

    /// A person approves a request.
    pub(crate) async fn approve(
        self: &Rc<Self>,
        shell: u64,
        uid: u32,
        request: u64,
        choice: Choice,
    ) -> Result<u64, Problem> {
        let decided = || {
            Problem::refused(format!("there is no undecided request {request}. `latch requests` lists those that are"))
        };
        let asked = self.state.borrow().requests.get(request).cloned().ok_or_else(decided)?;
        let resolved = self.resolve(shell, uid, choice, asked.interface, asked.rights).await?;
        // Somebody else may have decided meanwhile.
        self.state.borrow().requests.get(request).ok_or_else(decided)?;
        let grant =
            self.grant(&format!("uid {uid}"), Holder::Instance(asked.instance), &asked.label, resolved, false).await?;
        self.live.borrow_mut().coalesced.remove(&request);
        self.open_or_warn(grant).await;
        Ok(grant)
    }

    /// A person refuses a request.
    pub(crate) async fn deny(self: &Rc<Self>, uid: u32, request: u64, always: bool) -> Result<(), Problem> {
        let decided = || {
            Problem::refused(format!("there is no undecided request {request}. `latch requests` lists those that are"))
        };
        let asked = self.state.borrow().requests.get(request).cloned().ok_or_else(decided)?;
        let how = if always { How::Always } else { How::Once };
        self.commit(
            &format!("uid {uid}"),
            Record::Denied(Denied { instance: asked.instance, label: asked.label, how }),
        )
        .await?;
        self.live.borrow_mut().coalesced.remove(&request);
        self.bells.requests.ring();
        Ok(())
    }

    /// A person grants without a request.
    pub(crate) async fn grant_label(
        self: &Rc<Self>,
        shell: u64,
        uid: u32,
        instance: String,
        label: String,
        choice: Choice,
    ) -> Result<u64, Problem> {
        let announced = {
            let state = self.state.borrow();
            let none = || {
                let name = plain(&instance, PHRASE_LIMIT);
                Problem::refused(format!(
                    "there is no instance {name}. `latch run` starts one, `latch ps --all` lists them"
                ))
            };
            let row = state.instances.get(&instance).ok_or_else(none)?;
            let package = state.packages.get(&row.run.app).ok_or_else(none)?;
            package.manifest.announced(&label).cloned().ok_or_else(|| not_announced(&instance, &label))?
        };
        let resolved = self.resolve(shell, uid, choice, announced.interface, announced.rights).await?;
        let grant = self.grant(&format!("uid {uid}"), Holder::Instance(instance), &label, resolved, false).await?;
        self.open_or_warn(grant).await;
        Ok(grant)
    }

    /// A person uses an object themselves: a child grant that ends with their shell.
    pub(crate) async fn open_for_shell(
        self: &Rc<Self>,
        shell: u64,
        uid: u32,
        target: String,
        choice: Choice,
        label: String,
    ) -> Result<u64, Problem> {
        if label.is_empty() || label.len() > 64 || label.chars().any(char::is_control) {
            return Err(Problem::refused("a label must have 1 to 64 characters"));
        }
        let choice = if target.is_empty() { choice } else { Choice { pick: Pick::Target(target), ..choice } };
        let resolved = self.resolve(shell, uid, choice, 0, Rights::ALL).await?;
        let holder = Holder::Shell { process: shell, uid };
        let grant = self.grant(&format!("uid {uid}"), holder, &label, resolved, true).await?;
        self.open_grant(grant).await?;
        Ok(grant)
    }

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
        let resolved = match choice.pick {
            Pick::Folder(token) => {
                let brought = self.brought(shell, token).await?;
                if brought.kind != ResourceKind::Folder {
                    return Err(Problem::refused("what was brought is not a folder. Name a folder"));
                }
                let caveats = narrow(&unlimited, Left::default(), &asked, now_ms).map_err(too_wide)?;
                let folder = brought.folder.clone();
                // Served before it is granted: what cannot be served is refused with nothing left behind.
                self.folder_process(&folder, Some(brought.resource)).await?;
                Resolved {
                    parent: 0,
                    offer: folder_offer(&folder),
                    source: Source::Folder(folder),
                    interface: directory(),
                    caveats,
                }
            }
            Pick::Offer(name) => {
                let caveats = narrow(&unlimited, Left::default(), &asked, now_ms).map_err(too_wide)?;
                let (source, interface) = self.offer(&name)?;
                let Source::Folder(folder) = &source;
                may_use(uid, folder)?;
                self.folder_process(folder, None).await?;
                Resolved { parent: 0, offer: name, source, interface, caveats }
            }
            Pick::Target(words) => {
                let (parent, node) = self.target(&words)?;
                let Source::Folder(folder) = &node.granted.source;
                may_use(uid, folder)?;
                let asked = Caveats { rights: asked.rights.intersect(node.granted.caveats.rights), ..asked };
                let caveats = narrow(&node.granted.caveats, node.left, &asked, now_ms).map_err(too_wide)?;
                let granted = node.granted;
                Resolved { parent, offer: granted.offer, source: granted.source, interface: granted.interface, caveats }
            }
        };
        if interface != 0 && resolved.interface != interface {
            return Err(Problem::refused(format!(
                "{} serves {}, and {} was asked for. Choose another object",
                plain(&resolved.offer, PATH_LIMIT),
                interface_name(resolved.interface),
                interface_name(interface)
            )));
        }
        Ok(resolved)
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

    fn offer(&self, name: &str) -> Result<(Source, u64), Problem> {
        let state = self.state.borrow();
        let shown = plain(name, PATH_LIMIT);
        let found = offers(&state.grants).into_iter().find(|offer| offer.name == name);
        match found {
            Some(offer) if offer.name == HOST_RESOLVER => {
                Err(Problem::refused("name a folder in the place of PATH: host:/some/folder"))
            }
            Some(offer) => offer
                .source
                .map(|source| (source, offer.interface))
                .ok_or_else(|| Problem::refused(format!("{shown} cannot be granted as it is"))),
            None => Err(Problem::refused(format!("there is no offer {shown}. `latch offers` lists them"))),
        }
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

    /// Records a grant, durably. What the holder had under that label before ends with it.
    async fn grant(
        self: &Rc<Self>,
        by: &str,
        holder: Holder,
        label: &str,
        resolved: Resolved,
        transient: bool,
    ) -> Result<u64, Problem> {
        self.need_room()?;
        let before = || {
            let state = self.state.borrow();
            state.grants.labelled(&holder, label).filter(|(_, node)| node.ended.is_none()).map(|(grant, _)| grant)
        };
        while let Some(before) = before() {
            // Its link must be cut before another takes its place.
            self.end_grants(by, &[before], EndReason::Closed, "granted anew").await?;
        }
        let granted = Granted {
            grant: self.state.borrow().grants.next(),
            parent: resolved.parent,
            holder,
            label: label.to_owned(),
            offer: resolved.offer,
            source: resolved.source,
            interface: resolved.interface,
            caveats: resolved.caveats,
            transient,
            replaces: 0,
        };
        // Nothing was waited for since the state was looked at, or it is looked at again here.
        let parent_is_ending = self.live.borrow().ending.contains(&granted.parent);
        let admitted = self.state.borrow().grants.admits(&granted);
        if parent_is_ending || admitted.is_err() {
            return Err(Problem::refused(format!(
                "#{} has ended meanwhile, or has less left to give than this. `latch grants` shows it",
                granted.parent
            )));
        }
        let grant = granted.grant;
        self.commit(by, Record::Granted(Box::new(granted))).await?;
        crate::fault::point("grant.durable");
        self.bells.requests.ring();
        Ok(grant)
    }

    /// Links a grant while nobody waits for it; an app whose object cannot be had is told so.
    pub(crate) fn open_soon(self: &Rc<Self>, grant: u64) {
        let core = self.clone();
        spawn(async move { core.open_or_warn(grant).await });
    }

    async fn open_or_warn(self: &Rc<Self>, grant: u64) {
        let Err(problem) = self.open_grant(grant).await else { return };
        let (process, label) = {
            let state = self.state.borrow();
            let Some(node) = state.grants.get(grant).filter(|node| node.ended.is_none()) else { return };
            (self.live.borrow().process_of(&node.granted.holder), node.granted.label.clone())
        };
        self.warn(format!("grant #{grant} could not be linked: {problem}"));
        let Some(process) = process else { return };
        drop(self.control.send(&[], |command| {
            let mut builder = command.init_notice();
            builder.set_process(process);
            let detail = clip(&problem.to_string(), vat::door::DETAIL_LIMIT_BYTES).to_owned();
            vat::door::Notice { link: 0, label: label.clone(), reason: EndReason::Unavailable, detail }
                .write_to(builder.init_notice());
        }));
    }
}

/// A folder is served with the rights of whoever offered it: those are not for other people to pass on.
fn may_use(uid: u32, folder: &Folder) -> Result<(), Problem> {
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
