//! Everything the powerbox decides by: what the log's records add up to. [`State::apply`] is the only way in, so that
//! the same log always gives the same state. Plain data: no clock, no output.

pub mod rows;

use std::collections::{BTreeMap, BTreeSet};

use vat::words::EndReason;

use crate::grants::{End, Node, Tree};
use crate::record::{Author, Entry, Granted, Holder, How, Installed, Ran, Record};
use crate::requests::{Requests, Standing};
use rows::Key;

/// An instance and its latest run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// The latest run.
    pub run: Ran,
    /// When it began.
    pub started_at_ms: u64,
    /// Whether it has not ended.
    pub running: bool,
    /// Detached, and to be started again with the node.
    pub wanted: bool,
    /// How the run ended: exit code, or minus a signal's number.
    pub code: i32,
    /// The run's last word.
    pub last: String,
    /// When it ended; 0: not yet.
    pub exited_at_ms: u64,
}

/// Where a label of an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelState {
    /// There is a grant.
    Granted(u64),
    /// There was one, and a person took it away.
    Revoked(u64),
    /// There was one, and its time is over.
    Expired(u64),
    /// There was one, and a budget of it is used up.
    Exhausted(u64),
    /// Undecided or decided against.
    Asked(Standing),
    /// Never asked for, or its grant was given back or replaced.
    Free,
}

/// Everything the powerbox decides by.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Trusted authors by key.
    pub authors: BTreeMap<[u8; 32], Author>,
    /// Installed packages by name.
    pub packages: BTreeMap<String, Installed>,
    /// Instances by name.
    pub instances: BTreeMap<String, Instance>,
    /// Every grant.
    pub grants: Tree,
    /// What is undecided.
    pub requests: Requests,
    /// Ids up to this one may have been used.
    pub reserved: u64,
    /// Time of the last record.
    pub last_at_ms: u64,
    /// When the node was started.
    pub started_at_ms: u64,
    /// The last record.
    pub position: u64,
    /// The last record that a checkpoint signed.
    pub signed: u64,
    /// Rows that changed since they were last taken.
    pub(crate) changed: BTreeSet<Key>,
}

impl State {
    /// Where a label of an instance stands.
    #[must_use]
    pub fn label(&self, instance: &str, label: &str) -> LabelState {
        let holder = Holder::Instance(instance.to_owned());
        let last = self.grants.labelled(&holder, label);
        if let Some((grant, node)) = last
            && node.ended.is_none()
        {
            return LabelState::Granted(grant);
        }
        if let Some(standing) = self.requests.standing(instance, label) {
            return LabelState::Asked(standing);
        }
        match last.and_then(|(grant, node)| Some((grant, node.ended.as_ref()?.reason))) {
            Some((grant, EndReason::Revoked)) => LabelState::Revoked(grant),
            Some((grant, EndReason::Expired)) => LabelState::Expired(grant),
            Some((grant, EndReason::Exhausted)) => LabelState::Exhausted(grant),
            _ => LabelState::Free,
        }
    }

