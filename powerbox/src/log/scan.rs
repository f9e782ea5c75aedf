//! Reading the log: all of it at a start, checking the chain and cutting off a torn tail; parts of it for listings.

use std::io;
use std::sync::Arc;

use super::files::{Files, LogFile, create_whole};
use super::frame::{self, FRAME_LIMIT_BYTES, Front, HEADER_BYTES, Hash, RECORD_HEAD_BYTES};
use super::{PLACES_EVERY, RECORDS, SYNCED};
use crate::record::{Entry, RecordError};

/// Why the log was not opened.
#[derive(Debug)]
pub enum LogError {
    /// It was written by a newer version.
    Newer {
        /// The format found.
        format: u32,
    },
    /// It is not a log at all.
    NotALog,
    /// What was once on the disk is not there any more.
    Damaged {
        /// The first record that is wrong.
        position: u64,
        /// Where, in bytes.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A record is whole, and this version does not understand it.
    Record {
        /// Which.
        position: u64,
        /// Why.
        why: String,
    },
    /// A checkpoint does not prove what it says.
    Unproven {
        /// Which record.
        position: u64,
        /// What it is.
        why: &'static str,
    },
    /// The file system refused.
    Io(std::io::Error),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const RESTORE: &str = "Restore the state folder from a copy, or start with a new one";
        match self {
            LogError::Newer { format } => write!(
                formatter,
                "the state was written by a newer version (log format {format}, this version reads {}). Use that version: \
                 older ones would lose what they do not know",
                frame::FORMAT
            ),
            LogError::NotALog => write!(formatter, "log/records is not a log. {RESTORE}"),
            LogError::Damaged { position, offset, what } => write!(
                formatter,
                "the log is damaged at record {position} (byte {offset}): {what}. What it says of later grants and \
                 revocations cannot be trusted, so the node does not start. {RESTORE}"
            ),
            LogError::Record { position, why } => {
                write!(formatter, "record {position} of the log is {why}. Use the version that wrote it")
            }
            LogError::Unproven { position, why } => write!(formatter, "record {position} of the log is {why}"),
            LogError::Io(error) => write!(
                formatter,
                "the log could not be read or written: {error}. Look at the disk and at the state folder's permissions"
            ),
        }
    }
}

impl std::error::Error for LogError {}

/// What sees each record: its position, its hash, its bytes.
type Each<'a> = dyn FnMut(u64, &Hash, &[u8]) -> Result<(), LogError> + 'a;

/// What a whole read of the log found.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// How many records there are.
    pub records: u64,
    /// The last one's hash.
    pub head: Hash,
    /// Where it ends.
    pub end_offset: u64,
    /// Bytes of a torn tail that were cut off.
    pub torn_bytes: u64,
    /// Offset of record 1, 65, 129, …
    pub(super) places: Vec<u64>,
}

/// Opens or makes the log, for reading all of it and then appending.
pub(super) fn open(
    files: &dyn Files,
    mut each: impl FnMut(u64, &Hash, &[u8]) -> Result<(), LogError>,
) -> Result<(Arc<dyn LogFile>, Scanned), LogError> {
    match files.open(RECORDS) {
        // A half of a header would be no log at any later start.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut identity = [0; 32];
            getrandom::fill(&mut identity).map_err(|error| LogError::Io(io::Error::other(error.to_string())))?;
            create_whole(files, RECORDS, &frame::header(&identity)).map_err(LogError::Io)?;
        }
        Err(error) => return Err(LogError::Io(error)),
        // Whoever made it may have been killed before its name was for good.
        Ok(_) => files.sync_folder_of(RECORDS).map_err(LogError::Io)?,
    }
    let file = files.open_or_create(RECORDS).map_err(LogError::Io)?;
    let scanned = whole(&*file, synced(files), &mut each)?;
    if scanned.torn_bytes > 0 {
        file.set_length(scanned.end_offset).and_then(|()| file.sync()).map_err(LogError::Io)?;
    }
    Ok((file, scanned))
}

