//! What services report of their links, and what an app holds.

use std::rc::Rc;

use vat::words::Rights;

use crate::asking::Answer;
use crate::core::{Core, THE_NODE};
use crate::record::{Holder, Leased, Record};
use crate::sessions::Reported;
use crate::words::{PHRASE_LIMIT, plain};

/// What an app holds or has asked for.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) label: String,
    pub(crate) interface: u64,
    pub(crate) rights: Rights,
    pub(crate) expires_at_ms: u64,
    pub(crate) answer: Answer,
    pub(crate) open: bool,
}

impl Core {
    /// Takes a service's word about the links that it serves or served, and leaves out whatever else it says: a process
    /// that was taken over can lie about its own links only.
    pub(crate) fn reported(self: &Rc<Self>, process: u64, reports: &[Reported]) {
        for report in reports {
            if !self.take_figures(process, report) {
                continue;
            }
            self.usage.borrow_mut().add(report.grant, report.totals, &report.methods);
            if let Some(detail) = &report.misbehaved {
                self.accuse_holder(report.grant, detail);
            }
            let Some((calls, bytes)) = report.last else { continue };
            let lease = self.state.borrow().grants.get(report.grant).and_then(|node| node.lease);
            if lease.is_some_and(|lease| lease.link == report.link) {
                let leased = Leased { grant: report.grant, link: report.link, calls, bytes };
                if let Err(problem) = self.record(THE_NODE, Record::Returned(leased)) {
                    self.warn(problem.to_string());
                }
                self.lease_came_back(report.grant);
                if report.exhausted {
                    self.end_used_up(report.grant);
                }
            }
        }
    }

    /// Takes the figures of a report, if it is of a link of that grant that this process serves, or served until lately. Each
    /// link has one last report, so that it leads to one accusation at most.
    fn take_figures(&self, process: u64, report: &Reported) -> bool {
        let (state, mut live) = (self.state.borrow(), self.live.borrow_mut());
        let Some(node) = state.grants.get(report.grant) else { return false };
        let Some(link) = live.link_mut(report.link) else {
            // One that ended while there was no powerbox is known by its lease alone, which is settled by the last report.
            let is_server = live.server_of(&node.granted.source) == Some(process);
            return is_server && node.lease.is_some_and(|lease| lease.link == report.link);
        };
        if link.grant != report.grant || link.server != process || link.told_last {
            return false;
        }
        link.used.add(report.totals);
        link.told_last = report.last.is_some();
        if link.told_last {
            live.ended.remove(&report.link);
        }
        true
    }

    /// A service cut a link for what the grant's holder did on it.
    fn accuse_holder(self: &Rc<Self>, grant: u64, detail: &str) {
        let known = self.state.borrow().grants.get(grant).map(|node| node.granted.clone());
        let Some(granted) = known else { return };
        let label = plain(&granted.label, PHRASE_LIMIT);
        self.accuse(&granted.holder.to_string(), &format!("its link “{label}” (grant #{grant})"), detail);
    }

    /// What an instance holds and has asked for.
    pub(crate) fn held(&self, instance: &str) -> Vec<Held> {
        let (state, live) = (self.state.borrow(), self.live.borrow());
        let holder = Holder::Instance(instance.to_owned());
        let mut held = Vec::new();
        let announced = state
            .instances
            .get(instance)
            .and_then(|row| state.packages.get(&row.run.app))
            .map(|package| package.manifest.requests.as_slice())
            .unwrap_or_default();
        for announced in announced {
            let label = announced.label.clone();
            let last =
                state.grants.labelled(&holder, &label).map(|(grant, node)| (grant, node.granted.caveats.clone()));
            let Some(answer) = Answer::of(state.label(instance, &label)) else { continue };
            held.push(Held {
                interface: announced.interface,
                rights: last.as_ref().map_or(announced.rights, |(_, caveats)| caveats.rights),
                expires_at_ms: last.as_ref().map_or(0, |(_, caveats)| caveats.expires_at_ms),
                open: last.is_some_and(|(grant, _)| live.open.contains_key(&grant)),
                label,
                answer,
            });
        }
        held
    }
}
