//! Ending grants: the kernel cuts and keeps a tombstone; the record becomes durable; only then is anyone told, and the
//! tombstone dropped. A powerbox that dies in between finds the tombstones and records them as what they are.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use schema::kernel_capnp::Outcome;
use vat::words::EndReason;

use super::{Core, THE_NODE, spawn};
use crate::fault;
use crate::live::Kind;
use crate::problem::Problem;
use crate::record::{Ended, Record};

/// How long a revocation waits for servers to confirm that they have stopped. They do in well under a millisecond; one
/// that does not is stuck or hostile, and is named.
pub const QUIET_PATIENCE: Duration = Duration::from_secs(2);
/// Grants, or links, in one command, by the kernel's schema.
const GRANTS_A_COMMAND: usize = 4_000;
/// Grants in one record: with their numbers alone it stays well under the longest.
const GRANTS_A_RECORD: usize = 8_000;

/// What an end of grants did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The grants that ended, descendants included.
    pub grants: Vec<u64>,
    /// Links that were open.
    pub links: u32,
    /// Links whose servers confirmed in time.
    pub quiet: u32,
    /// The servers that did not.
    pub unconfirmed: Vec<String>,
    /// Until every link was cut.
    pub cut_after: Duration,
    /// Until every server had confirmed.
    pub quiet_after: Duration,
}

impl Core {
    /// Ends grants with all below them. Returns when they are cut and recorded, and their servers are quiet or given
    /// up on.
    pub(crate) async fn end_grants(
        self: &Rc<Self>,
        by: &str,
        grants: &[u64],
        reason: EndReason,
        detail: &str,
    ) -> Result<Cut, Problem> {
        let begun = Instant::now();
        let ending = self.state.borrow().grants.with_descendants(grants);
        if ending.is_empty() {
            return Ok(Cut::default());
        }
        let unlinked: Vec<u64> = {
            let live = self.live.borrow();
            ending.iter().copied().filter(|grant| !live.open.contains_key(grant)).collect()
        };
        let links = self.begin_ending(&ending);
        fault::point("revoke.begun");
        let cut = self.cut(&ending, &[], reason, detail).await;
        let mut result = Cut { cut_after: begun.elapsed(), links: count(links.len()), ..Cut::default() };
        fault::point("revoke.cut");
        let recorded = match cut {
            Ok(()) => self.record_end(by, &ending, reason, detail).await.map_err(|problem| unrecorded(&problem)),
            Err(problem) => Err(problem),
        };
        {
            let mut live = self.live.borrow_mut();
            for grant in &ending {
                live.ending.remove(grant);
            }
        }
        self.bells.requests.ring();
        recorded?;
        fault::point("revoke.durable");
        self.forget(&ending)?;
        fault::point("revoke.forgotten");
        // The kernel tells the ends of links. Who waits for one has to be told too.
        unlinked.iter().for_each(|grant| self.tell_holder(*grant, reason, detail));
        self.quiet(&links, &mut result).await;
        result.quiet_after = begun.elapsed();
        fault::point("revoke.quiet");
        result.grants = ending;
        self.release_idle_folders();
        Ok(result)
    }

    /// From now on nothing is linked for these grants. Returns their open links.
    fn begin_ending(&self, ending: &[u64]) -> BTreeSet<u64> {
        let mut live = self.live.borrow_mut();
        live.ending.extend(ending);
        let links: BTreeSet<u64> = ending.iter().filter_map(|grant| live.open.get(grant).copied()).collect();
        for link in &links {
            let server = live.links.get(link).map_or(0, |link| link.server);
            live.unquiet.insert(*link, server);
        }
        links
    }

