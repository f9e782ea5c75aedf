//! The database under the index: sled, which is trusted with nothing. Whatever it returns as an error or by a panic means
//! that the index is built anew.

use std::fmt;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use super::super::error::StoreError;
use super::super::format::{Hash, Take};
use super::super::keys::OwnKeys;
use super::folder;
use super::kept::Retention;
use super::rows::{self, Row};
use super::transaction::{Changes, Transaction};

/// What sled may keep in memory. 1,000,000 files have about 3,000,000 rows of 100 bytes, of which a working set of a
/// tenth fits.
const CACHE_BYTES: u64 = 32 << 20;
/// How often sled writes by itself. What it had not written is replayed from the segments.
const FLUSH_EVERY_MS: u64 = 2_000;

/// How often opening is tried while sled ends: 2 s in all, where it takes milliseconds.
const OPEN_TRIES: usize = 200;

/// Of a sealed position: by chance, as of all that is sealed.
const NONCE_BYTES: usize = 24;

/// Rows that are kept in memory before they are written to the database together, which has a price for each time: it begins two
/// blocks of its own log. Written at once they take some 5 ms, in which readers wait. What is lost of them is replayed from the
/// segments.
const RECENT_ROWS: usize = 512;

/// A row: its key and what it says.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// The index is of no use.
#[derive(Debug)]
pub(crate) struct IndexError(pub(crate) String);

impl fmt::Display for IndexError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<IndexError> for StoreError {
    fn from(error: IndexError) -> Self {
        Self::Index(error.0)
    }
}

/// Up to which frame the index goes, and what it consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Where the last frame begins; 0, 0 before the first.
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
    /// After that frame.
    pub(crate) chain: Hash,
    /// How many rows there are.
    pub(crate) rows: u64,
    /// The sum of the keyed hashes of all rows.
    pub(crate) sum: Sum,
    /// The sum of the hashes of all nodes with their versions.
    pub(crate) versions: Sum,
}

/// A sum of hashes, as four numbers that wrap. It tells whether a multiset is the same. It is a defence against somebody who
/// chooses what is in it only where the hashes are keyed and nobody sees the sum, as that of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum(pub(crate) [u64; 4]);

impl Sum {
    pub(crate) fn of(key: &[u8], value: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
        Self::from_bytes(hasher.finalize().as_bytes())
    }

    pub(super) fn of_row(keys: &OwnKeys, key: &[u8], value: &[u8]) -> Self {
        Self::from_bytes(&keys.row_hash(key, value))
    }

    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut take = Take(bytes);
        Self([0; 4].map(|_: u8| take.u64().unwrap_or(0)))
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (at, number) in self.0.iter().enumerate() {
            bytes[at * 8..][..8].copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, other)| *mine = mine.wrapping_add(other));
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, other)| *mine = mine.wrapping_sub(other));
    }
}

impl Position {
    /// Whether these are all its rows.
    pub(super) fn is_of(&self, count: u64, sum: Sum) -> Result<(), IndexError> {
        let fits = count == self.rows && sum == self.sum;
        fits.then_some(()).ok_or_else(|| IndexError("its rows are not those that it had".into()))
    }

    /// Sealed: who cannot open it can neither make one nor see the sum.
    fn seal(&self, keys: &OwnKeys) -> Result<Vec<u8>, IndexError> {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(&self.segment.to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&self.sum.to_bytes());
        bytes.extend_from_slice(&self.versions.to_bytes());
        let nonce = random_nonce()?;
        let sealed = cipher(keys).encrypt(&XNonce::from(nonce), &bytes[..]);
        Ok([&nonce[..], &sealed.map_err(|_| IndexError("its position is too long".into()))?].concat())
    }

    fn open(sealed: &[u8], keys: &OwnKeys) -> Option<Self> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let bytes = cipher(keys).decrypt(&XNonce::from(*nonce), sealed).ok()?;
        let mut take = Take(&bytes);
        let position = Self {
            segment: take.u32()?,
            offset: take.u64()?,
            sequence: take.u64()?,
            chain: take.array()?,
            rows: take.u64()?,
            sum: Sum::from_bytes(&take.array()?),
            versions: Sum::from_bytes(&take.array()?),
        };
        take.end()?;
        Some(position)
    }
}

