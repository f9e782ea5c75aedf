//! After a start: what the kernel has, against what the log knows. With the node itself there is nothing but shells;
//! where only the powerbox was started again, open grants work on and are taken over undisturbed.

use std::collections::BTreeSet;
use std::rc::Rc;

use schema::kernel_capnp::{Image, Outcome, page};
use vat::door::Carries;
use vat::words::EndReason;

use super::{Core, THE_NODE, spawn};
use crate::fault;
use crate::live::{Kind, Link, Process, ServerLife};
use crate::problem::Problem;
use crate::record::{Holder, Record, Service, Source};

/// What the kernel has: pages that came since they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    links: Vec<(u64, Link)>,
    tombstones: Vec<u64>,
    cursor: u64,
    end: bool,
}

impl Core {
    /// Learns what there is, and brings it and the log together. Nothing else is done before.
    pub async fn recover(self: Rc<Self>) -> Result<(), Problem> {
        let inventory = self.ask_inventory().await?;
        let node_start = !self.live.borrow().processes.values().any(|process| process.image.is_some());
        self.reserve_ids().await?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.commit(THE_NODE, Record::Opened { version, node_start }).await?;
        fault::point("recovery.opened");
        self.record_tombstones(&inventory.tombstones).await?;
        fault::point("recovery.tombstones");
        self.adopt_links(&inventory).await?;
        fault::point("recovery.adopted");
        self.settle_lost_leases()?;
        self.end_what_is_used_up();
        self.adopt_processes();
        self.end_uses_of_gone_shells();
        let position = self.with_log(crate::log::Log::position);
        self.durable(position).await?;
        self.recovering.set(false);
        self.remake_sessions().await;
        if !node_start {
            self.reopen_grants();
        }
        self.start_wanted();
        self.remove_stray_files();
        Ok(())
    }

    async fn ask_inventory(&self) -> Result<Inventory, Problem> {
        let mut cursor = 0;
        loop {
            let done = self.control.command(&[], |command| command.init_inventory().set_cursor(cursor)).await?;
            if done.outcome != Outcome::Ok {
                return Err(Problem::refused(format!("the kernel gives no inventory: {}", done.detail)));
            }
            let page_end = {
                let inventory = self.inventory.borrow();
                (inventory.cursor, inventory.end)
            };
            match page_end {
                (_, true) => return Ok(self.inventory.take()),
                (next, false) => cursor = next,
            }
        }
    }

    /// One page of the inventory. It comes before the answer to the command that asked for it.
    pub(crate) fn inventory_page(&self, page: page::Reader<'_>) -> capnp::Result<()> {
        let mut inventory = self.inventory.borrow_mut();
        let mut live = self.live.borrow_mut();
        for process in page.get_processes()? {
            let (number, image) = (process.get_process(), process.get_image()?);
            if number == 0 {
                live.own_restarts = process.get_restarts();
                continue;
            }
            if process.get_shell() && live.processes.contains_key(&number) {
                continue;
            }
            let name = process.get_name()?.to_string().unwrap_or_default();
            let (kind, image) =
                if process.get_shell() { (Kind::Shell, None) } else { (self.kind_of(number, image), Some(image)) };
            let name = if kind == Kind::Shell { format!("shell (uid {})", process.get_uid()) } else { name };
            let mut known = Process::starting(kind, image, name);
            (known.pid, known.uid) = (process.get_pid(), process.get_uid());
            known.confined = process.get_confined() || process.get_shell();
            known.restarts = process.get_restarts();
            if let Kind::Service(service) = &known.kind {
                live.services.insert(*service, ServerLife::of(number));
            }
            live.processes.insert(number, known);
        }
        for link in page.get_links()? {
            let (server, client) = (link.get_server(), link.get_client());
            let known = Link::new(link.get_grant(), link.get_carries()?, server, client);
            inventory.links.push((link.get_link(), known));
        }
        inventory.tombstones.extend(page.get_tombstones()?);
        (inventory.cursor, inventory.end) = (page.get_cursor(), page.get_end());
        Ok(())
    }

