//! Each kind of damage to a log is found, and a torn tail is cut off without a loss.

mod disk;
mod power;

use std::path::PathBuf;

use ed25519_dalek::SigningKey;

use super::*;
use crate::record::{Checkpoint, Record};

struct Made {
    folder: tempfile::TempDir,
    /// Where each record begins, and where the last ends.
    offsets: Vec<u64>,
    known: Known,
}

impl Made {
    fn records(&self) -> PathBuf {
        self.folder.path().join(RECORDS)
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.records()).unwrap()
    }

    fn replace(&self, bytes: &[u8]) {
        std::fs::write(self.records(), bytes).unwrap();
    }

    fn verify(&self) -> Verification {
        verify(self.folder.path(), &self.known)
    }

    /// The bytes of one record.
    fn record(&self, position: usize) -> std::ops::Range<usize> {
        let at = |index: usize| usize::try_from(self.offsets[index]).unwrap();
        at(position - 1)..at(position)
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("log")).unwrap();
    folder
}

fn open(folder: &Path) -> Result<(Opened, Vec<u64>), LogError> {
    let mut seen = Vec::new();
    let opened = Log::open(folder, |position, _, payload| {
        decode(position, payload)?;
        seen.push(position);
        Ok(())
    })?;
    Ok((opened, seen))
}

/// What the keys would make.
fn checkpoint(log: &Log) -> Record {
    let key = SigningKey::from_bytes(&[3; 32]);
    let signature = package::signature::sign(LOG_PURPOSE, &key, &checkpoint_message(log.position(), &log.head()));
    let key = key.verifying_key().to_bytes();
    Record::Checkpoint(Checkpoint { position: log.position(), head: log.head(), key, signature })
}

/// What is known of a log elsewhere.
fn known(log: &Log) -> Known {
    let key = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
    Known { keys: vec![key], position: log.position(), head: log.head() }
}

/// Waits until all of it is on the disk.
fn settle(log: &Log) {
    let mut reached = log.reached();
    let position = log.position();
    futures::executor::block_on(reached.wait_for(|reached| *reached == Reached::Position(position))).unwrap();
}

/// A log of ten notes with a checkpoint after the fifth, and closed.
fn make() -> Made {
    let folder = folder();
    let mut offsets = vec![HEADER_BYTES as u64];
    let (Opened { mut log, .. }, seen) = open(folder.path()).unwrap();
    assert!(seen.is_empty());
    for number in 0..11 {
        let record = if number == 5 { checkpoint(&log) } else { Record::Note(format!("note {number}")) };
        log.append(1_000 + number, "test", record).unwrap();
        settle(&log);
        offsets.push(log.end_offset);
    }
    let known = known(&log);
    Made { folder, offsets, known }
}

#[test]
fn a_whole_log_is_read_back_and_verified() {
    let made = make();
    let found = made.verify();
    assert_eq!(found.problem, None);
    assert_eq!((found.records, found.checkpoints, found.tail_unsigned), (11, 1, 5));
    assert_eq!(found.head, made.known.head);
    let (opened, seen) = open(made.folder.path()).unwrap();
    assert_eq!(seen, (1..=11).collect::<Vec<_>>());
    assert_eq!((opened.scanned.torn_bytes, opened.log.head()), (0, made.known.head));
    assert_eq!(opened.scanned.end_offset, *made.offsets.last().unwrap());
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let made = make();
    let good = made.bytes();
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 0x20;
        made.replace(&changed);
        assert!(made.verify().problem.is_some(), "byte {index} of {}", good.len());
    }
}

#[test]
fn a_missing_record_is_found_wherever_it_is() {
    let made = make();
    let good = made.bytes();
    for position in 1..=11 {
        let mut without = good.clone();
        without.drain(made.record(position));
        made.replace(&without);
        assert!(made.verify().problem.is_some(), "record {position}");
        assert!(matches!(open(made.folder.path()), Err(LogError::Damaged { .. })), "record {position}");
    }
}

#[test]
fn reordered_and_repeated_records_are_found() {
    let made = make();
    let good = made.bytes();
    let (one, other) = (made.record(3), made.record(4));
    let reordered = [&good[..one.start], &good[other.clone()], &good[one.clone()], &good[other.end..]].concat();
    made.replace(&reordered);
    assert!(made.verify().problem.unwrap().contains("record 3"));
    let repeated = [&good[..one.end], &good[one.clone()], &good[one.end..]].concat();
    made.replace(&repeated);
    assert!(made.verify().problem.unwrap().contains("record 4"));
}

#[test]
fn a_removed_tail_is_found_by_what_is_known_elsewhere() {
    let made = make();
    let good = made.bytes();
    made.replace(&good[..made.record(8).start]);
    std::fs::remove_file(made.folder.path().join(SYNCED)).unwrap();
    assert!(made.verify().problem.unwrap().contains("missing"));
}

#[test]
fn a_chain_that_was_made_anew_is_found_by_its_checkpoint() {
    let made = make();
    let forged = folder();
    std::fs::write(forged.path().join(RECORDS), &made.bytes()[..HEADER_BYTES]).unwrap();
    // Somebody writes another history with the same header, but cannot sign: the old checkpoint is put in.
    let (Opened { mut log, .. }, _) = open(forged.path()).unwrap();
    for number in 0..11 {
        let record = if number == 5 { stolen_checkpoint(&made) } else { Record::Note(format!("forged {number}")) };
        log.append(1_000 + number, "test", record).unwrap();
    }
    settle(&log);
    let known = Known { position: 0, ..made.known };
    assert!(verify(forged.path(), &known).problem.unwrap().contains("another log"));
}

