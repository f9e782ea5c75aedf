//! The index: the state as rows in a sled database, so that a start need not go through the whole log. Everything in it
//! can be rebuilt, and it is trusted only as far as it proves itself: it names the record up to which it goes, with that
//! record's hash, and a digest over all of its rows. Whatever does not fit, cannot be opened, panics or takes too long
//! is thrown away and rebuilt from the log.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::log::Hash;
use crate::state::State;
use crate::state::rows::{Change, Metadata};

/// Where the index is, in the powerbox's folder.
const FOLDER: &str = "index";
/// There while the index is opened: if it is there before, opening it killed the process the last time.
const OPENING: &str = "index.opening";
/// What the index says of itself. Row keys begin with a letter.
const METADATA_KEY: &[u8] = b"!";
/// What the database may keep in memory: the rows are in the state already.
const CACHE_BYTES: u64 = 8 << 20;
/// Opening takes milliseconds. What takes longer than this is damaged in a way that makes it search for ever.
const OPEN_PATIENCE: Duration = Duration::from_secs(20);

/// The index in use: rows go to a thread of its own.
pub struct Index {
    jobs: mpsc::Sender<Job>,
    trouble: Arc<Mutex<Option<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

enum Job {
    Write {
        changes: Vec<Change>,
        position: u64,
        head: Hash,
    },
    /// The same where nothing of what was there before is to stay.
    Replace {
        rows: Vec<Change>,
        position: u64,
        head: Hash,
    },
    Stop,
}

/// What was found at a start.
pub struct Found {
    /// For writing.
    pub index: Index,
    /// The state at some record, if the index holds one that is whole.
    pub state: Option<(State, Metadata)>,
    /// Why there is none, where there was an index.
    pub trouble: Option<String>,
}

/// Opens the index in the powerbox's folder. This never fails: what cannot be used is removed, and what cannot be
/// written is said by [`Index::trouble`].
#[must_use]
pub fn open(folder: &Path) -> Found {
    let (path, opening) = (folder.join(FOLDER), folder.join(OPENING));
    let mut trouble = opening.exists().then(|| "opening it ended the powerbox the last time".to_owned());
    if trouble.is_some() {
        remove(&path);
    }
    let existed = path.exists();
    let _ = std::fs::write(&opening, b"");
    let mut opened = open_in_time(&path);
    if let Err(why) = &opened {
        trouble = Some(why.clone());
        remove(&path);
        opened = open_in_time(&path);
    }
    let _ = std::fs::remove_file(&opening);
    match opened {
        Err(why) => {
            let (jobs, _) = mpsc::channel();
            let trouble = Some(trouble.unwrap_or(why));
            Found {
                index: Index { jobs, trouble: Arc::new(Mutex::new(trouble.clone())), thread: None },
                state: None,
                trouble,
            }
        }
        Ok(mut opened) => {
            let state = opened.state.take();
            if existed && state.is_none() && trouble.is_none() {
                trouble = opened.why.take();
            }
            Found { index: Index::start(opened, path), state, trouble }
        }
    }
}

impl Index {
    fn start(opened: Opened, path: PathBuf) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let trouble = Arc::new(Mutex::new(None));
        let told = trouble.clone();
        let mut table = opened.table;
        let spawned = std::thread::Builder::new().name("index".into()).spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(|| {
                while let Ok(job) = waiting.recv() {
                    match job {
                        Job::Write { changes, position, head } => table.write(changes, position, head)?,
                        Job::Replace { rows, position, head } => table.replace(rows, position, head)?,
                        Job::Stop => break,
                    }
                }
                Ok::<(), sled::Error>(())
            }));
            let why = match ended {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it panicked".to_owned(),
            };
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            // Whatever is left of it is not to be met again.
            remove(&path);
        });
        if let Err(error) = &spawned {
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        Self { jobs, trouble, thread: spawned.ok() }
    }

    /// Writes rows that are true as of a record, which must be durable.
    pub fn write(&self, changes: Vec<Change>, position: u64, head: Hash) {
        // If the thread has ended, `trouble` says why.
        let _ = self.jobs.send(Job::Write { changes, position, head });
    }

    /// Writes all the rows there are: what another log left here must not come back at the next start.
    pub fn replace(&self, rows: Vec<Change>, position: u64, head: Hash) {
        let _ = self.jobs.send(Job::Replace { rows, position, head });
    }

    /// Why nothing is written any more, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits, and closes it.
    pub fn stop(mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn remove(path: &Path) {
    let _ = std::fs::remove_dir_all(path);
}

struct Opened {
    table: Table,
    state: Option<(State, Metadata)>,
    /// Why there is no state.
    why: Option<String>,
}

/// Opens and reads it on a thread of its own, which a panic ends and a search without end does not take along.
fn open_in_time(path: &Path) -> Result<Opened, String> {
    let (tell, told) = mpsc::channel();
    let path = path.to_path_buf();
    std::thread::Builder::new()
        .name("index-open".into())
        .spawn(move || {
            let read = catch_unwind(|| read(&path)).unwrap_or_else(|_| Err("it panicked".into()));
            let _ = tell.send(read);
        })
        .map_err(|error| error.to_string())?;
    told.recv_timeout(OPEN_PATIENCE).unwrap_or_else(|_| Err("it could not be opened in time".into()))
}

fn read(path: &Path) -> Result<Opened, String> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let database = config.open().map_err(|error| error.to_string())?;
    let mut state = State::default();
    let mut metadata = None;
    let mut table = Table { database, rows: HashMap::new(), digest: Digest::default() };
    for row in table.database.iter() {
        let (key, value) = row.map_err(|error| error.to_string())?;
        if key == METADATA_KEY {
            metadata = Some(Metadata::decode(&value).map_err(|error| error.to_string())?);
            continue;
        }
        state.restore(&value).map_err(|error| error.to_string())?;
        let hash = row_hash(&key, &value);
        table.digest.add(&hash);
        table.rows.insert(key.to_vec(), hash);
    }
    let empty = table.rows.is_empty() && metadata.is_none();
    match metadata {
        Some(metadata) if metadata.digest == table.digest.bytes() => {
            state.position = metadata.position;
            Ok(Opened { table, state: Some((state, metadata)), why: None })
        }
        None if empty => Ok(Opened { table, state: None, why: Some("it was empty".into()) }),
        _ => Err("its rows are not those that were written".into()),
    }
}