/// The open index.
pub(crate) struct Index {
    pub(super) database: sled::Db,
    pub(super) keys: OwnKeys,
    /// What the database does not have yet.
    recent: Changes,
    pub(crate) position: Position,
    pub(crate) retention: Arc<Retention>,
    /// There may be something left to take away.
    pub(crate) has_left: bool,
}

impl Index {
    /// Opens what is there, or makes it. What cannot be of the database is removed first, which is an error, too: whoever opens
    /// it builds it anew then.
    pub(crate) fn open(path: &Path, keys: &OwnKeys) -> Result<Self, IndexError> {
        folder::check_or_remove(path)?;
        guarded(|| {
            let database = open_database(path)?;
            let position = match database.get(rows::POSITION)? {
                Some(bytes) => {
                    Position::open(&bytes, keys).ok_or_else(|| IndexError("its position is damaged".into()))?
                }
                None if database.is_empty() => Position::default(),
                None => return Err(IndexError("it has no position".into())),
            };
            let (keys, recent, retention) = (keys.clone(), Changes::new(), Arc::default());
            let mut index = Self { database, keys, recent, position, retention, has_left: true };
            index.retention = Arc::new(Retention::load(&index)?);
            Ok(index)
        })
    }

    /// Takes what it keeps in memory from the rows again.
    pub(crate) fn reload(&mut self) -> Result<(), IndexError> {
        self.retention = Arc::new(Retention::load(self)?);
        Ok(())
    }

    /// Counts and sums all rows.
    pub(crate) fn verify(&self) -> Result<(), IndexError> {
        let (mut count, mut sum) = (0u64, Sum::default());
        self.scan(&[], &[], |key, value| {
            if *key != *rows::POSITION {
                count += 1;
                sum.add(Sum::of_row(&self.keys, key, value));
            }
            Ok(true)
        })?;
        self.position.is_of(count, sum)
    }

    /// Whether what it showed to be lost when it was built was written down, so that it can be used.
    pub(crate) fn need_judged(&self) -> Result<(), IndexError> {
        let unjudged = self.get(&[rows::UNJUDGED])?;
        unjudged.map_or(Ok(()), |_| Err(IndexError("it was not finished when it was built".into())))
    }

