//! What people decide: from a request, or an idea of their own, to a grant that is recorded and linked.

use std::rc::Rc;

use vat::words::{EndReason, Rights, clip};

use crate::choosing::{Choice, Pick, Resolved};
use crate::core::{Core, spawn};
use crate::problem::Problem;
use crate::record::{Denied, Granted, Holder, How, Record};
use crate::warnings::Cause;
use crate::words::{PATH_LIMIT, PHRASE_LIMIT, plain};

pub(crate) fn not_announced(instance: &str, label: &str) -> Problem {
    Problem::refused(format!(
        "the package of {instance} does not announce “{}”, so it cannot be given that. `latch install` lists what it announces",
        plain(label, PHRASE_LIMIT)
    ))
}

impl Core {
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

    /// Records a grant, durably. What the holder had under that label before ends with it.
    pub(crate) async fn grant(
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
            if self.state.borrow().grants.with_descendants(&[before]).contains(&resolved.parent) {
                let (label, offer) = (plain(label, PHRASE_LIMIT), plain(&resolved.offer, PATH_LIMIT));
                return Err(Problem::refused(format!(
                    "a part of #{before} cannot take the place of #{before}, with which it ends. Give {offer} itself as {label}, \
                     which ends #{before}"
                )));
            }
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
        };
        // Nothing was waited for since the state was looked at, or it is looked at again here.
        if let Holder::Instance(instance) = &granted.holder
            && !self.state.borrow().instances.contains_key(instance)
        {
            let name = plain(instance, PHRASE_LIMIT);
            return Err(Problem::refused(format!("{name} was uninstalled meanwhile. `latch install` lists what is")));
        }
        let parent_is_ending = self.live.borrow().ending.contains(&granted.parent);
        let admitted = self.state.borrow().grants.admits(&granted);
        if parent_is_ending || admitted.is_err() {
            return Err(Problem::refused(format!(
                "#{} has ended meanwhile, or has less left to give than this. `latch grants` shows it",
                granted.parent
            )));
        }
        let grant = granted.grant;
        crate::fault::point("grant.decided");
        self.commit(by, Record::Granted(Box::new(granted))).await?;
        crate::fault::point("grant.durable");
        // From here on what opens the grant keeps its folder.
        drop(resolved.hold);
        self.bells.requests.ring();
        Ok(grant)
    }

    /// Links a grant while nobody waits for it; an app whose object cannot be had is told so.
    pub(crate) fn open_soon(self: &Rc<Self>, grant: u64) {
        let core = self.clone();
        spawn(async move { core.open_or_warn(grant).await });
    }

    /// Links a grant; why it could not be linked is kept for people and told the holder.
    pub(crate) async fn open_or_warn(self: &Rc<Self>, grant: u64) {
        let Err(problem) = self.open_grant(grant).await else { return };
        // One that is just being ended has a better reason soon.
        self.bells.requests.until(|| (!self.live.borrow().ending.contains(&grant)).then_some(())).await;
        let (reason, detail, holder) = {
            let state = self.state.borrow();
            let Some(node) = state.grants.get(grant) else { return };
            let (reason, detail) = match &node.ended {
                Some(end) => (end.reason, end.detail.clone()),
                None if node.left.is_nothing() => (EndReason::Exhausted, problem.to_string()),
                None => (EndReason::Unavailable, problem.to_string()),
            };
            (reason, detail, node.granted.holder.to_string())
        };
        match reason {
            EndReason::Exhausted => self.end_used_up(grant),
            EndReason::Unavailable => {
                let text = format!("grant #{grant} of {holder} could not be linked: {problem}");
                self.warn_while(&holder, Cause::Unlinked(grant), text);
            }
            _ => {}
        }
        self.tell_holder(grant, reason, &detail);
    }

    /// Tells the holder of a grant that has no link why it gets none: it may be waiting for one.
    pub(crate) fn tell_holder(&self, grant: u64, reason: EndReason, detail: &str) {
        let (process, label) = {
            let state = self.state.borrow();
            let Some(node) = state.grants.get(grant) else { return };
            let (holder, label) = (&node.granted.holder, &node.granted.label);
            if state.grants.labelled(holder, label).is_some_and(|(last, _)| last != grant) {
                // Another has taken its place, and may be linked by now.
                return;
            }
            (self.live.borrow().process_of(&node.granted.holder), node.granted.label.clone())
        };
        let Some(process) = process else { return };
        drop(self.control.send(&[], |command| {
            let mut builder = command.init_notice();
            builder.set_process(process);
            let detail = clip(detail, vat::door::DETAIL_LIMIT_BYTES).to_owned();
            vat::door::Notice { link: 0, label: label.clone(), reason, detail }.write_to(builder.init_notice());
        }));
    }
}
