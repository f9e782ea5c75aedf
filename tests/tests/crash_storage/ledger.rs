//! The independent record of one writer: what was acknowledged to it, and what of that as being on the disk.

use crate::tree::{Change, Tree, difference};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a life of the store ended, and so what it may have forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process was killed. What it had given to the system is there.
    Killed,
    /// So was the machine, as far as a test can: of what was not synced, the end is lost.
    PowerLost,
}

/// A snapshot that was taken, and what it has to show.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    pub(crate) tree: Tree,
}

/// What one writer knows.
#[derive(Default)]
pub(crate) struct Ledger {
    /// As far as it was acknowledged to be on the disk.
    synced: Tree,
    /// Acknowledged since, in order.
    since: VecDeque<Change>,
    /// How many changes were acknowledged before those.
    before: u64,
    /// With all of them.
    now: Tree,
    /// Asked for and not acknowledged: it happened or it did not.
    pending: Option<Change>,
    pub(crate) snapshots: BTreeMap<String, Taken>,
    /// Asked for and not acknowledged: taken or dropped, or not.
    pub(crate) perhaps: BTreeMap<String, Tree>,
    /// Dropped, as was acknowledged, each with how many changes had been before.
    dropped: BTreeMap<String, (u64, Tree)>,
    /// Found after a death, and never acknowledged: there, and not yet on the disk.
    found: BTreeSet<String>,
}

impl Ledger {
    pub(crate) fn now(&self) -> &Tree {
        &self.now
    }

    /// How many changes were acknowledged.
    pub(crate) fn count(&self) -> u64 {
        self.before + self.since.len() as u64
    }

    /// A change is asked for.
    pub(crate) fn begin(&mut self, change: Change) {
        assert!(self.pending.is_none(), "a writer does one thing at a time");
        self.pending = Some(change);
    }

    /// What was asked for was acknowledged.
    pub(crate) fn acknowledge(&mut self) {
        if let Some(change) = self.pending.take() {
            change.apply(&mut self.now);
            self.since.push_back(change);
        }
    }

    /// It was acknowledged that the first so many changes are on the disk.
    pub(crate) fn synced(&mut self, count: u64) {
        while self.before < count
            && let Some(change) = self.since.pop_front()
        {
            change.apply(&mut self.synced);
            self.before += 1;
        }
        self.found.clear();
        self.dropped.retain(|_, (before, _)| *before >= count);
    }

    /// A snapshot was acknowledged.
    pub(crate) fn taken(&mut self, label: &str, id: u64) {
        let tree = self.perhaps.remove(label).expect("it was asked for");
        self.snapshots.insert(label.to_owned(), Taken { id, tree });
    }

    /// That it was dropped was acknowledged.
    pub(crate) fn dropped(&mut self, label: &str) {
        let tree = self.perhaps.remove(label).expect("it was asked for");
        self.dropped.insert(label.to_owned(), (self.count(), tree));
    }

    /// Compares with the snapshots that there are now, and goes on from that.
    pub(crate) fn judge_snapshots(&mut self, found: &BTreeMap<String, u64>, end: End, who: &str) {
        if end == End::PowerLost {
            let lost = self.found.iter().filter(|label| !found.contains_key(*label));
            lost.for_each(|label| drop(self.snapshots.remove(label)));
        }
        for label in self.snapshots.keys() {
            assert!(found.contains_key(label), "{who}, {end:?}: the acknowledged snapshot {label} is lost");
        }
        for (label, id) in found {
            let tree = match self.snapshots.get(label) {
                Some(taken) => {
                    assert_eq!(taken.id, *id, "{who}, {end:?}: snapshot {label} is another one");
                    continue;
                }
                // That it was dropped is forgotten where that was not synced.
                None if end == End::PowerLost => {
                    self.dropped.remove(label).map(|(_, tree)| tree).or_else(|| self.perhaps.remove(label))
                }
                None => self.perhaps.remove(label),
            };
            let tree = tree.unwrap_or_else(|| panic!("{who}, {end:?}: snapshot {label} was dropped, or never taken"));
            self.found.insert(label.clone());
            self.snapshots.insert(label.clone(), Taken { id: *id, tree });
        }
        // Of what is not there nothing is known that could come back but by a loss of power.
        let count = self.count();
        self.dropped.extend(std::mem::take(&mut self.perhaps).into_iter().map(|(label, tree)| (label, (count, tree))));
    }

    /// Compares with what is there now, and goes on from that: what was in doubt is known from then on.
    pub(crate) fn judge(&mut self, found: &Tree, end: End, who: &str) {
        let least = if end == End::Killed { self.since.len() } else { 0 };
        self.since.extend(self.pending.take());
        let all = self.since.len();
        let mut tree = self.synced.clone();
        let mut fits = (least == 0 && tree == *found).then_some(0);
        for (number, change) in (1..).zip(&self.since) {
            change.apply(&mut tree);
            // The longest that fits: a change may change nothing.
            if number >= least && tree == *found {
                fits = Some(number);
            }
        }
        let Some(fits) = fits else {
            let last = self.since.iter().rev().take(4).map(shown).collect::<Vec<_>>();
            panic!(
                "{who}, {end:?}: what is there is not what was acknowledged, nor that with the last change that was not: {}\n\
                 since the last sync {all} changes, the last of them: {last:?}",
                difference(found, &self.now)
            );
        };
        self.since.truncate(fits);
        self.now = found.clone();
    }
}

fn shown(change: &Change) -> String {
    let mut text = format!("{change:?}");
    text.truncate(80);
    text
}
