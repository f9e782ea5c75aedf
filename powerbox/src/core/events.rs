//! What the kernel says.

use std::rc::Rc;

use schema::kernel_capnp::event;
use vat::door::{Confinement, Resource, ResourceKind};
use vat::words::EndReason;

use super::{Core, THE_NODE, spawn};
use crate::control::Event;
use crate::grants::Node;
use crate::live::{Brought, Kind, Process};
use crate::record::{Folder, Holder, Leased, Record, Source};
use crate::words::{REASON_LIMIT, plain, quoted};

/// The exit code of a process that could not become its image. What it said last is why.
const NOT_BEGUN: i32 = 126;

impl Core {
    /// Takes the kernel's events in order, until it is gone.
    pub async fn hear(self: Rc<Self>) -> std::io::Result<()> {
        while let Some(event) = self.control.next().await? {
            self.event(event).map_err(std::io::Error::other)?;
        }
        Ok(())
    }

    fn event(self: &Rc<Self>, event: Event) -> capnp::Result<()> {
        use event::Which;
        match event.message.get_root::<event::Reader<'_>>()?.which()? {
            Which::Done(_) => {}
            Which::Confined(confined) => {
                let confined = confined?;
                let confinement = Confinement::read_from(confined.get_confinement()?);
                let confinement = confinement.map_err(|error| capnp::Error::failed(error.to_string()))?;
                self.confined(confined.get_process(), confinement, confined.get_pid(), confined.get_uid());
            }
            Which::Exited(exited) => {
                let exited = exited?;
                let last = exited.get_last()?.to_string().unwrap_or_default();
                self.exited(
                    exited.get_process(),
                    exited.get_code(),
                    &last,
                    exited.get_will_restart(),
                    exited.get_restarts(),
                );
            }
            Which::LinkEnded(ended) => {
                let ended = ended?;
                self.link_ended(ended.get_link(), ended.get_reason()?);
            }
            Which::Quiet(quiet) => {
                let link = quiet?.get_link();
                let mut live = self.live.borrow_mut();
                live.end_link(link);
                live.unquiet.remove(&link);
                drop(live);
                self.bells.links.ring();
            }
            Which::Shell(shell) => {
                let shell = shell?;
                if shell.get_gone() {
                    self.shell_gone(shell.get_process());
                } else {
                    self.shell_came(shell.get_process(), shell.get_pid(), shell.get_uid());
                }
            }
            Which::Resource(resource) => {
                let resource = resource?;
                let what = Resource::read_from(resource.get_what()?);
                let what = what.map_err(|error| capnp::Error::failed(error.to_string()))?;
                let key = (resource.get_shell(), what.token);
                let brought = Brought {
                    resource: resource.get_resource(),
                    kind: what.kind,
                    folder: Folder::brought(what, resource.get_uid()),
                    descriptor: event.descriptor,
                };
                self.live.borrow_mut().brought.insert(key, brought);
                self.bells.resources.ring();
            }
            Which::Inventory(page) => self.inventory_page(page?)?,
            Which::Usage(usage) => self.node_usage(usage?),
            Which::Stopping(()) => self.stop_soon(),
        }
        Ok(())
    }

    fn confined(self: &Rc<Self>, process: u64, confinement: Confinement, pid: u32, uid: u32) {
        let mut live = self.live.borrow_mut();
        let Some(known) = live.processes.get_mut(&process) else { return };
        // With the inventory it is told again.
        let again = known.restarts > 0 && !known.confined;
        known.confined = true;
        known.backing_off = false;
        known.confinement = confinement;
        (known.pid, known.uid) = (pid, uid);
        drop(live);
        self.bells.processes.ring();
        if again {
            self.serve_again(process);
        }
    }

    fn exited(self: &Rc<Self>, process: u64, code: i32, last: &str, will_restart: bool, restarts: u32) {
        let mut live = self.live.borrow_mut();
        let Some(known) = live.processes.get_mut(&process) else { return };
        let said = || format!(", it said: {}", quoted(last, REASON_LIMIT));
        let because = if last.is_empty() { String::new() } else { said() };
        known.last_exit = format!("{}{because}", crate::record::exit_code(code));
        let served = std::mem::replace(&mut known.confined, false);
        if will_restart {
            known.restarts = restarts + 1;
            known.backing_off = true;
        }
        let (kind, name, how) = (known.kind.clone(), known.name.clone(), known.last_exit.clone());
        if !will_restart {
            live.processes.remove(&process);
        }
        // Whoever is started in its place did not serve them.
        live.ended.retain(|_, link| link.server != process);
        drop(live);
        match &kind {
            Kind::Folder(folder) if served => self.lose_leases(|source| source.is_folder(folder)),
            Kind::Service(service) if served => self.lose_leases(|source| source.is_of(*service)),
            _ => {}
        }
        match kind {
            Kind::App { instance } => self.app_exited(&instance, process, code, last),
            Kind::Folder(folder) if !will_restart => {
                let begun = code != NOT_BEGUN || last.is_empty();
                let how = if begun { how } else { plain(last, REASON_LIMIT) };
                self.folder_ended(&folder, process, how);
            }
            Kind::Service(service) if !will_restart => self.service_ended(service, process, &how),
            Kind::Folder(_) | Kind::Service(_) => {
                let how = crate::record::exit_code(code);
                self.warn_about(&name, format!("{name} ended with {how} and is started again"));
            }
            Kind::Compile => self.compiler.processes.ended(process, code, last),
            Kind::Shell | Kind::Unknown => {}
        }
        self.bells.processes.ring();
    }

    /// A link ended that was not cut.
    fn link_ended(self: &Rc<Self>, link: u64, reason: EndReason) {
        let mut live = self.live.borrow_mut();
        live.unquiet.remove(&link);
        let closed = live.end_link(link);
        drop(live);
        self.bells.links.ring();
        let Some(closed) = closed.filter(|closed| closed.grant != 0) else { return };
        let asked_again = self.live.borrow_mut().asked_again.remove(&closed.grant);
        if reason == EndReason::Restarted {
            self.live.borrow_mut().relink.insert(closed.grant);
        } else if asked_again && self.live.borrow().processes.contains_key(&closed.client) {
            self.reopen_soon(closed.grant);
        }
        self.release_idle_folders();
    }

    /// What served these objects is dead, its links have ended, and it will not report them: what they had of their leases counts
    /// as used. One that ended in order has reported before.
    fn lose_leases(self: &Rc<Self>, is_theirs: impl Fn(&Source) -> bool) {
        let lost: Vec<Leased> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let is_lost = |node: &&Node| {
                let grant = node.granted.grant;
                is_theirs(&node.granted.source) && !live.open.contains_key(&grant) && !live.opening.contains(&grant)
            };
            state.grants.iter().map(|(_, node)| node).filter(is_lost).filter_map(|node| node.lease).collect()
        };
        for lease in lost {
            if let Err(problem) = self.record(THE_NODE, Record::Lost(lease)) {
                self.warn(problem.to_string());
            }
            self.lease_came_back(lease.grant);
        }
    }

    /// The lease of a grant's last link is settled: a grant of whose budget nothing is left to anyone ends.
    pub(crate) fn lease_came_back(self: &Rc<Self>, grant: u64) {
        self.bells.leases.ring();
        let state = self.state.borrow();
        let used_up = state.grants.get(grant).is_some_and(|node| node.left.is_nothing());
        drop(state);
        if used_up {
            self.end_used_up(grant);
        }
    }

    /// Ends a grant of which nobody can use more: no link has any of its budget, and nothing below it.
    pub(crate) fn end_used_up(self: &Rc<Self>, grant: u64) {
        let state = self.state.borrow();
        let is_idle = state.grants.get(grant).is_some_and(|node| node.ended.is_none() && node.lease.is_none());
        let is_shared = state.grants.children(grant).next().is_some();
        drop(state);
        if is_idle && !is_shared {
            self.end_grants_soon(vec![grant], EndReason::Exhausted, String::new());
        }
    }

    /// A service runs again: its session, the grants that it served and those that it holds are linked anew.
    fn serve_again(self: &Rc<Self>, process: u64) {
        let kind = self.live.borrow().processes.get(&process).map(|known| known.kind.clone());
        let again = match kind {
            Some(Kind::Folder(folder)) => self.take_relinks(|source| source.is_folder(&folder)),
            Some(Kind::Service(service)) => {
                let mut again = self.take_relinks(|source| source.is_of(service));
                let (state, holder) = (self.state.borrow(), Holder::Service(service.name().to_owned()));
                again.extend(state.grants.held_by(&holder).map(|(grant, _)| grant));
                again
            }
            _ => return,
        };
        let core = self.clone();
        spawn(async move {
            let _ = core.link_session(process).await;
            for grant in again {
                core.open_or_warn(grant).await;
            }
        });
    }

    fn shell_came(self: &Rc<Self>, process: u64, pid: u32, uid: u32) {
        let mut shell = Process::starting(Kind::Shell, None, format!("shell (uid {uid})"));
        (shell.pid, shell.uid, shell.confined) = (pid, uid, true);
        self.live.borrow_mut().processes.insert(process, shell);
        if self.recovering.get() {
            // It is linked when the powerbox knows what there is.
            return;
        }
        let core = self.clone();
        spawn(async move {
            let linked = core.link_session(process).await;
            // One that only looked whether the node is up has left by now.
            let is_here = core.live.borrow().processes.contains_key(&process);
            if let Err(problem) = linked
                && is_here
            {
                core.warn(format!("a shell was not served: {problem}"));
            }
        });
    }

    fn shell_gone(self: &Rc<Self>, process: u64) {
        let mut live = self.live.borrow_mut();
        let Some(shell) = live.processes.remove(&process) else { return };
        let left: Vec<(u64, u64)> = live.brought.keys().filter(|(of, _)| *of == process).copied().collect();
        let left: Vec<Brought> = left.iter().filter_map(|key| live.brought.remove(key)).collect();
        drop(live);
        for brought in left.into_iter().filter(|brought| brought.kind == ResourceKind::Folder) {
            self.drop_resource(brought.resource);
        }
        let holder = crate::record::Holder::Shell { process, uid: shell.uid };
        let held: Vec<u64> = self.state.borrow().grants.held_by(&holder).map(|(grant, _)| grant).collect();
        self.end_grants_soon(held, EndReason::Closed, "the shell ended".into());
        self.stop_apps_of_shell(process);
        self.bells.processes.ring();
    }

    /// The kernel need not keep a thing that a shell brought.
    pub(crate) fn drop_resource(&self, resource: u64) {
        // Its answer matters to nobody: a shell that is gone takes the rest along.
        drop(self.control.send(&[], |mut command| command.set_drop_resource(resource)));
    }
}
