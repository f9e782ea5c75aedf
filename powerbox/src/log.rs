//! The log: what was decided, in order, for good. It is the truth of a node; everything else is rebuilt from it.
//!
//! One file, `log/records`. It begins with a header (magic, format, an identity of its own made of chance); then records, each
//! framed and bound to all before it:
//!
//! ```text
//! 'L' 'K' 'R' 'D'  length u32  hash 32 bytes  payload (an Entry of schema/internal/log.capnp)
//! hash = BLAKE3(context; hash before, position, payload); before the first: the hash of the header
//! ```
//!
//! A thread of its own writes and syncs what came together in one go, and then notes in `log/synced` how far the disk
//! has it. That note tells a torn tail from damage: bytes that are wrong *before* it were once whole on the disk, so
//! somebody or something changed them, and the log is refused; wrong bytes after it were never acknowledged to anyone,
//! and are cut off at the next start. The note itself is not synced: losing it leaves an older one, which is true as well.
//! Checkpoints, records themselves, are signed by the node's keys, in their own process: who keeps one elsewhere can prove
//! later that nothing before it was changed. The log goes on while a signature is waited for, so that a checkpoint is of a
//! record a little before it.

mod files;
mod frame;
mod scan;
mod verify;
mod writer;

use std::path::Path;

use tokio::sync::watch;

use files::{Files, OnDisk};
use frame::HEADER_BYTES;
pub use frame::Hash;
pub(crate) use scan::decode;
pub use scan::{LogError, Scanned};
pub use verify::{Known, Verification, verify};
pub use writer::{RESERVE_BYTES, Reached};

use crate::record::{Entry, RECORD_LIMIT_BYTES, Record};

/// Where the records are, in the powerbox's folder.
pub const RECORDS: &str = "log/records";
/// How far the disk is known to have it: an offset, 8 bytes, little endian.
pub const SYNCED: &str = "log/synced";
/// A checkpoint is of a record at most so far before it: many more than are written while a signature is waited for.
pub const CHECKPOINT_REACH: u64 = 4_096;
/// What the keys sign checkpoints for, see `keys.capnp`.
pub const LOG_PURPOSE: &str = "log";
/// A checkpoint after so many records at most: at about 200 bytes each, a removed tail of 50 kB goes unsigned.
pub const CHECKPOINT_EVERY: u64 = 256;
/// The place of every so-many-th record is remembered, to begin reading near any position.
const PLACES_EVERY: u64 = 64;

/// The log, open for appending.
pub struct Log {
    writer: writer::Writer,
    head: Hash,
    position: u64,
    signed: u64,
    last_at_ms: u64,
    /// Offset of record 1, 65, 129, …
    places: Vec<u64>,
    end_offset: u64,
}

/// A record that was not written, as it would not be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its length.
    pub bytes: usize,
}

impl std::fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "it takes {} bytes in the log, and a record has {RECORD_LIMIT_BYTES} at most", self.bytes)
    }
}

impl std::error::Error for TooLong {}

/// A log that was just opened.
pub struct Opened {
    /// For appending.
    pub log: Log,
    /// Every whole record, by the hash that binds it.
    pub scanned: Scanned,
}

impl Log {
    /// Opens the log in the powerbox's folder, or makes one; reads all of it and checks the chain. `each` sees every
    /// record in order with its hash. A torn tail is cut off.
    pub fn open(
        folder: &Path,
        each: impl FnMut(u64, &Hash, &[u8]) -> Result<(), LogError>,
    ) -> Result<Opened, LogError> {
        let (opened, turns) = Self::open_in(&OnDisk(folder.to_path_buf()), each)?;
        turns.start()?;
        Ok(opened)
    }

