//! What snapshots need: which rows outlive what superseded them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::format::{Id, Take};
use super::rows::{self, Row};
use super::table::{Index, IndexError, row_damaged};

/// The snapshots by home. Once something was moved from one home to another, snapshots of either that are taken from
/// then on may show what is of the other.
#[derive(Clone, Default)]
pub(crate) struct Retention {
    root: Option<Id>,
    /// The sequences that snapshots of a home show, and how many show each.
    by_home: HashMap<Id, BTreeMap<u64, u32>>,
    /// For each home those that it was joined with, and in which frame. Homes are together that are joined directly or by way of
    /// others; no more is kept than leads from each to each, so there is one way only.
    joined: HashMap<Id, BTreeMap<Id, u64>>,
}

/// The note of a row that is kept for a snapshot. There is one of each row, however often the row was superseded: who cuts a
/// file again and again has none written for what the first cut superseded.
pub(super) struct Kept {
    pub(super) home: Id,
    pub(super) whole_key: Vec<u8>,
    /// By the first that did, whichever of them was applied first: no snapshot after that shows the row.
    pub(super) superseded: u64,
}

impl Kept {
    pub(super) fn key(home: &Id, whole_key: &[u8]) -> Vec<u8> {
        rows::key(rows::KEPT, &[home, whole_key])
    }

    pub(super) fn encode(superseded: u64) -> Vec<u8> {
        superseded.to_le_bytes().to_vec()
    }

    pub(super) fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut take = Take(key.get(1..)?);
        let (home, whole_key) = (take.array()?, take.0.to_vec());
        Some(Self { home, whole_key, superseded: u64::from_le_bytes(value.try_into().ok()?) })
    }
}

impl Retention {
    pub(super) fn load(index: &Index) -> Result<Self, IndexError> {
        let mut retention = Self::default();
        index.scan(&[rows::ROOT], &[], |_, value| {
            retention.root = Some(Row::decode(value).ok_or_else(row_damaged)?.home);
            Ok(true)
        })?;
        index.scan(&[rows::JOINED], &[], |whole, _| {
            let (key, since) = rows::split(whole).ok_or_else(row_damaged)?;
            let mut take = Take(&key[1..]);
            let pair = take.array().zip(take.array()).ok_or_else(row_damaged)?;
            retention.join(pair.0, pair.1, since);
            Ok(true)
        })?;
        index.scan(&[rows::SNAPSHOT], &[], |_, value| {
            let row = Row::decode(value).ok_or_else(row_damaged)?;
            if !row.gone {
                retention.add(row.home, shown_by(&row));
            }
            Ok(true)
        })?;
        Ok(retention)
    }

    pub(crate) fn set_root(&mut self, root: Id) {
        self.root = Some(root);
    }

    /// Homes that are joined with this one, and itself; nothing where all are, because it is the root's.
    pub(crate) fn group(&self, home: Id) -> Option<BTreeSet<Id>> {
        if Some(home) == self.root {
            return None;
        }
        let mut group = BTreeSet::new();
        self.each_joined(home, |other, _| {
            group.insert(other);
            true
        });
        Some(group)
    }

    /// Joins two homes, and with them those that each is joined with. Where they are already, what counts is the way of which the
    /// last frame is the earliest.
    pub(crate) fn join(&mut self, one: Id, other: Id, since: u64) {
        if one == other {
            return;
        }
        if let Some((left, right, latest)) = self.latest_between(one, other) {
            if latest <= since {
                return;
            }
            for (from, to) in [(left, right), (right, left)] {
                self.joined.entry(from).or_default().remove(&to);
            }
        }
        for (from, to) in [(one, other), (other, one)] {
            self.joined.entry(from).or_default().insert(to, since);
        }
    }

    /// The last of the joinings by which a home leads to another.
    fn latest_between(&self, from: Id, to: Id) -> Option<(Id, Id, u64)> {
        let mut waiting = vec![(from, from, (from, from, 0))];
        while let Some((at, before, latest)) = waiting.pop() {
            if at == to {
                return Some(latest);
            }
            for (next, since) in self.joined.get(&at).into_iter().flatten().filter(|(next, _)| **next != before) {
                let latest = if *since > latest.2 { (at, *next, *since) } else { latest };
                waiting.push((*next, at, latest));
            }
        }
        None
    }

    /// Each home that this one is joined with, itself among them, and since when; until `each` says that it is enough.
    fn each_joined(&self, home: Id, mut each: impl FnMut(Id, u64) -> bool) {
        let mut waiting = vec![(home, home, 0)];
        while let Some((at, before, since)) = waiting.pop() {
            if !each(at, since) {
                return;
            }
            let next = self.joined.get(&at).into_iter().flatten().filter(|(next, _)| **next != before);
            waiting.extend(next.map(|(next, later)| (*next, at, since.max(*later))));
        }
    }

    /// Whether two homes are joined already. To join them again would forget since when they are.
    pub(crate) fn are_joined(&self, one: Id, other: Id) -> bool {
        one != other && self.latest_between(one, other).is_some()
    }

    pub(crate) fn add(&mut self, home: Id, shows: u64) {
        *self.by_home.entry(home).or_default().entry(shows).or_default() += 1;
    }

    /// Whether there is no snapshot at all, and so nothing that is kept but what is about to be let go of.
    pub(super) fn is_empty(&self) -> bool {
        self.by_home.is_empty()
    }

    pub(crate) fn remove(&mut self, home: Id, shows: u64) {
        let Some(sequences) = self.by_home.get_mut(&home) else { return };
        if let Some(count) = sequences.get_mut(&shows) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sequences.remove(&shows);
            }
        }
        if sequences.is_empty() {
            self.by_home.remove(&home);
        }
    }

    /// Whether a snapshot shows what was written at `from` and superseded at `until`.
    pub(crate) fn needs(&self, home: Id, from: u64, until: u64) -> bool {
        if self.is_empty() {
            return false;
        }
        let of = |home: &Id, since: u64| {
            let from = from.max(since);
            from < until && self.by_home.get(home).is_some_and(|shown| shown.range(from..until).next().is_some())
        };
        let mut needed = self.root.is_some_and(|root| of(&root, 0));
        self.each_joined(home, |other, since| {
            needed = needed || of(&other, since);
            !needed
        });
        needed
    }
}

/// The sequence that a snapshot shows.
pub(crate) fn shown_by(row: &Row) -> u64 {
    let mut take = Take(&row.extra[8..]);
    take.u64().unwrap_or(0)
}
