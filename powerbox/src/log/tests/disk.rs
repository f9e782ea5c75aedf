//! A disk that loses power. It records every write, rename and sync in their order, and tells what is left when the power
//! fails after any number of them: what was synced is there; of what was not, all, nothing or any part.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::files::{Files, LogFile};

/// What is written whole or not at all, at places that it divides: less than any disk says of itself, so that records are
/// torn in their midst. The note of how far the disk has come is as long.
const WORD_BYTES: usize = 8;

/// Draws numbers from a seed (SplitMix64: every seed is as good as any other).
pub(super) struct Draw(pub(super) u64);

impl Draw {
    /// From 0 up to but not including `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % end as u64).unwrap()
    }
}

/// One thing that was done to the disk. Files are numbered in the order of their making.
#[derive(Clone, Debug)]
enum Operation {
    Create { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Write { file: usize, offset: usize, bytes: Vec<u8> },
    SetLength { file: usize, length: usize },
    Sync { file: usize },
    SyncFolder { folder: String },
}

/// What a disk holds.
#[derive(Clone, Debug, Default)]
struct Content {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
}

impl Content {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Create { name, file } => {
                self.names.insert(name.clone(), *file);
                self.make(*file);
            }
            Operation::Rename { from, to, file } => {
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            Operation::Write { file, offset, bytes } => {
                let file = self.make(*file);
                file.resize(file.len().max(offset + bytes.len()), 0);
                file[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Operation::SetLength { file, length } => self.make(*file).resize(*length, 0),
            Operation::Sync { .. } | Operation::SyncFolder { .. } => {}
        }
    }

    fn make(&mut self, file: usize) -> &mut Vec<u8> {
        self.files.resize(self.files.len().max(file + 1), Vec::new());
        &mut self.files[file]
    }

    /// A write of which only some words came to the disk.
    fn tear(&mut self, draw: &mut Draw, file: usize, offset: usize, bytes: &[u8]) {
        if draw.below(2) == 0 {
            // The length came there first.
            let file = self.make(file);
            file.resize(file.len().max(offset + bytes.len()), 0);
        }
        let (way, cut) = (draw.below(3), draw.below(bytes.len()));
        let mut begin = 0;
        while begin < bytes.len() {
            let end = bytes.len().min(begin + WORD_BYTES - (offset + begin) % WORD_BYTES);
            let came = match way {
                0 => end <= cut,
                1 => begin >= cut,
                _ => draw.below(2) == 0,
            };
            if came {
                let word = Operation::Write { file, offset: offset + begin, bytes: bytes[begin..end].to_vec() };
                self.apply(&word);
            }
            begin = end;
        }
    }
}

/// A disk in use. What is done to it is seen at once by all who look, as the system's cache shows it.
#[derive(Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// What it held when it was switched on.
    begun_with: Content,
    now: Content,
    operations: Vec<Operation>,
}

impl Inner {
    fn act(&mut self, operation: Operation) {
        self.now.apply(&operation);
        self.operations.push(operation);
    }
}

impl Disk {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many things were done to it.
    pub(super) fn operations(&self) -> usize {
        self.with(|inner| inner.operations.len())
    }

    /// How long a file is.
    pub(super) fn length(&self, name: &str) -> u64 {
        self.with(|inner| inner.now.files[inner.now.names[name]].len() as u64)
    }

    /// The disk as it is found when the process alone is killed after so many operations: all of them are seen, and
    /// what was not synced is not for good yet.
    pub(super) fn without_process_after(&self, count: usize) -> Disk {
        self.with(|inner| {
            let (begun_with, operations) = (inner.begun_with.clone(), inner.operations[..count].to_vec());
            let mut now = begun_with.clone();
            operations.iter().for_each(|operation| now.apply(operation));
            Disk(Arc::new(Mutex::new(Inner { begun_with, now, operations })))
        })
    }

    /// The disk as it is found when the power fails after so many operations, and what became of each that was not synced.
    pub(super) fn without_power_after(&self, count: usize, draw: &mut Draw) -> (Disk, Vec<String>) {
        self.with(|inner| {
            let mut left = inner.begun_with.clone();
            let mut waiting: Vec<&Operation> = Vec::new();
            for operation in &inner.operations[..count] {
                waiting.push(operation);
                waiting.retain(|waits| {
                    let synced = is_synced_by(waits, operation);
                    if synced {
                        left.apply(waits);
                    }
                    !synced
                });
            }
            let mut fates = Vec::new();
            for operation in waiting {
                let (fate, is_write) = (draw.below(3), matches!(operation, Operation::Write { .. }));
                match operation {
                    Operation::Write { file, offset, bytes } if fate == 0 => left.tear(draw, *file, *offset, bytes),
                    _ if fate <= 1 => left.apply(operation),
                    _ => {}
                }
                let fate = ["torn", "kept", "dropped"][if is_write { fate } else { fate.max(1) }];
                fates.push(format!("{fate}: {}", shown(operation)));
            }
            let inner = Inner { now: left.clone(), begun_with: left, operations: Vec::new() };
            (Disk(Arc::new(Mutex::new(inner))), fates)
        })
    }
}

/// Whether one operation is for good once another was done after it.
fn is_synced_by(waits: &Operation, by: &Operation) -> bool {
    match (waits, by) {
        (Operation::Write { file, .. } | Operation::SetLength { file, .. }, Operation::Sync { file: synced }) => {
            file == synced
        }
        (Operation::Create { name, .. } | Operation::Rename { to: name, .. }, Operation::SyncFolder { folder }) => {
            folder_of(name) == folder
        }
        (Operation::Sync { .. } | Operation::SyncFolder { .. }, _) => true,
        _ => false,
    }
}

fn shown(operation: &Operation) -> String {
    match operation {
        Operation::Write { file, offset, bytes } => format!("{} bytes to file {file} at {offset}", bytes.len()),
        other => format!("{other:?}"),
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(".", |(folder, _)| folder)
}

struct OpenFile {
    disk: Disk,
    file: usize,
}

impl Files for Disk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let found = self.with(|inner| inner.now.names.get(name).copied());
        let file = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(OpenFile { disk: self.clone(), file }))
    }

    fn open_or_create(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        self.with(|inner| {
            if !inner.now.names.contains_key(name) {
                inner.act(Operation::Create { name: name.to_owned(), file: inner.now.files.len() });
            }
        });
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|inner| {
            let file = *inner.now.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            inner.act(Operation::Rename { from: from.to_owned(), to: to.to_owned(), file });
            Ok(())
        })
    }

    fn sync_folder_of(&self, name: &str) -> io::Result<()> {
        self.with(|inner| inner.act(Operation::SyncFolder { folder: folder_of(name).to_owned() }));
        Ok(())
    }
}

impl LogFile for OpenFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.with(|inner| inner.now.files[self.file].len() as u64))
    }

    fn read_at(&self, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let offset = usize::try_from(offset).unwrap();
        let rest = |inner: &mut Inner| inner.now.files[self.file].iter().skip(offset).take(limit).copied().collect();
        Ok(self.disk.with(rest))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (offset, bytes) = (usize::try_from(offset).unwrap(), bytes.to_vec());
        self.disk.with(|inner| inner.act(Operation::Write { file: self.file, offset, bytes }));
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.disk.with(|inner| inner.act(Operation::SetLength { file: self.file, length }));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(|inner| inner.act(Operation::Sync { file: self.file }));
        Ok(())
    }

    fn set_aside(&self, _: u64, _: u64) -> rustix::io::Result<()> {
        Ok(())
    }
}