#[test]
fn a_checkpoint_holds_only_by_a_key_that_the_node_has_had() {
    let made = make();
    let known = Known { keys: vec![[7; 32]], ..made.known.clone() };
    let found = verify(made.folder.path(), &known);
    let problem = found.problem.unwrap();
    assert!(problem.contains("a key that this node does not have") && !problem.contains("version"), "{problem}");
    assert!(found.unknown_key.is_some() && found.checkpoints == 0);
    assert_eq!(found.records, made.verify().records, "the chain is checked to its end");
    let several = Known { keys: [vec![[7; 32]], made.known.keys.clone()].concat(), ..made.known.clone() };
    assert_eq!(verify(made.folder.path(), &several).problem, None);
}

#[test]
fn a_checkpoint_may_come_a_little_late() {
    let folder = folder();
    let (Opened { mut log, .. }, _) = open(folder.path()).unwrap();
    log.append(1, "test", Record::Note("signed".into())).unwrap();
    let signed = checkpoint(&log);
    log.append(2, "test", Record::Note("meanwhile".into())).unwrap();
    log.append(3, "test", signed).unwrap();
    settle(&log);
    let found = verify(folder.path(), &known(&log));
    assert_eq!((found.problem, found.checkpoints, found.tail_unsigned), (None, 1, 1));
}

fn stolen_checkpoint(made: &Made) -> Record {
    let payload = &made.bytes()[made.record(6)][frame::RECORD_HEAD_BYTES..];
    decode(6, payload).unwrap().record
}

#[test]
fn a_torn_tail_is_cut_off_and_nothing_else() {
    let made = make();
    let good = made.bytes();
    let last = made.record(11);
    for length in last.start..last.end {
        made.replace(&good[..length]);
        // The disk had come to the record before.
        std::fs::write(made.folder.path().join(SYNCED), (last.start as u64).to_le_bytes()).unwrap();
        let (opened, seen) = open(made.folder.path()).unwrap();
        assert_eq!(seen.len(), 10, "{length}");
        assert_eq!(opened.scanned.torn_bytes, (length - last.start) as u64);
        assert_eq!(made.bytes(), good[..last.start], "{length}");
    }
}

#[test]
fn what_the_disk_had_is_never_cut_off_as_torn() {
    let made = make();
    let mut changed = made.bytes();
    let last = made.record(11);
    changed[last.end - 1] ^= 1;
    made.replace(&changed);
    assert!(matches!(open(made.folder.path()), Err(LogError::Damaged { position: 11, .. })));
    assert_eq!(made.bytes(), changed, "it was left as it is");
}

#[test]
fn a_newer_format_is_refused_with_a_clear_word() {
    let made = make();
    let mut newer = made.bytes();
    newer[8] = 3;
    made.replace(&newer);
    let error = open(made.folder.path()).err().unwrap();
    assert!(matches!(error, LogError::Newer { format: 3 }));
    assert!(error.to_string().contains("newer version"));
}

#[test]
fn a_full_disk_refuses_and_does_not_pretend() {
    // The device that is always full.
    let Ok(file) = std::fs::File::options().write(true).open("/dev/full") else { panic!("no /dev/full here") };
    let folder = folder();
    let files = files::OnDisk(folder.path().to_path_buf());
    // Syncing a device may be refused at once; otherwise the first record is.
    if let Ok((writer, mut turns)) = writer::Writer::new(&files, std::sync::Arc::new(file), 0, 0) {
        writer.append(1, b"record".to_vec());
        assert!(!turns.turn());
        assert!(matches!(*writer.reached().borrow(), Reached::Failed(_)));
    }
}

#[test]
fn reading_from_the_middle_gives_what_comes_after() {
    let folder = folder();
    let (Opened { mut log, .. }, _) = open(folder.path()).unwrap();
    for number in 1..=300 {
        log.append(number, "test", Record::Note(number.to_string())).unwrap();
    }
    settle(&log);
    for after in [0, 1, 63, 64, 65, 128, 298, 299, 300] {
        let found = read(folder.path(), log.place_after(after), after, 2, log.position()).unwrap();
        let positions: Vec<u64> = found.iter().map(|(entry, _)| entry.position).collect();
        assert_eq!(positions, (after + 1..=300).take(2).collect::<Vec<_>>(), "after {after}");
    }
}

#[test]
fn time_never_goes_back_in_the_log() {
    let folder = folder();
    let (Opened { mut log, .. }, _) = open(folder.path()).unwrap();
    assert_eq!(log.append(5_000, "test", Record::Note(String::new())).unwrap().at_ms, 5_000);
    assert_eq!(log.append(4_000, "test", Record::Note(String::new())).unwrap().at_ms, 5_000);
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let folder = folder();
    let (Opened { mut log, .. }, _) = open(folder.path()).unwrap();
    let longest = RECORD_LIMIT_BYTES - log.append(1, "test", Record::Note(String::new())).unwrap().encode().len() - 16;
    log.append(1, "test", Record::Note("x".repeat(longest))).unwrap();
    let too_long = log.append(9, "test", Record::Note("x".repeat(RECORD_LIMIT_BYTES))).unwrap_err();
    assert!(too_long.to_string().contains(&RECORD_LIMIT_BYTES.to_string()), "{too_long}");
    log.append(2, "test", Record::Note("after".into())).unwrap();
    settle(&log);
    drop(log);
    assert_eq!(open(folder.path()).unwrap().1, [1, 2, 3]);
}
