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
    /// For each home those that it is joined with, and since which frame.
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
        let mut group: BTreeSet<Id> = self.joined.get(&home).into_iter().flatten().map(|(other, _)| *other).collect();
        group.insert(home);
        Some(group)
    }

    /// Joins two homes, and with them those that each is joined with.
    pub(crate) fn join(&mut self, one: Id, other: Id, since: u64) {
        let with = |retention: &Self, home: Id| {
            let mut all = retention.joined.get(&home).cloned().unwrap_or_default();
            all.insert(home, 0);
            all
        };
        let (left, right) = (with(self, one), with(self, other));
        for (left, left_since) in &left {
            for (right, right_since) in &right {
                if left != right {
                    let since = since.max(*left_since).max(*right_since);
                    for (from, to) in [(left, right), (right, left)] {
                        let known = self.joined.entry(*from).or_default().entry(*to).or_insert(since);
                        *known = since.min(*known);
                    }
                }
            }
        }
    }

    /// Whether two homes are joined already. To join them again would forget since when they are.
    pub(crate) fn are_joined(&self, one: Id, other: Id) -> bool {
        self.joined.get(&one).is_some_and(|joined| joined.contains_key(&other))
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
        of(&home, 0)
            || self.root.is_some_and(|root| of(&root, 0))
            || self.joined.get(&home).into_iter().flatten().any(|(other, since)| of(other, *since))
    }
}

/// The sequence that a snapshot shows.
pub(crate) fn shown_by(row: &Row) -> u64 {
    let mut take = Take(&row.extra[8..]);
    take.u64().unwrap_or(0)
}