    /// What a process is, by the log. Folders show by what they serve, see `adopt_links`.
    fn kind_of(&self, process: u64, image: Image) -> Kind {
        let state = self.state.borrow();
        match image {
            Image::Sandbox => {
                let runs = |(_, row): &(&String, &crate::state::Instance)| row.running && row.run.process == process;
                let instance = state.instances.iter().find(runs).map(|(name, _)| name.clone());
                instance.map_or(Kind::Unknown, |instance| Kind::App { instance })
            }
            image => Service::of_image(image).map_or(Kind::Unknown, Kind::Service),
        }
    }

    /// What the kernel cut before the record was durable has ended. Only then are the tombstones dropped.
    async fn record_tombstones(&self, tombstones: &[u64]) -> Result<(), Problem> {
        let detail = "cut before the powerbox was started again";
        for (reason, cut) in self.reasons_of_cuts(tombstones) {
            let ended = self.state.borrow().grants.with_descendants(&cut);
            if ended.is_empty() {
                continue;
            }
            self.record_end(THE_NODE, &ended, reason, detail).await?;
            // What hangs below was perhaps not cut yet.
            self.cut(&ended, &[], reason, detail).await?;
            self.forget(&ended)?;
        }
        self.forget(tombstones)
    }

    /// Why grants were cut, which the kernel does not keep: those whose time is over, whose shell is gone or whose
    /// budget is used up had to end in any case. Every other cut counts as a person's, who alone may undo it.
    fn reasons_of_cuts(&self, tombstones: &[u64]) -> [(EndReason, Vec<u64>); 4] {
        let (state, live, now_ms) = (self.state.borrow(), self.live.borrow(), self.now_ms());
        let mut reasons = [EndReason::Expired, EndReason::Closed, EndReason::Exhausted, EndReason::Revoked]
            .map(|reason| (reason, Vec::new()));
        for grant in tombstones {
            let Some(node) = state.grants.get(*grant).filter(|node| node.ended.is_none()) else { continue };
            let caveats = &node.granted.caveats;
            let shell_is_gone = matches!(
                &node.granted.holder,
                Holder::Shell { process, .. } if !live.processes.contains_key(process)
            );
            let is_used_up = node.lease.is_none()
                && (node.left.calls == Some(0) || node.left.bytes == Some(0))
                && state.grants.children(*grant).next().is_none();
            let reason = match () {
                () if (1..=now_ms).contains(&caveats.expires_at_ms) => 0,
                () if shell_is_gone => 1,
                () if is_used_up => 2,
                () => 3,
            };
            reasons[reason].1.push(*grant);
        }
        reasons
    }

    /// Takes over the links of grants that are alive; cuts all that the log does not know.
    async fn adopt_links(self: &Rc<Self>, inventory: &Inventory) -> Result<(), Problem> {
        let mut unknown: BTreeSet<u64> = BTreeSet::new();
        let mut second: Vec<u64> = Vec::new();
        {
            let (state, mut live) = (self.state.borrow(), self.live.borrow_mut());
            for (number, link) in &inventory.links {
                if link.carries == Carries::Grant {
                    let Some(node) = state.grants.get(link.grant).filter(|node| node.ended.is_none()) else {
                        unknown.insert(link.grant);
                        continue;
                    };
                    if live.open.contains_key(&link.grant) {
                        second.push(*number);
                        continue;
                    }
                    live.open.insert(link.grant, *number);
                    if let Source::Folder(folder) = &node.granted.source
                        && let Some(process) = live.processes.get_mut(&link.server)
                    {
                        process.kind = Kind::Folder(folder.clone());
                        live.folders.insert(folder.clone(), ServerLife::of(link.server));
                    }
                }
                // Sessions ended with the powerbox that served them.
                if link.server != 0 {
                    live.links.insert(*number, link.clone());
                }
            }
        }
        let unknown: Vec<u64> = unknown.into_iter().collect();
        self.cut(&unknown, &second, EndReason::Revoked, "the log knows of no such grant").await?;
        self.forget(&unknown)
    }