/// The database and what is known of its rows.
struct Table {
    database: sled::Db,
    rows: HashMap<Vec<u8>, Hash>,
    digest: Digest,
}

impl Table {
    /// These rows and the metadata in the place of all others, in one piece.
    fn replace(&mut self, rows: Vec<Change>, position: u64, head: Hash) -> Result<(), sled::Error> {
        let mut changes: HashMap<Vec<u8>, Option<Vec<u8>>> = self.rows.keys().map(|key| (key.clone(), None)).collect();
        changes.extend(rows);
        self.write(changes.into_iter().collect(), position, head)
    }

    /// All changes and the metadata, in one piece.
    fn write(&mut self, changes: Vec<Change>, position: u64, head: Hash) -> Result<(), sled::Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            if let Some(old) = self.rows.remove(&key) {
                self.digest.remove(&old);
            }
            match value {
                Some(value) => {
                    let hash = row_hash(&key, &value);
                    self.digest.add(&hash);
                    batch.insert(key.as_slice(), value);
                    self.rows.insert(key, hash);
                }
                None => batch.remove(key.as_slice()),
            }
        }
        let metadata = Metadata { position, head, digest: self.digest.bytes() };
        batch.insert(METADATA_KEY, metadata.encode());
        self.database.apply_batch(batch)?;
        self.database.flush()?;
        Ok(())
    }
}

fn row_hash(key: &[u8], value: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("latchkey 2026 index row v1");
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    *hasher.finalize().as_bytes()
}

/// A digest over a set of rows that can be changed row by row: the sum of their hashes, in four lanes. It guards
/// against damage; whoever can write the index on purpose can write the log's folder as well.
#[derive(Clone, Copy, Debug, Default)]
struct Digest([u64; 4]);

impl Digest {
    fn add(&mut self, hash: &Hash) {
        self.each(hash, u64::wrapping_add);
    }

    fn remove(&mut self, hash: &Hash) {
        self.each(hash, u64::wrapping_sub);
    }

    fn each(&mut self, hash: &Hash, change: fn(u64, u64) -> u64) {
        for (lane, bytes) in self.0.iter_mut().zip(hash.chunks_exact(8)) {
            let mut number = [0; 8];
            number.copy_from_slice(bytes);
            *lane = change(*lane, u64::from_le_bytes(number));
        }
    }

    fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
