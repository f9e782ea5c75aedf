//! One file that all writers append to at once: each of their records is there whole, once, where it was said to be.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::End;

pub(crate) const RECORD_BYTES: usize = 48;

/// What one appended: who, which of theirs, and bytes that follow from that.
pub(crate) type Record = [u8; RECORD_BYTES];

/// What was acknowledged of the file.
#[derive(Default)]
pub(crate) struct Journal {
    /// Of the file.
    name: u64,
    /// By its place in the file.
    acknowledged: BTreeMap<u64, Record>,
    /// Asked for, and not acknowledged.
    pending: BTreeSet<Record>,
    /// How much of the file is on the disk, by what was acknowledged.
    synced_bytes: u64,
    next: u64,
}

impl Journal {
    /// What the file is called.
    pub(crate) fn name(&self) -> String {
        format!("journal{}", self.name)
    }

    /// Goes on in a new file, so that this one is read no more; how this one is called.
    pub(crate) fn renew(&mut self) -> String {
        let old = self.name();
        *self = Self { name: self.name + 1, next: self.next, ..Self::default() };
        old
    }

    /// A record that there was never before.
    pub(crate) fn begin(&mut self, who: usize) -> Record {
        self.next += 1;
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&(who as u64).to_le_bytes());
        record[8..16].copy_from_slice(&self.next.to_le_bytes());
        let hash = blake3::hash(&record[..16]);
        record[16..].copy_from_slice(hash.as_bytes());
        self.pending.insert(record);
        record
    }

    pub(crate) fn acknowledge(&mut self, record: &Record, offset: u64) {
        assert!(self.pending.remove(record), "it was asked for");
        let other = self.acknowledged.insert(offset, *record);
        assert!(other.is_none(), "two were told that their record is at {offset}");
    }

    /// Where the acknowledged part ends: what a sync that begins now makes sure of.
    pub(crate) fn end(&self) -> u64 {
        self.acknowledged.keys().next_back().map_or(0, |last| last + RECORD_BYTES as u64)
    }

    pub(crate) fn synced(&mut self, end: u64) {
        self.synced_bytes = self.synced_bytes.max(end);
    }

    /// Compares with the file as it is now, and goes on from that.
    pub(crate) fn judge(&mut self, found: &[u8], end: End) {
        let (records, rest) = found.as_chunks::<RECORD_BYTES>();
        assert!(rest.is_empty(), "{end:?}: half a record is there");
        let length = found.len() as u64;
        let least = if end == End::Killed { self.end() } else { self.synced_bytes };
        assert!(length >= least, "{end:?}: of {least} acknowledged bytes {length} are there");
        for (number, record) in records.iter().enumerate() {
            let offset = (number * RECORD_BYTES) as u64;
            match self.acknowledged.get(&offset) {
                Some(expected) => assert!(record == expected, "{end:?}: another record is at {offset}"),
                None => {
                    assert!(self.pending.remove(record), "{end:?}: what is at {offset} was never appended, or twice");
                    self.acknowledged.insert(offset, *record);
                }
            }
        }
        self.acknowledged.split_off(&length);
        self.pending.clear();
    }
}