    /// Says whether it was.
    pub(crate) fn set_judged(&mut self, judged: bool) -> Result<(), IndexError> {
        let mut changes = Transaction::new(self);
        changes.set(vec![rows::UNJUDGED], (!judged).then(Vec::new))?;
        let ready = changes.ready()?;
        self.commit(ready)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, IndexError> {
        match self.recent.get(key) {
            Some(value) => Ok(value.as_deref().map(sled::IVec::from)),
            None => guarded(|| Ok(self.database.get(key)?)),
        }
    }

    /// The rows whose keys begin with these bytes, in order, from a key on. `each` says whether to go on.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, IndexError>,
    ) -> Result<(), IndexError> {
        guarded(|| {
            let range = (Bound::Included(from.max(prefix)), Bound::Unbounded);
            let mut recent =
                self.recent.range::<[u8], _>(range).take_while(|(key, _)| key.starts_with(prefix)).peekable();
            for row in self.database.range::<&[u8], _>(range) {
                let (key, value) = row?;
                if !key.starts_with(prefix) {
                    break;
                }
                let mut replaced = false;
                while let Some((newer, change)) = recent.next_if(|(newer, _)| newer[..] <= key[..]) {
                    replaced = newer[..] == key[..];
                    if let Some(value) = change
                        && !each(newer, value)?
                    {
                        return Ok(());
                    }
                }
                if !replaced && !each(&key, &value)? {
                    return Ok(());
                }
            }
            for (key, change) in recent {
                if let Some(value) = change
                    && !each(key, value)?
                {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The first or the last row between two keys, both included, that `skip` does not name.
    pub(super) fn first_between(
        &self,
        (from, to): (&[u8], &[u8]),
        last: bool,
        skip: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Pair>, IndexError> {
        let written = guarded(|| {
            let mut range = self.database.range::<&[u8], _>((Bound::Included(from), Bound::Included(to)));
            while let Some(row) = if last { range.next_back() } else { range.next() } {
                let (key, value) = row?;
                if !skip(&key) && !self.recent.contains_key(&key[..]) {
                    return Ok(Some((key.to_vec(), value.to_vec())));
                }
            }
            Ok(None)
        })?;
        let recent = first_of(&self.recent, (from, to), last, skip);
        Ok(nearer(written, recent, last))
    }

    /// The newest row of a key as of a sequence.
    pub(crate) fn newest(&self, key: &[u8], as_of: u64) -> Result<Option<(u64, Row)>, IndexError> {
        let found = self.first_between((&rows::at(key, as_of), &rows::at(key, 0)), false, |_| false)?;
        found.map(|(whole, value)| parsed(&whole, &value)).transpose()
    }

    /// The number in a row; 0 where there is none.
    pub(crate) fn number(&self, key: &[u8]) -> Result<u64, IndexError> {
        self.get(key)?.map_or(Ok(0), |value| parsed_number(&value))
    }

    /// Takes changes, wholly or not at all.
    pub(super) fn write(&mut self, mut changes: Changes, position: Position) -> Result<(), IndexError> {
        if self.recent.len() >= RECENT_ROWS {
            self.write_down()?;
        }
        self.recent.append(&mut changes);
        self.position = position;
        Ok(())
    }

    /// Gives the database what it does not have yet, at once.
    pub(crate) fn write_down(&mut self) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, value) in &self.recent {
            match value {
                Some(value) => batch.insert(&key[..], &value[..]),
                None => batch.remove(&key[..]),
            }
        }
        batch.insert(rows::POSITION, self.position.seal(&self.keys)?);
        guarded(|| Ok(self.database.apply_batch(batch)?))?;
        self.recent.clear();
        Ok(())
    }

    /// Brings to the disk what the database has.
    pub(crate) fn flush(&self) -> Result<(), IndexError> {
        guarded(|| self.database.flush().map(drop).map_err(IndexError::from))
    }
}

/// The first or the last change between two keys, both included, that leaves a row and that `skip` does not name.
pub(super) fn first_of(
    changes: &Changes,
    (from, to): (&[u8], &[u8]),
    last: bool,
    skip: impl Fn(&[u8]) -> bool,
) -> Option<Pair> {
    if from > to {
        return None;
    }
    let mut range = changes.range::<[u8], _>((Bound::Included(from), Bound::Included(to)));
    loop {
        match if last { range.next_back() } else { range.next() }? {
            (key, Some(value)) if !skip(key) => return Some((key.clone(), value.clone())),
            _ => {}
        }
    }
}

/// Of two rows that are the first of theirs, the first; the last where that is looked for.
pub(super) fn nearer(one: Option<Pair>, other: Option<Pair>, last: bool) -> Option<Pair> {
    match (one, other) {
        (Some(one), Some(other)) if (one.0 < other.0) == last => Some(other),
        (Some(one), Some(_)) => Some(one),
        (one, other) => one.or(other),
    }
}

pub(super) fn parsed(whole: &[u8], value: &[u8]) -> Result<(u64, Row), IndexError> {
    let (_, sequence) = rows::split(whole).ok_or_else(row_damaged)?;
    Ok((sequence, Row::decode(value).ok_or_else(row_damaged)?))
}

pub(super) fn parsed_number(value: &[u8]) -> Result<u64, IndexError> {
    value.try_into().map(u64::from_le_bytes).map_err(|_| row_damaged())
}

pub(crate) fn row_damaged() -> IndexError {
    IndexError("one of its rows is damaged".into())
}

fn cipher(keys: &OwnKeys) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&chacha20poly1305::Key::from(*keys.position))
}

fn random_nonce() -> Result<[u8; NONCE_BYTES], IndexError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| IndexError(error.to_string()))?;
    Ok(nonce)
}

/// Opens a database, or makes it.
pub(super) fn open_database(path: &Path) -> Result<sled::Db, sled::Error> {
    // It tidies its file less often: the index is small beside what it leads to.
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).mode(sled::Mode::HighThroughput);
    open_patiently(&config.flush_every_ms(Some(FLUSH_EVERY_MS)))
}

/// A database that was closed a moment ago may still be held by a thread of sled's that ends. Nobody else can have it:
/// the store's own lock is taken before.
fn open_patiently(config: &sled::Config) -> Result<sled::Db, sled::Error> {
    let mut tries = 0;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if tries < OPEN_TRIES && error.to_string().contains("lock") => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Turns a panic inside sled into an error.
pub(super) fn guarded<T>(act: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err(IndexError("its database panicked".into())))
}
