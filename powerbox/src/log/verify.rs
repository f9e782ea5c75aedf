//! `latch log --verify`: the whole log, read anew from the disk and checked against itself, its signatures, and what
//! the running powerbox knows.

use std::path::Path;

use std::collections::VecDeque;

use super::files::{Files, OnDisk};
use super::frame::Hash;
use super::scan::{self, LogError};
use super::{CHECKPOINT_REACH, LOG_PURPOSE, RECORDS, checkpoint_message};
use crate::record::{Checkpoint, Record};

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Records read.
    pub records: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// Records after the last checkpoint.
    pub tail_unsigned: u64,
    /// The last record's hash.
    pub head: Hash,
    /// The first checkpoint of a key that is none of the node's. It proves nothing.
    pub unknown_key: Option<u64>,
    /// What is wrong; nothing: all is well.
    pub problem: Option<String>,
}

/// What the running powerbox knows to be on the disk.
#[derive(Clone, Debug)]
pub struct Known {
    /// Every public key that the node has signed its log with.
    pub keys: Vec<[u8; 32]>,
    /// A record and its hash.
    pub position: u64,
    /// That record's hash.
    pub head: Hash,
}

/// Reads the log in the powerbox's folder and checks all of it. Records that came after `known` are checked like the
/// others; a last one that is only half written meanwhile is not a fault.
#[must_use]
pub fn verify(folder: &Path, known: &Known) -> Verification {
    verify_in(&OnDisk(folder.to_path_buf()), known)
}

/// The same, of the log in these files.
pub(super) fn verify_in(files: &dyn Files, known: &Known) -> Verification {
    let mut found = Verification::default();
    let mut lately: VecDeque<(u64, Hash)> = VecDeque::new();
    let mut at_known = None;
    let mut each = |position: u64, hash: &Hash, payload: &[u8]| {
        let entry = scan::decode(position, payload)?;
        if let Record::Checkpoint(checkpoint) = &entry.record {
            let why = match () {
                () if !lately.contains(&(checkpoint.position, checkpoint.head)) => "a checkpoint of another log",
                () if !holds(checkpoint) => "a checkpoint whose signature does not hold",
                () => "",
            };
            if !why.is_empty() {
                return Err(LogError::Unproven { position, why });
            }
            if known.keys.contains(&checkpoint.key) {
                found.checkpoints += 1;
                found.tail_unsigned = position - checkpoint.position - 1;
            } else {
                found.unknown_key.get_or_insert(position);
                found.tail_unsigned += 1;
            }
        } else {
            found.tail_unsigned += 1;
        }
        if position == known.position {
            at_known = Some(*hash);
        }
        if lately.len() as u64 == CHECKPOINT_REACH {
            lately.pop_front();
        }
        lately.push_back((position, *hash));
        found.records = position;
        found.head = *hash;
        Ok(())
    };
    let read =
        files.open(RECORDS).map_err(LogError::Io).and_then(|file| scan::whole(&*file, scan::synced(files), &mut each));
    found.problem = match read {
        Err(error) => Some(error.to_string()),
        Ok(_) if known.position > 0 && at_known.is_none() => Some(format!(
            "records are missing at the end: {} are on the disk, and {} were written",
            found.records, known.position
        )),
        Ok(_) if known.position > 0 && at_known != Some(known.head) => {
            Some(format!("record {} is not the one that was written", known.position))
        }
        Ok(_) => found.unknown_key.map(|position| {
            format!(
                "record {position} is a checkpoint that was signed with a key that this node does not have: with one of later, \
                 where an older backup of the keys was restored; else somebody else wrote"
            )
        }),
    };
    found
}

/// Whether its key signed it.
fn holds(checkpoint: &Checkpoint) -> bool {
    let message = checkpoint_message(checkpoint.position, &checkpoint.head);
    package::signature::verify(LOG_PURPOSE, &checkpoint.key, &message, &checkpoint.signature)
}