    /// The same with other files, and with what writes still to be started.
    fn open_in(
        files: &dyn Files,
        each: impl FnMut(u64, &Hash, &[u8]) -> Result<(), LogError>,
    ) -> Result<(Opened, writer::Turns), LogError> {
        let (file, scanned) = scan::open(files, each)?;
        let (writer, turns) = writer::Writer::new(files, file, scanned.records, scanned.end_offset)?;
        let log = Log {
            head: scanned.head,
            position: scanned.records,
            signed: 0,
            last_at_ms: 0,
            places: scanned.places.clone(),
            end_offset: scanned.end_offset,
            writer,
        };
        Ok((Opened { log, scanned }, turns))
    }

    /// Appends a record. It is durable once [`Log::reached`] says so for its position. One that no start could read
    /// again is refused, and nothing is written.
    pub fn append(&mut self, at_ms: u64, by: &str, record: Record) -> Result<Entry, TooLong> {
        let (position, at_ms) = (self.position + 1, self.last_at_ms.max(at_ms));
        let entry = Entry { position, at_ms, by: by.to_owned(), record };
        let payload = entry.encode();
        if payload.len() > RECORD_LIMIT_BYTES {
            return Err(TooLong { bytes: payload.len() });
        }
        if let Record::Checkpoint(checkpoint) = &entry.record {
            self.signed = checkpoint.position;
        }
        (self.position, self.last_at_ms) = (position, at_ms);
        let (frame, hash) = frame::record(&self.head, position, &payload);
        if (self.position - 1).is_multiple_of(PLACES_EVERY) {
            self.places.push(self.end_offset);
        }
        self.end_offset += frame.len() as u64;
        self.head = hash;
        self.writer.append(self.position, frame);
        Ok(entry)
    }

    /// How many records are not signed yet.
    #[must_use]
    pub fn unsigned(&self) -> u64 {
        // The checkpoint itself is not counted.
        self.position.saturating_sub(self.signed).saturating_sub(1)
    }

    /// Remembers, from the state, what was signed and when the last record was made.
    pub fn resume(&mut self, signed: u64, last_at_ms: u64) {
        self.signed = signed;
        self.last_at_ms = last_at_ms;
    }

    /// How far the log has reached the disk.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Reached> {
        self.writer.reached()
    }

    /// Whether there is room for ordinary records, or only for those that take something away.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.writer.has_room(self.end_offset)
    }

    /// The last record's position.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The last record's hash.
    #[must_use]
    pub fn head(&self) -> Hash {
        self.head
    }

    /// An offset at or before the record after `position`, and which record is there.
    #[must_use]
    pub fn place_after(&self, position: u64) -> (u64, u64) {
        let index = usize::try_from(position / PLACES_EVERY).unwrap_or(usize::MAX);
        match self.places.get(index.min(self.places.len().saturating_sub(1))) {
            Some(offset) => (*offset, index.min(self.places.len() - 1) as u64 * PLACES_EVERY + 1),
            None => (HEADER_BYTES as u64, 1),
        }
    }
}

/// What is signed of the log up to a record: its position (8 bytes, little endian), and its hash, which binds the log's
/// identity and all before it.
#[must_use]
pub fn checkpoint_message(position: u64, head: &Hash) -> Vec<u8> {
    [&position.to_le_bytes()[..], head].concat()
}

/// Reads up to `limit` records after `after`, from a place that [`Log::place_after`] gave. `reached` bounds what is
/// read: what is not durable is not shown.
pub fn read(
    folder: &Path,
    place: (u64, u64),
    after: u64,
    limit: usize,
    reached: u64,
) -> Result<Vec<(Entry, Hash)>, LogError> {
    let file = OnDisk(folder.to_path_buf()).open(RECORDS).map_err(LogError::Io)?;
    scan::read_from(&*file, place, after, limit, reached)
}

/// Reads records 1 to `reached` once more.
pub fn replay(
    folder: &Path,
    reached: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let file = OnDisk(folder.to_path_buf()).open(RECORDS).map_err(LogError::Io)?;
    let mut seen =
        |position: u64, _: &Hash, payload: &[u8]| if position <= reached { each(position, payload) } else { Ok(()) };
    scan::whole(&*file, 0, &mut seen).map(drop)
}

#[cfg(test)]
mod tests;
