//! A folder in memory that can lose power after any of its operations, or fail at one.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::whole::{Folder, NewFile};

/// One step of writing, as the disk saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create(String),
    Write(String, Vec<u8>),
    SyncFile(String),
    Rename(String, String),
    Remove(String),
    SyncFolder,
}

#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// How many of them are for good.
    synced: usize,
}

#[derive(Debug, Default)]
struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    operations: Vec<Operation>,
    fails_at: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Shared>>);

impl Disk {
    /// One on which this has happened, to ask what would be left of it.
    pub(super) fn of(operations: Vec<Operation>) -> Disk {
        Disk(Arc::new(Mutex::new(Shared { operations, ..Shared::default() })))
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        self.0.lock().unwrap().operations.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().files.keys().cloned().collect()
    }

    pub(super) fn contents(&self, name: &str) -> Vec<u8> {
        self.0.lock().unwrap().files[name].clone()
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        self.0.lock().unwrap().files.insert(name.to_owned(), bytes.to_vec());
    }

    /// The operation after so many others, counted from the beginning, fails once.
    pub(super) fn fail_at(&self, operation: usize) {
        self.0.lock().unwrap().fails_at = Some(operation);
    }

    /// Every disk that there may be when power is lost after so many operations: names that were not made sure of are there
    /// up to any point in the order in which they were given, and of bytes that were not, a part is there, or zeros.
    pub(super) fn without_power_after(&self, operations: usize) -> Vec<Disk> {
        let done = &self.operations()[..operations];
        let sure = done.iter().rposition(|operation| *operation == Operation::SyncFolder).map_or(0, |at| at + 1);
        (sure..=operations).flat_map(|names_until| Disk::left(done, names_until)).collect()
    }

    fn left(done: &[Operation], names_until: usize) -> Vec<Disk> {
        let mut files = Vec::<File>::new();
        // Names as programs saw them, and as they are on the disk.
        let (mut seen, mut kept) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
        for (at, operation) in done.iter().enumerate() {
            match operation {
                Operation::Create(_) => files.push(File::default()),
                Operation::Write(name, bytes) => files[seen[name.as_str()]].bytes.extend(bytes),
                Operation::SyncFile(name) => {
                    let file = &mut files[seen[name.as_str()]];
                    file.synced = file.bytes.len();
                }
                _ => {}
            }
            let names = if at < names_until { vec![&mut seen, &mut kept] } else { vec![&mut seen] };
            for names in names {
                match operation {
                    Operation::Create(name) => drop(names.insert(name, files.len() - 1)),
                    Operation::Rename(from, to) => {
                        let file = names.remove(from.as_str()).unwrap();
                        names.insert(to, file);
                    }
                    Operation::Remove(name) => drop(names.remove(name.as_str())),
                    _ => {}
                }
            }
        }
        let tears: [fn(&File) -> Vec<u8>; 4] = [
            |file| file.bytes.clone(),
            |file| file.bytes[..file.synced].to_vec(),
            |file| file.bytes[..file.synced.max(file.bytes.len() / 2)].to_vec(),
            |file| {
                let mut bytes = file.bytes.clone();
                bytes[file.synced..].fill(0);
                bytes
            },
        ];
        let disk = |tear: fn(&File) -> Vec<u8>| {
            let disk = Disk::default();
            kept.iter().for_each(|(name, file)| disk.put(name, &tear(&files[*file])));
            disk
        };
        tears.map(disk).into()
    }

    fn note(&self, operation: Operation) -> io::Result<()> {
        let mut shared = self.0.lock().unwrap();
        if shared.fails_at == Some(shared.operations.len()) {
            shared.fails_at = None;
            return Err(io::Error::other("a failure, on purpose"));
        }
        shared.operations.push(operation);
        Ok(())
    }
}

impl Folder for Disk {
    fn read(&self, name: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let shared = self.0.lock().unwrap();
        Ok(shared.files.get(name).map(|bytes| bytes.iter().copied().take(limit + 1).collect()))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn NewFile + '_>> {
        assert!(!self.names().iter().any(|there| there == name), "{name} was there");
        self.note(Operation::Create(name.to_owned()))?;
        self.put(name, &[]);
        Ok(Box::new(Making { disk: self.clone(), name: name.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.note(Operation::Rename(from.to_owned(), to.to_owned()))?;
        let mut shared = self.0.lock().unwrap();
        let bytes = shared.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        shared.files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.names().iter().any(|there| there == name) {
            self.note(Operation::Remove(name.to_owned()))?;
            self.0.lock().unwrap().files.remove(name);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.note(Operation::SyncFolder)
    }
}

struct Making {
    disk: Disk,
    name: String,
}

impl NewFile for Making {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.note(Operation::Write(self.name.clone(), bytes.to_vec()))?;
        self.disk.0.lock().unwrap().files.get_mut(&self.name).unwrap().extend(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.note(Operation::SyncFile(self.name.clone()))
    }
}