    /// Has the kernel cut the links of these grants, for good, and these single links.
    pub(super) async fn cut(
        &self,
        grants: &[u64],
        links: &[u64],
        reason: EndReason,
        detail: &str,
    ) -> Result<(), Problem> {
        let of_grants = grants.chunks(GRANTS_A_COMMAND).map(|part| (part, &[][..]));
        let single = links.chunks(GRANTS_A_COMMAND).map(|part| (&[][..], part));
        // All commands go out before the first answer is waited for.
        let mut answers = Vec::new();
        for (grants, links) in of_grants.chain(single) {
            answers.push(self.control.send(&[], |command| {
                let mut cut = command.init_cut();
                crate::record::set_numbers(grants, |count| cut.reborrow().init_grants(count));
                crate::record::set_numbers(links, |count| cut.reborrow().init_links(count));
                cut.set_reason(reason);
                cut.set_detail(vat::words::clip(detail, vat::door::DETAIL_LIMIT_BYTES));
            })?);
        }
        for answer in answers {
            let done = answer.await.map_err(|_| Problem::Stopping)?;
            if done.outcome != Outcome::Ok {
                let text = format!(
                    "the kernel did not cut all of it: {}. Stop the apps with `latch stop --kill`",
                    done.detail
                );
                return Err(Problem::refused(text));
            }
        }
        Ok(())
    }

    /// Records the end of grants, durably.
    pub(super) async fn record_end(
        &self,
        by: &str,
        grants: &[u64],
        reason: EndReason,
        detail: &str,
    ) -> Result<(), Problem> {
        let mut last = 0;
        for part in grants.chunks(GRANTS_A_RECORD) {
            let ended = Ended { grants: part.to_vec(), reason, detail: detail.to_owned() };
            last = self.record(by, Record::Ended(ended))?;
        }
        self.durable(last).await
    }

    /// The records are durable: the kernel need not remember any more.
    pub(crate) fn forget(&self, grants: &[u64]) -> Result<(), Problem> {
        for part in grants.chunks(GRANTS_A_COMMAND) {
            // Its answer matters to nobody: a tombstone that stays is met again at the next start.
            drop(self.control.send(&[], |command| {
                let mut forget = command.init_forget();
                crate::record::set_numbers(part, |count| forget.reborrow().init_grants(count));
            })?);
        }
        Ok(())
    }

    /// Waits until the servers of these links are quiet, or names those that are not.
    async fn quiet(&self, links: &BTreeSet<u64>, result: &mut Cut) {
        // Each is passed once, however many rings it takes.
        let mut rest: Vec<u64> = links.iter().copied().collect();
        let all_quiet = self.bells.links.until(|| {
            let live = self.live.borrow();
            while rest.last().is_some_and(|link| !live.unquiet.contains_key(link)) {
                rest.pop();
            }
            rest.is_empty().then_some(())
        });
        let _ = tokio::time::timeout(QUIET_PATIENCE, all_quiet).await;
        let mut live = self.live.borrow_mut();
        let mut servers = BTreeSet::new();
        for link in links {
            match live.unquiet.remove(link) {
                None => result.quiet += 1,
                Some(server) => {
                    servers.insert(server);
                }
            }
        }
        for server in servers {
            let Some(process) = live.processes.get(&server) else { continue };
            let self_reported = if matches!(process.kind, Kind::App { .. }) { " (an app: self-reported)" } else { "" };
            result.unconfirmed.push(format!("{}{self_reported}", process.name));
        }
    }

    /// Ends grants on the node's own account, without anyone waiting for it.
    pub(crate) fn end_grants_soon(self: &Rc<Self>, grants: Vec<u64>, reason: EndReason, detail: String) {
        if grants.is_empty() {
            return;
        }
        let core = self.clone();
        spawn(async move {
            if let Err(problem) = core.end_grants(THE_NODE, &grants, reason, &detail).await {
                core.warn(format!("grants could not be ended: {problem}"));
            }
        });
    }
}

/// What is true of grants that the kernel has cut and the log does not know about.
fn unrecorded(problem: &Problem) -> Problem {
    Problem::refused(format!(
        "everything is cut, but that is not recorded: {problem}. The cut holds for as long as this node runs, and is \
         recorded as soon as that works: mend the disk before the node stops, or what was cut is granted again then"
    ))
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
