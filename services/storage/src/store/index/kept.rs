//! What snapshots need: which rows outlive what superseded them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::format::{Id, Take};
use super::rows::{self, Row};
use super::table::{Index, IndexError, row_damaged};

/// The snapshots by home. Homes between which something was moved count as one.
#[derive(Clone, Default)]
pub(crate) struct Retention {
    root: Option<Id>,
    /// The sequences that snapshots of a home show, and how many show each.
    by_home: HashMap<Id, BTreeMap<u64, u32>>,
    /// A home that others were joined with leads to another, and that at last to the one that stands for all.
    joined: HashMap<Id, Id>,
}

/// A row that is kept for a snapshot, as the key of its note says.
pub(crate) struct Kept {
    pub(crate) superseded: u64,
    pub(crate) home: Id,
    pub(crate) whole_key: Vec<u8>,
}

impl Kept {
    pub(crate) fn key(&self) -> Vec<u8> {
        rows::key(rows::KEPT, &[&self.home, &self.superseded.to_be_bytes(), &self.whole_key])
    }

    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        let mut take = Take(key.get(1..)?);
        let home = take.array()?;
        let superseded = u64::from_be_bytes(take.array()?);
        Some(Self { superseded, home, whole_key: take.0.to_vec() })
    }
}

impl Retention {
    pub(super) fn load(index: &Index) -> Result<Self, IndexError> {
        let mut retention = Self::default();
        index.scan(&[rows::ROOT], &[], |_, value| {
            retention.root = Some(Row::decode(value).ok_or_else(row_damaged)?.home);
            Ok(true)
        })?;
        index.scan(&[rows::JOINED], &[], |key, _| {
            let mut take = Take(&key[1..]);
            let pair = take.array().zip(take.array()).ok_or_else(row_damaged)?;
            retention.join(pair.0, pair.1);
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

    /// The home that stands for this one.
    pub(crate) fn whole_home(&self, home: Id) -> Id {
        let mut at = home;
        while let Some(next) = self.joined.get(&at) {
            at = *next;
        }
        at
    }

    /// Homes that are joined with this one, and itself; nothing where all are, because it is the root's.
    pub(crate) fn group(&self, home: Id) -> Option<BTreeSet<Id>> {
        if Some(home) == self.root {
            return None;
        }
        let whole = self.whole_home(home);
        let mut group: BTreeSet<Id> =
            self.joined.keys().copied().filter(|one| self.whole_home(*one) == whole).collect();
        group.extend([home, whole]);
        Some(group)
    }

    pub(crate) fn join(&mut self, one: Id, other: Id) {
        let (one, other) = (self.whole_home(one), self.whole_home(other));
        if one != other {
            self.joined.insert(one, other);
            for (sequence, count) in self.by_home.remove(&one).unwrap_or_default() {
                *self.by_home.entry(other).or_default().entry(sequence).or_default() += count;
            }
        }
    }

    pub(crate) fn add(&mut self, home: Id, shows: u64) {
        let home = self.whole_home(home);
        *self.by_home.entry(home).or_default().entry(shows).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, home: Id, shows: u64) {
        let home = self.whole_home(home);
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
        if from >= until || self.by_home.is_empty() {
            return false;
        }
        let of = |home: &Id| self.by_home.get(home).is_some_and(|shown| shown.range(from..until).next().is_some());
        of(&self.whole_home(home)) || self.root.is_some_and(|root| of(&root))
    }
}

/// The sequence that a snapshot shows.
pub(crate) fn shown_by(row: &Row) -> u64 {
    let mut take = Take(&row.extra[8..]);
    take.u64().unwrap_or(0)
}
