//! Changes of the index that are made together: those of one frame.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::kept::Retention;
use super::rows::{self, Row};
use super::table::{Index, IndexError, Pair, Position, Sum, first_of, nearer, parsed, parsed_number};

/// Rows by key; nothing where the row goes.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What is to be changed. Nothing is before [`commit`](Self::commit).
pub(crate) struct Transaction<'a> {
    index: &'a Index,
    changes: Changes,
    numbers: HashMap<Vec<u8>, i64>,
    position: Position,
    retention: Arc<Retention>,
    has_left: bool,
}

/// What is ready to be written.
pub(crate) struct Ready {
    changes: Changes,
    position: Position,
    retention: Arc<Retention>,
    has_left: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        let (position, retention) = (index.position.clone(), index.retention.clone());
        Self { index, changes: Changes::new(), numbers: HashMap::new(), position, retention, has_left: false }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => Ok(self.index.get(key)?.map(|value| value.to_vec())),
        }
    }

    /// Sets a row, or takes it away.
    pub(crate) fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), IndexError> {
        if let Some(old) = self.get(&key)? {
            self.position.sum.subtract(Sum::of_row(&self.index.keys, &key, &old));
            self.position.rows = self.position.rows.wrapping_sub(1);
        }
        self.set_absent(key, value);
        Ok(())
    }

    /// The same where it is known that there is no such row.
    pub(crate) fn set_absent(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if let Some(new) = &value {
            self.position.sum.add(Sum::of_row(&self.index.keys, &key, new));
            self.position.rows = self.position.rows.wrapping_add(1);
        }
        self.changes.insert(key, value);
    }

    /// Adds to a number that is never below 0.
    pub(crate) fn add(&mut self, key: Vec<u8>, by: i64) {
        *self.numbers.entry(key).or_default() += by;
    }

    /// The number as it will be.
    pub(crate) fn number(&self, key: &[u8]) -> Result<u64, IndexError> {
        let before = self.get(key)?.map_or(Ok(0), |value| parsed_number(&value))?;
        Ok(before.saturating_add_signed(self.numbers.get(key).copied().unwrap_or(0)))
    }

    /// The newest row of a key as of a sequence.
    pub(crate) fn newest(&self, key: &[u8], as_of: u64) -> Result<Option<(u64, Row)>, IndexError> {
        self.between(&rows::at(key, as_of), &rows::at(key, 0), false)
    }

    /// The oldest row of a key that is newer than a sequence.
    pub(crate) fn next_newer(&self, key: &[u8], than: u64) -> Result<Option<(u64, Row)>, IndexError> {
        let Some(above) = than.checked_add(1) else { return Ok(None) };
        self.between(&rows::at(key, u64::MAX), &rows::at(key, above), true)
    }

    /// Whether no row is of one of the keys from the first to the last.
    pub(crate) fn has_none(&self, (first, last): (&[u8], &[u8])) -> Result<bool, IndexError> {
        Ok(self.between(&rows::at(first, u64::MAX), &rows::at(last, 0), false)?.is_none())
    }

    fn between(&self, from: &[u8], to: &[u8], last: bool) -> Result<Option<(u64, Row)>, IndexError> {
        let written = self.index.first_between((from, to), last, |key| self.changes.contains_key(key))?;
        let changed = first_of(&self.changes, (from, to), last, |_| false);
        nearer(written, changed, last).map(|(key, value)| parsed(&key, &value)).transpose()
    }

    /// All rows whose keys begin with these bytes, as they will be.
    pub(crate) fn all(&self, prefix: &[u8]) -> Result<Vec<Pair>, IndexError> {
        let mut found = BTreeMap::new();
        self.index.scan(prefix, &[], |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            Ok(true)
        })?;
        for (key, change) in self.changes.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)) {
            match change {
                Some(value) => drop(found.insert(key.clone(), value.clone())),
                None => drop(found.remove(key)),
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The same from a key on, and at most so many.
    pub(crate) fn page(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, IndexError> {
        let mut found = BTreeMap::new();
        let mut written = 0;
        self.index.scan(prefix, from, |key, value| {
            // What is changed is looked at below, and takes no place here.
            if !self.changes.contains_key(key) {
                found.insert(key.to_vec(), value.to_vec());
                written += 1;
            }
            Ok(written < limit)
        })?;
        let begin = from.max(prefix).to_vec();
        let changed = self.changes.range(begin..).take_while(|(key, _)| key.starts_with(prefix));
        let there = changed.filter_map(|(key, change)| change.as_ref().map(|value| (key.clone(), value.clone())));
        found.extend(there.take(limit));
        Ok(found.into_iter().take(limit).collect())
    }

    /// How much is changed, in rows.
    pub(crate) fn size(&self) -> usize {
        self.changes.len()
    }

    /// Not all that goes is gone yet.
    pub(super) fn note_left(&mut self) {
        self.has_left = true;
    }

    /// Another version of a node counts: `old` no more, `new` now.
    pub(crate) fn exchange_version(&mut self, node: &[u8], old: Option<u64>, new: Option<u64>) {
        let sum = |version: u64| Sum::of(node, &version.to_le_bytes());
        old.into_iter().for_each(|version| self.position.versions.subtract(sum(version)));
        new.into_iter().for_each(|version| self.position.versions.add(sum(version)));
    }

    pub(crate) fn retention(&self) -> &Retention {
        &self.retention
    }

    pub(crate) fn retention_mut(&mut self) -> &mut Retention {
        Arc::make_mut(&mut self.retention)
    }

    /// Up to where the index goes with this.
    pub(crate) fn move_to(&mut self, (segment, offset): (u32, u64), sequence: u64, chain: [u8; 32]) {
        self.position = Position { segment, offset, sequence, chain, ..self.position.clone() };
    }

    /// Ends it; what is returned can be written.
    pub(crate) fn ready(mut self) -> Result<Ready, IndexError> {
        for key in self.numbers.keys().cloned().collect::<Vec<_>>() {
            let number = self.number(&key)?;
            self.numbers.remove(&key);
            self.set(key, (number > 0).then(|| number.to_le_bytes().to_vec()))?;
        }
        Ok(Ready { changes: self.changes, position: self.position, retention: self.retention, has_left: self.has_left })
    }
}

impl Index {
    /// Writes what was made ready, at once.
    pub(crate) fn commit(&mut self, ready: Ready) -> Result<(), IndexError> {
        self.write(ready.changes, ready.position)?;
        self.retention = ready.retention;
        self.has_left |= ready.has_left;
        Ok(())
    }
}
