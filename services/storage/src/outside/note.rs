//! The note that is kept with a node: who reads it elsewhere, and, at the root, how many exports there were.
//!
//! | field | |
//! | --- | --- |
//! | format `u8` | 1 |
//! | exports `u64` | of the store; 0 but at the root |
//! | readers `u16` | at most 256 |
//! | each reader: key `[32]`, expiry `u64`, since `u64` | milliseconds since 1970; 2⁶⁴−1 is no expiry |
//!
//! Numbers are little-endian. No note at all is one without exports and readers.

use caps::{NEVER_MS, ReaderPublic};
use zeroize::Zeroizing;

use super::OutsideError;
use crate::store::NOTE_LIMIT_BYTES;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 1 + 8 + 2;
/// When the time of a reader who is being removed was over: long ago.
const OVER_MS: u64 = 1;
const READER_BYTES: usize = 32 + 8 + 8;

/// A node has at most so many readers of its own: as many as a sealed node has entries.
pub const READER_LIMIT: usize = caps::sealed_node::READER_LIMIT;
const _: () = assert!(HEAD_BYTES + READER_LIMIT * READER_BYTES <= NOTE_LIMIT_BYTES);

/// Somebody who was given a readcap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Whom readcaps are sealed to.
    pub key: ReaderPublic,
    /// In milliseconds since 1970, or [`NEVER_MS`]: of the last readcap.
    pub expires_ms: u64,
    /// In milliseconds since 1970: of the first.
    pub since_ms: u64,
}

impl Reader {
    /// Whether exports have an entry for them.
    pub(super) fn reads(&self, now_ms: u64) -> bool {
        self.expires_ms == NEVER_MS || self.expires_ms > now_ms
    }
}

/// What is noted of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) exports: u64,
    pub(super) readers: Vec<Reader>,
}

impl Note {
    /// Reads what [`encode`](Self::encode) wrote, and nothing else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Note, OutsideError> {
        if bytes.is_empty() {
            return Ok(Note::default());
        }
        Note::read(bytes).ok_or(OutsideError::Note)
    }

    fn read(bytes: &[u8]) -> Option<Note> {
        let (format, rest) = bytes.split_first()?;
        let (exports, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let count = usize::from(u16::from_le_bytes(*count));
        if *format != FORMAT || count > READER_LIMIT || rest.len() != count * READER_BYTES {
            return None;
        }
        let readers = rest.chunks_exact(READER_BYTES).map(read_reader).collect::<Option<_>>()?;
        Some(Note { exports: u64::from_le_bytes(*exports), readers })
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES + self.readers.len() * READER_BYTES));
        bytes.push(FORMAT);
        bytes.extend(self.exports.to_le_bytes());
        // At most READER_LIMIT, by `add`.
        bytes.extend((self.readers.len() as u16).to_le_bytes());
        for reader in &self.readers {
            bytes.extend(reader.key.0);
            bytes.extend(reader.expires_ms.to_le_bytes());
            bytes.extend(reader.since_ms.to_le_bytes());
        }
        bytes
    }

    /// Adds a reader, or gives one that is there the new expiry. Those whose time is over make room.
    pub(super) fn add(&mut self, reader: Reader, now_ms: u64) -> Result<(), OutsideError> {
        if let Some(there) = self.readers.iter_mut().find(|there| there.key == reader.key) {
            there.expires_ms = reader.expires_ms;
            return Ok(());
        }
        if self.readers.len() == READER_LIMIT {
            self.readers.retain(|reader| reader.reads(now_ms));
        }
        if self.readers.len() == READER_LIMIT {
            return Err(OutsideError::TooManyReaders);
        }
        self.readers.push(reader);
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &ReaderPublic) -> Result<(), OutsideError> {
        self.readers.retain(|reader| reader.key != *key);
        Ok(())
    }

    /// From now on this reader's time is over.
    pub(super) fn bar(&mut self, key: &ReaderPublic) -> Result<(), OutsideError> {
        let reader = self.readers.iter_mut().find(|reader| reader.key == *key).ok_or(OutsideError::NoReader)?;
        reader.expires_ms = OVER_MS;
        Ok(())
    }

    pub(super) fn is_reader(&self, key: &ReaderPublic, now_ms: u64) -> bool {
        self.readers.iter().any(|reader| reader.key == *key && reader.reads(now_ms))
    }

    /// The number of a new export.
    pub(super) fn count_export(&mut self) -> Result<u64, OutsideError> {
        self.exports = self.exports.checked_add(1).ok_or(OutsideError::Note)?;
        Ok(self.exports)
    }
}

fn read_reader(bytes: &[u8]) -> Option<Reader> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (expires, since) = rest.split_first_chunk()?;
    let number = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    Some(Reader { key: ReaderPublic(*key), expires_ms: number(expires), since_ms: number(since.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn reader(key: u8, expires_ms: u64) -> Reader {
        Reader { key: ReaderPublic([key; 32]), expires_ms, since_ms: 5 }
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_nothing_else_is() {
        let mut note = Note::default();
        assert_eq!(Note::decode(&[]).unwrap(), note);
        assert_eq!(note.count_export().unwrap(), 1);
        note.add(reader(1, 10), 0).unwrap();
        note.add(reader(2, NEVER_MS), 0).unwrap();
        let bytes = note.encode();
        assert_eq!(Note::decode(&bytes).unwrap(), note);
        for length in 1..bytes.len() {
            assert!(Note::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Note::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Note::decode(&[&[2], &bytes[1..]].concat()).is_err(), "of a later version");
    }

    #[test]
    fn readers_are_kept_once_and_those_whose_time_is_over_make_room() {
        let mut note = Note::default();
        for key in 0..=255 {
            note.add(reader(key, if key < 2 { 10 } else { NEVER_MS }), 0).unwrap();
        }
        note.add(reader(7, 99), 0).unwrap();
        assert_eq!((note.readers.len(), note.readers[7].expires_ms), (READER_LIMIT, 99));
        let key = std::array::from_fn(|at| at as u8);
        let new = Reader { key: ReaderPublic(key), ..reader(0, NEVER_MS) };
        assert!(matches!(note.add(new, 9), Err(OutsideError::TooManyReaders)));
        note.add(new, 10).unwrap();
        assert_eq!(note.readers.len(), READER_LIMIT - 1);
        note.bar(&new.key).unwrap();
        assert!(!note.is_reader(&new.key, 2));
        assert!(note.is_reader(&ReaderPublic([7; 32]), 98) && !note.is_reader(&ReaderPublic([7; 32]), 99));
        note.remove(&new.key).unwrap();
        assert!(matches!(note.bar(&new.key), Err(OutsideError::NoReader)));
    }
}
