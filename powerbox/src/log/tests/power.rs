//! The log on a disk that loses power at any moment, again and again, also while it recovers from the last time; now and
//! then its process alone is killed.

use super::disk::{Disk, Draw};
use super::*;

/// What nobody asked otherwise: the same on every machine and every day, so that a test fails because of a change.
const DEFAULT_SEED: u64 = 20_261_121;
/// Histories of a log, each with its own records.
const HISTORIES: usize = 80;
/// Times that the power fails in one history: each leaves its trace for the next.
const FAILURES: usize = 8;
/// Other moments that are tried for each of them, and left again.
const MOMENTS: usize = 6;

/// What one life of a log did.
#[derive(Default)]
struct Life {
    /// How many operations there were before.
    begun_after: usize,
    /// Every record that was written, on the disk or not, by position.
    written: Vec<Vec<u8>>,
    /// After so many operations this many records were acknowledged, in order.
    acknowledged: Vec<(usize, usize)>,
    torn: bool,
}

impl Life {
    /// How many records are promised when the power fails after so many operations.
    fn promised_after(&self, operations: usize) -> usize {
        let told = self.acknowledged.iter().rev().find(|(at, _)| *at <= operations);
        told.map_or(0, |(_, records)| *records)
    }
}

/// Opens the log, checks it against the life before, where the power failed after so many operations; appends and
/// verifies.
fn live(disk: &Disk, draw: &mut Draw, before: &Life, failed_after: usize) -> Result<Life, String> {
    let begun_after = disk.operations();
    let mut found: Vec<Vec<u8>> = Vec::new();
    let opened = Log::open_in(disk, |_, _, payload| {
        found.push(payload.to_vec());
        Ok(())
    });
    let (Opened { mut log, scanned }, mut turns) = opened.map_err(|error| error.to_string())?;
    let promised = before.promised_after(failed_after);
    if found.len() < promised {
        return Err(format!("{promised} records were acknowledged and {} are there", found.len()));
    }
    if found.len() > before.written.len() || found[..] != before.written[..found.len()] {
        return Err("there are records that were never written".into());
    }
    if disk.length(RECORDS) != scanned.end_offset {
        return Err(format!("{} bytes are in the file, of which {} count", disk.length(RECORDS), scanned.end_offset));
    }
    let mut life =
        Life { begun_after, acknowledged: vec![(0, promised)], written: found, torn: scanned.torn_bytes > 0 };
    life.acknowledged.push((disk.operations(), life.written.len()));
    for turn in 0..1 + draw.below(4) {
        for _ in 0..1 + draw.below(3) {
            let note = || Record::Note("n".into());
            let record = match draw.below(4) {
                // An empty log is not signed.
                0 if log.position() > 0 => checkpoint(&log),
                1 => Record::Note("long ".repeat(draw.below(400))),
                _ => note(),
            };
            let entry = log.append(1_000 + turn as u64, "test", record).map_err(|error| error.to_string())?;
            life.written.push(entry.encode());
        }
        if !turns.turn() {
            return Err("writing failed".into());
        }
        assert_eq!(*log.reached().borrow(), Reached::Position(log.position()));
        life.acknowledged.push((disk.operations(), life.written.len()));
    }
    let known = known(&log);
    let verified = verify::verify_in(disk, &known);
    match verified.problem {
        None if verified.records == life.written.len() as u64 => Ok(life),
        None => Err(format!("{} records were verified of {}", verified.records, life.written.len())),
        Some(problem) => Err(problem),
    }
}

#[test]
fn what_was_acknowledged_outlives_a_loss_of_power() {
    let seed = std::env::var("LATCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SEED);
    println!("LATCH_SEED={seed}");
    let draw = &mut Draw(seed);
    let (mut tried, mut torn) = (0, 0);
    for history in 0..HISTORIES {
        let mut disk = Disk::default();
        let mut life = live(&disk, draw, &Life::default(), 0).unwrap();
        for failure in 0..FAILURES {
            let mut next = None;
            for _ in 0..MOMENTS {
                let after = life.begun_after + draw.below(disk.operations() + 1 - life.begun_after);
                let (left, fates) = match draw.below(4) {
                    0 => (disk.without_process_after(after), vec!["the process was killed".into()]),
                    _ => disk.without_power_after(after, draw),
                };
                let lived = live(&left, draw, &life, after).unwrap_or_else(|why| {
                    panic!(
                        "{why}: history {history}, failure {failure}, after operation {after} of {}, {fates:#?}",
                        disk.operations()
                    )
                });
                tried += 1;
                torn += usize::from(lived.torn);
                next = Some((left, lived));
            }
            (disk, life) = next.unwrap();
        }
    }
    println!("{tried} failures, {torn} of which left a torn tail");
    assert!(torn > tried / 50, "the disk of this test tears too seldom: {torn} of {tried}");
}