    /// A lease whose link is not there any more counts as used: nobody can say what was left of it. Where the service
    /// lives on it may still report what it did not use, and is heard first.
    fn settle_lost_leases(self: &Rc<Self>) -> Result<(), Problem> {
        let gone: Vec<_> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let is_gone = |link: u64| !live.links.contains_key(&link);
            state.grants.iter().filter_map(|(_, node)| node.lease).filter(|lease| is_gone(lease.link)).collect()
        };
        let anyone_to_report =
            self.live.borrow().processes.values().any(|known| matches!(known.kind, Kind::Folder(_) | Kind::Service(_)));
        if anyone_to_report {
            // `open_grant` waits for the report, and gives up on it in time.
            return Ok(());
        }
        for lease in gone {
            self.record(THE_NODE, Record::Lost(lease))?;
        }
        Ok(())
    }

    /// The last of a budget may have been settled, just now or before a crash, without anyone there to end its grant.
    fn end_what_is_used_up(self: &Rc<Self>) {
        let settled: Vec<u64> = {
            let state = self.state.borrow();
            let alive = state.grants.iter().filter(|(_, node)| node.ended.is_none() && node.lease.is_none());
            alive.map(|(grant, _)| *grant).collect()
        };
        settled.into_iter().for_each(|grant| self.lease_came_back(grant));
    }

    /// Runs that ended meanwhile are recorded as ended; processes that nobody knows are stopped.
    fn adopt_processes(self: &Rc<Self>) {
        let strangers: Vec<u64> = {
            let live = self.live.borrow();
            live.processes.iter().filter(|(_, known)| known.kind == Kind::Unknown).map(|(number, _)| *number).collect()
        };
        for process in strangers {
            self.stop_process(process, true);
        }
        let ended: Vec<(String, u64)> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let is_gone = |row: &crate::state::Instance| row.running && !live.processes.contains_key(&row.run.process);
            state
                .instances
                .iter()
                .filter(|(_, row)| is_gone(row))
                .map(|(name, row)| (name.clone(), row.run.process))
                .collect()
        };
        for (instance, process) in ended {
            self.record_exit(&instance, process, crate::runs::UNKNOWN_CODE, "it ended while the powerbox was away");
        }
        let orphans: Vec<u64> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let is_orphan = |row: &crate::state::Instance| {
                row.running && !row.run.detached && !live.processes.contains_key(&row.run.shell)
            };
            state.instances.values().filter(|row| is_orphan(row)).map(|row| row.run.process).collect()
        };
        for process in orphans {
            self.stop_process(process, false);
        }
    }

    fn end_uses_of_gone_shells(self: &Rc<Self>) {
        let gone: Vec<u64> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let is_gone = |node: &crate::grants::Node| match &node.granted.holder {
                Holder::Shell { process, .. } => !live.processes.contains_key(process),
                Holder::Instance(_) | Holder::Service(_) => false,
            };
            state
                .grants
                .iter()
                .filter(|(_, node)| node.ended.is_none() && is_gone(node))
                .map(|(grant, _)| *grant)
                .collect()
        };
        self.end_grants_soon(gone, EndReason::Closed, "the shell ended".into());
    }

    async fn remake_sessions(self: &Rc<Self>) {
        let processes: Vec<u64> = {
            let live = self.live.borrow();
            let has_session = |known: &Process| !matches!(known.kind, Kind::Compile | Kind::Unknown);
            live.processes.iter().filter(|(_, known)| has_session(known)).map(|(number, _)| *number).collect()
        };
        for process in processes {
            if let Err(problem) = self.link_session(process).await {
                self.warn(format!("a session was not made again: {problem}"));
            }
        }
    }

    /// A link may have ended while nobody was there to make it again: running apps get what they hold.
    fn reopen_grants(self: &Rc<Self>) {
        let closed: Vec<u64> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let is_closed = |grant: u64, node: &crate::grants::Node| {
                let of_shell = matches!(node.granted.holder, Holder::Shell { .. });
                node.ended.is_none()
                    && !of_shell
                    && !live.open.contains_key(&grant)
                    && live.process_of(&node.granted.holder).is_some()
            };
            state.grants.iter().filter(|(grant, node)| is_closed(**grant, node)).map(|(grant, _)| *grant).collect()
        };
        for grant in closed {
            self.open_soon(grant);
        }
    }

    /// Detached instances start again with the node.
    fn start_wanted(self: &Rc<Self>) {
        let wanted: Vec<String> = {
            let state = self.state.borrow();
            state.instances.iter().filter(|(_, row)| row.wanted && !row.running).map(|(name, _)| name.clone()).collect()
        };
        for instance in wanted {
            let core = self.clone();
            spawn(async move { core.run_again(&instance).await });
        }
    }
}
