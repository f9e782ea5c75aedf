//! A disk that loses power, or fails. It records every write, name and sync in their order, and tells what is left when the
//! power fails after any number of them: what was synced is there; of what was not, all, nothing or any part.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::{Files, StoreFile};
use super::draw::Draw;

/// What is written whole or not at all, at places that it divides: less than any disk says of itself.
const WORD_BYTES: usize = 8;
/// Room on this disk.
const FREE_BYTES: u64 = 1 << 40;

/// One thing that was done to the disk. Files are numbered in the order of their making.
#[derive(Clone, Debug)]
enum Operation {
    Create { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Remove { name: String },
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
            Operation::Remove { name } => drop(self.names.remove(name)),
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

/// What fails next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A write, after half of it was written.
    Write(rustix::io::Errno),
    /// The same, after so many others.
    LaterWrite(u32, rustix::io::Errno),
    /// A write, after half of it was written, and whatever would cut that half off.
    WriteForGood(rustix::io::Errno),
    /// A sync.
    Sync,
    /// Every read, until it is told otherwise.
    Read,
    /// So many reads.
    Reads(u32),
}

/// A disk in use. What is done to it is seen at once by all who look, as the system's cache shows it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// What it held when it was switched on.
    begun_with: Content,
    now: Content,
    operations: Vec<Operation>,
    fault: Option<Fault>,
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

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.with(|inner| inner.fault = fault);
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.with(|inner| inner.fault)
    }

    /// How many things were done to it.
    pub(crate) fn operations(&self) -> usize {
        self.with(|inner| inner.operations.len())
    }

    /// The disk as the next process finds it when this one is killed after so many operations: what was not synced is there
    /// and is still not synced.
    pub(crate) fn without_process_after(&self, count: usize) -> Disk {
        self.with(|inner| {
            let begun_with = inner.begun_with.clone();
            let mut left = Inner { now: begun_with.clone(), begun_with, ..Inner::default() };
            inner.operations[..count].iter().for_each(|operation| left.act(operation.clone()));
            Disk(Arc::new(Mutex::new(left)))
        })
    }

    /// The disk as it is found when the power fails after so many operations.
    pub(crate) fn without_power_after(&self, count: usize, draw: &mut Draw) -> Disk {
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
            let bias = draw.below(3);
            for operation in waiting {
                // Mostly kept, mostly dropped, or mixed.
                let fate = match bias {
                    0 => [1, 1, 1, 0][draw.below(4)],
                    1 => [2, 2, 2, 1][draw.below(4)],
                    _ => draw.below(3),
                };
                match operation {
                    Operation::Write { file, offset, bytes } if fate == 0 => left.tear(draw, *file, *offset, bytes),
                    _ if fate <= 1 => left.apply(operation),
                    _ => {}
                }
            }
            Disk(Arc::new(Mutex::new(Inner { now: left.clone(), begun_with: left, ..Inner::default() })))
        })
    }
}

/// Whether one operation is for good once another was done after it.
fn is_synced_by(waits: &Operation, by: &Operation) -> bool {
    match (waits, by) {
        (Operation::Write { file, .. } | Operation::SetLength { file, .. }, Operation::Sync { file: synced }) => {
            file == synced
        }
        (
            Operation::Create { name, .. } | Operation::Rename { to: name, .. } | Operation::Remove { name },
            Operation::SyncFolder { folder },
        ) => folder_of(name) == folder,
        (Operation::Sync { .. } | Operation::SyncFolder { .. }, _) => true,
        _ => false,
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

struct OpenFile {
    disk: Disk,
    file: usize,
}

impl Files for Disk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        let found = self.with(|inner| inner.now.names.get(name).copied());
        let file = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(OpenFile { disk: self.clone(), file }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoreFile>> {
        self.with(|inner| {
            if inner.now.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists);
            }
            inner.act(Operation::Create { name: name.to_owned(), file: inner.now.files.len() });
            Ok(())
        })?;
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|inner| {
            let file = *inner.now.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            inner.act(Operation::Rename { from: from.to_owned(), to: to.to_owned(), file });
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|inner| {
            let there = inner.now.names.contains_key(name);
            inner.act(Operation::Remove { name: name.to_owned() });
            there.then_some(()).ok_or(io::ErrorKind::NotFound.into())
        })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let inside = |name: &String| folder_of(name) == folder;
        let short = |name: &String| name.rsplit('/').next().unwrap().to_owned();
        Ok(self.with(|inner| inner.now.names.keys().filter(|name| inside(name)).map(short).collect()))
    }

    fn make_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.with(|inner| inner.act(Operation::SyncFolder { folder: folder.to_owned() }));
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(FREE_BYTES)
    }

    fn lock(&self, _: &str) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(Some(Box::new(())))
    }
}

impl StoreFile for OpenFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.with(|inner| inner.now.files[self.file].len() as u64))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.with(|inner| {
            if let Some(fault @ (Fault::Read | Fault::Reads(_))) = inner.fault {
                inner.fault = match fault {
                    Fault::Reads(1) => None,
                    Fault::Reads(more) => Some(Fault::Reads(more - 1)),
                    fault => Some(fault),
                };
                return Err(rustix::io::Errno::IO.into());
            }
            let file = &inner.now.files[self.file];
            let rest = file.get(usize::try_from(offset).unwrap()..).unwrap_or(&[]);
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            Ok(got)
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.disk.with(|inner| {
            if let Some(Fault::LaterWrite(others, errno)) = inner.fault {
                inner.fault =
                    Some(others.checked_sub(1).map_or(Fault::Write(errno), |left| Fault::LaterWrite(left, errno)));
            }
            if let Some(Fault::Write(errno) | Fault::WriteForGood(errno)) = inner.fault {
                if let Some(Fault::Write(_)) = inner.fault {
                    inner.fault = None;
                }
                let bytes = bytes[..bytes.len() / 2].to_vec();
                inner.act(Operation::Write { file: self.file, offset, bytes });
                return Err(errno.into());
            }
            inner.act(Operation::Write { file: self.file, offset, bytes: bytes.to_vec() });
            Ok(())
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.disk.with(|inner| {
            if let Some(Fault::WriteForGood(errno)) = inner.fault {
                return Err(errno.into());
            }
            inner.act(Operation::SetLength { file: self.file, length });
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(|inner| {
            if inner.fault == Some(Fault::Sync) {
                inner.fault = None;
                return Err(rustix::io::Errno::IO.into());
            }
            inner.act(Operation::Sync { file: self.file });
            Ok(())
        })
    }
}
