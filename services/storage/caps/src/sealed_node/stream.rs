//! Content that comes in pieces, for what should not be in memory whole: checked against what was signed and, with the key,
//! opened on the way.

use super::content::Sectors;
use super::verify::Verified;
use super::{NodeError, OpenError, SECTOR_BYTES};
use crate::node::Readable;
use std::fmt;

/// Why content that came in pieces is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// It is not what was signed.
    Node(NodeError),
    /// It is what was signed, and does not open with the key.
    Open(OpenError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::Node(error) => error.fmt(formatter),
            StreamError::Open(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for StreamError {}

/// Takes the sealed content of a verified node from its beginning on. Nothing that came out counts before
/// [`end`](Self::end) says so: only the whole is known to be what was signed.
pub struct ContentReader<'a> {
    verified: &'a Verified,
    sectors: Option<Sectors>,
    /// What is not a whole sector yet.
    pending: Vec<u8>,
    next: u64,
    taken_bytes: u64,
    hasher: blake3::Hasher,
    /// The first sector that did not open.
    closed: Option<u64>,
}

impl<'a> ContentReader<'a> {
    /// Checks only, which takes no key.
    pub fn checking(verified: &'a Verified) -> ContentReader<'a> {
        let (pending, hasher) = (vec![], blake3::Hasher::new());
        ContentReader { verified, sectors: None, pending, next: 0, taken_bytes: 0, hasher, closed: None }
    }

    /// Opens it as well.
    pub fn opening(verified: &'a Verified, readable: &Readable) -> Result<ContentReader<'a>, OpenError> {
        let sectors = Some(verified.sectors_for(readable)?);
        Ok(ContentReader { sectors, ..ContentReader::checking(verified) })
    }

    /// Takes the next sealed bytes; what they open to is added to `plain`. Fails as soon as there are more than there should be.
    pub fn push(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), StreamError> {
        self.taken_bytes = self.taken_bytes.saturating_add(sealed.len() as u64);
        if self.taken_bytes > self.verified.sealed_bytes() {
            return Err(StreamError::Node(NodeError::OtherLength));
        }
        self.hasher.update(sealed);
        if self.sectors.is_none() {
            return Ok(());
        }
        while !sealed.is_empty() {
            let taken = sealed.len().min(SECTOR_BYTES - self.pending.len());
            self.pending.extend_from_slice(&sealed[..taken]);
            sealed = &sealed[taken..];
            if self.pending.len() == SECTOR_BYTES {
                self.open(plain);
            }
        }
        Ok(())
    }

    /// There is no more. Without an error everything was what was signed, and opened.
    pub fn end(mut self, plain: &mut Vec<u8>) -> Result<(), StreamError> {
        if !self.pending.is_empty() {
            self.open(plain);
        }
        if self.taken_bytes != self.verified.sealed_bytes() {
            return Err(StreamError::Node(NodeError::OtherLength));
        }
        if self.hasher.finalize().as_bytes() != self.verified.content() {
            return Err(StreamError::Node(NodeError::OtherContent));
        }
        self.closed.map_or(Ok(()), |sector| Err(StreamError::Open(OpenError::Sector(sector))))
    }

    fn open(&mut self, plain: &mut Vec<u8>) {
        let opened = self.sectors.as_ref().and_then(|sectors| sectors.open(self.next, &self.pending));
        match opened {
            Some(opened) => plain.extend(opened),
            // Whether the key or the bytes are wrong shows at the end.
            None => self.closed = self.closed.or(Some(self.next)),
        }
        self.next += 1;
        self.pending.clear();
    }
}