    /// Takes one record. A record that does not fit says so and changes nothing: whoever writes records checks first, so
    /// it means that a state from elsewhere was used.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        if entry.position != self.position + 1 {
            return Err(format!("record {} does not follow record {}", entry.position, self.position));
        }
        self.position = entry.position;
        self.last_at_ms = self.last_at_ms.max(entry.at_ms);
        match &entry.record {
            Record::Opened { node_start, .. } if *node_start => self.started_at_ms = entry.at_ms,
            Record::Opened { .. } | Record::Note(_) => {}
            Record::Trusted(author) => {
                self.authors.insert(author.key, author.clone());
                self.changed.insert(Key::Author(author.key));
            }
            Record::Distrusted(key) => {
                self.authors.remove(key);
                self.changed.insert(Key::Author(*key));
            }
            Record::Installed(installed) => {
                let name = installed.manifest.name.clone();
                self.changed.insert(Key::Package(name.clone()));
                self.packages.insert(name, installed.clone());
            }
            Record::Uninstalled(name) => self.uninstalled(name),
            Record::Ran(ran) => self.ran(ran, entry.at_ms),
            Record::Exited(exited) => self.exited(exited, entry.at_ms),
            Record::Stopped(instance) => {
                if let Some(row) = self.instances.get_mut(instance) {
                    row.wanted = false;
                    self.changed.insert(Key::Instance(instance.clone()));
                }
            }
            Record::Asked(asked) => {
                self.requests.ask(asked.clone());
                self.changed.insert(Key::Request(asked.request));
            }
            Record::Denied(denied) => {
                if let Some(Standing::Pending(request)) = self.requests.standing(&denied.instance, &denied.label) {
                    self.changed.insert(Key::Request(request));
                }
                self.requests.deny(denied);
                self.changed.insert(Key::Settled(denied.instance.clone(), denied.label.clone()));
            }
            Record::Granted(granted) => self.granted(granted, entry)?,
            Record::Ended(ended) => {
                let detail = ended.detail.clone();
                self.end(
                    &ended.grants,
                    &End { at_ms: entry.at_ms, by: entry.by.clone(), reason: ended.reason, detail },
                );
            }
            Record::Leased(leased) => {
                self.grants.lease(*leased);
                self.changed.insert(Key::Grant(leased.grant));
            }
            Record::Returned(leased) | Record::Lost(leased) => {
                self.grants.settle(*leased, matches!(entry.record, Record::Lost(_)));
                self.changed.insert(Key::Grant(leased.grant));
                self.changed.extend(self.grants.get(leased.grant).map(|node| Key::Grant(node.granted.parent)));
            }
            Record::Reserved(up_to) => self.reserved = self.reserved.max(*up_to),
            Record::Checkpoint(checkpoint) => self.signed = checkpoint.position,
        }
        Ok(())
    }

    fn ran(&mut self, ran: &Ran, at_ms: u64) {
        self.end_run(&ran.instance);
        let row = Instance {
            run: ran.clone(),
            started_at_ms: at_ms,
            running: true,
            wanted: ran.detached,
            ..Instance::default()
        };
        self.instances.insert(ran.instance.clone(), row);
        self.changed.insert(Key::Instance(ran.instance.clone()));
    }

    fn exited(&mut self, exited: &crate::record::Exited, at_ms: u64) {
        let Some(row) = self.instances.get_mut(&exited.instance).filter(|row| row.run.process == exited.process) else {
            return;
        };
        row.running = false;
        row.code = exited.code;
        row.last.clone_from(&exited.last);
        row.exited_at_ms = at_ms;
        self.changed.insert(Key::Instance(exited.instance.clone()));
        self.end_run(&exited.instance);
    }

    fn end_run(&mut self, instance: &str) {
        let settled: Vec<Key> = self
            .requests
            .settled()
            .filter(|((of, _), how)| of == instance && **how != How::Always)
            .map(|((of, label), _)| Key::Settled(of.clone(), label.clone()))
            .collect();
        self.changed.extend(settled);
        self.changed.extend(self.requests.end_run(instance).into_iter().map(Key::Request));
    }

    fn granted(&mut self, granted: &Granted, entry: &Entry) -> Result<(), String> {
        let mut reason = String::new();
        self.grants.admits(granted).map_err(|why| format!("grant {}: {why:?}", granted.grant))?;
        if let Holder::Instance(instance) = &granted.holder {
            self.changed.insert(Key::Settled(instance.clone(), granted.label.clone()));
            if let Some(asked) = self.requests.grant(instance, &granted.label) {
                self.changed.insert(Key::Request(asked.request));
                reason = asked.reason;
            }
        }
        let node = Node {
            granted: granted.clone(),
            at_ms: entry.at_ms,
            by: entry.by.clone(),
            position: entry.position,
            reason,
            left: crate::caveats::Left::default(),
            lease: None,
            ended: None,
        };
        self.changed.insert(Key::Grant(granted.grant));
        self.changed.insert(Key::Grant(granted.parent));
        self.grants.insert(node).map_err(|why| format!("grant {}: {why:?}", granted.grant))
    }

    fn end(&mut self, grants: &[u64], end: &End) {
        let (ended, forgotten) = self.grants.end(grants, end);
        let parents: Vec<u64> =
            ended.iter().filter_map(|grant| Some(self.grants.get(*grant)?.granted.parent)).collect();
        self.changed.extend(ended.into_iter().chain(forgotten).chain(parents).map(Key::Grant));
    }

    fn uninstalled(&mut self, name: &str) {
        self.packages.remove(name);
        self.changed.insert(Key::Package(name.to_owned()));
        let gone: Vec<String> = self
            .instances
            .iter()
            .filter(|(_, row)| row.run.app == name)
            .map(|(instance, _)| instance.clone())
            .collect();
        for instance in gone {
            self.end_run(&instance);
            let always: Vec<Key> = self
                .requests
                .settled()
                .filter(|((of, _), _)| *of == instance)
                .map(|((of, label), _)| Key::Settled(of.clone(), label.clone()))
                .collect();
            self.changed.extend(always);
            self.requests.forget(&instance);
            let forgotten = self.grants.forget_holder(&Holder::Instance(instance.clone()));
            self.changed.extend(forgotten.into_iter().map(Key::Grant));
            self.instances.remove(&instance);
            self.changed.insert(Key::Instance(instance));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