/// How far the disk is known to have had the log; 0 where nobody noted it.
pub(super) fn synced(files: &dyn Files) -> u64 {
    let bytes = files.open(SYNCED).and_then(|file| file.read_at(0, 8)).unwrap_or_default();
    bytes.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Reads all of the log.
pub(super) fn whole(file: &dyn LogFile, synced: u64, each: &mut Each<'_>) -> Result<Scanned, LogError> {
    let total = file.length().map_err(LogError::Io)?;
    let mut window = Window::at(file, 0);
    let head = read_head(&mut window, synced)?;
    let mut scanned = Scanned { records: 0, head, end_offset: HEADER_BYTES as u64, torn_bytes: 0, places: Vec::new() };
    loop {
        let (position, offset) = (scanned.records + 1, scanned.end_offset);
        let bytes = window.look()?;
        let what = match frame::front(bytes) {
            _ if bytes.is_empty() => None,
            Front::Record { hash, payload } if frame::chain(&scanned.head, position, payload) == hash => {
                each(position, &hash, payload)?;
                let length = RECORD_HEAD_BYTES + payload.len();
                if (position - 1).is_multiple_of(PLACES_EVERY) {
                    scanned.places.push(offset);
                }
                scanned.records = position;
                scanned.head = hash;
                scanned.end_offset += length as u64;
                window.pass(length);
                continue;
            }
            Front::Record { .. } => Some("its hash does not follow from the records before it"),
            Front::Short => Some("it ends early"),
            Front::Other => Some("there is no record where one should begin"),
        };
        if offset < synced {
            let what = what.unwrap_or("records are missing from here on");
            return Err(LogError::Damaged { position, offset, what });
        }
        scanned.torn_bytes = total.saturating_sub(offset);
        return Ok(scanned);
    }
}

/// Checks the header; the hash before the first record.
fn read_head(window: &mut Window<'_>, synced: u64) -> Result<Hash, LogError> {
    let Some(header) = window.look()?.first_chunk::<HEADER_BYTES>().copied() else {
        let what = "the file is shorter than its header";
        return Err(if synced > 0 { LogError::Damaged { position: 0, offset: 0, what } } else { LogError::NotALog });
    };
    window.pass(HEADER_BYTES);
    let format = frame::read_header(&header).ok_or(LogError::NotALog)?;
    if format > frame::FORMAT {
        return Err(LogError::Newer { format });
    }
    Ok(frame::genesis(&header))
}

/// Reads up to `limit` records after `after`, beginning at a place (offset and position).
pub(super) fn read_from(
    file: &dyn LogFile,
    place: (u64, u64),
    after: u64,
    limit: usize,
    reached: u64,
) -> Result<Vec<(Entry, Hash)>, LogError> {
    let (offset, mut position) = place;
    let mut window = Window::at(file, offset);
    let mut found = Vec::new();
    while found.len() < limit && position <= reached {
        let bytes = window.look()?;
        let Front::Record { hash, payload } = frame::front(bytes) else {
            return Err(LogError::Damaged { position, offset: window.offset(), what: "it cannot be read" });
        };
        if position > after {
            found.push((decode(position, payload)?, hash));
        }
        let length = RECORD_HEAD_BYTES + payload.len();
        window.pass(length);
        position += 1;
    }
    Ok(found)
}

/// The record in a payload, which must be the one at this position.
pub(crate) fn decode(position: u64, payload: &[u8]) -> Result<Entry, LogError> {
    let refused = |error: RecordError| LogError::Record { position, why: error.to_string() };
    let entry = Entry::decode(payload).map_err(refused)?;
    if entry.position == position {
        Ok(entry)
    } else {
        Err(LogError::Record { position, why: format!("numbered {}", entry.position) })
    }
}

/// A window onto the file, at least one frame wide where there is that much.
struct Window<'a> {
    file: &'a dyn LogFile,
    buffer: Vec<u8>,
    start: usize,
    /// Of the window's start in the file.
    at: u64,
    at_end: bool,
}

/// How much is read at once.
const WINDOW_BYTES: usize = 4 * FRAME_LIMIT_BYTES;

impl<'a> Window<'a> {
    fn at(file: &'a dyn LogFile, offset: u64) -> Self {
        Self { file, buffer: Vec::new(), start: 0, at: offset, at_end: false }
    }

    fn offset(&self) -> u64 {
        self.at
    }

    /// What stands here: a whole frame, or everything up to the end.
    fn look(&mut self) -> Result<&[u8], LogError> {
        if self.buffer.len() - self.start < FRAME_LIMIT_BYTES && !self.at_end {
            self.buffer.drain(..self.start);
            self.start = 0;
            let want = WINDOW_BYTES - self.buffer.len();
            let got = self.file.read_at(self.at + self.buffer.len() as u64, want).map_err(LogError::Io)?;
            self.at_end = got.len() < want;
            self.buffer.extend_from_slice(&got);
        }
        Ok(&self.buffer[self.start..])
    }

    fn pass(&mut self, bytes: usize) {
        self.start += bytes;
        self.at += bytes as u64;
    }
}
