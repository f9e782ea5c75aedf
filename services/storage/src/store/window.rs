//! A file that is read from its beginning to its end, of which a piece is in memory at a time.

use super::error::Outcome;
use super::files::StoreFile;
use super::segments::read;

/// What is read at once: enough that a disk is read as fast as it can be. A frame may be longer, up to 12 MiB, and is in
/// memory as a whole.
const WINDOW_BYTES: usize = 1 << 20;

/// A piece of a file.
pub(crate) struct Window<'a> {
    file: &'a dyn StoreFile,
    /// Nothing is read from here on.
    end: u64,
    begin: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(file: &'a dyn StoreFile, end: u64) -> Self {
        Self { file, end, begin: 0, bytes: Vec::new() }
    }

    /// So many bytes from an offset on; fewer at the end.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> Outcome<&[u8]> {
        let length = length.min(usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX));
        if self.within(offset) < length {
            self.load(offset, length)?;
        }
        let from = usize::try_from(offset.saturating_sub(self.begin)).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or(&[]);
        Ok(&rest[..rest.len().min(length)])
    }

    /// What is in memory from an offset on, which is at least that much, but at the end.
    pub(crate) fn from(&mut self, offset: u64, least: usize) -> Outcome<&[u8]> {
        let there = self.within(offset);
        self.at(offset, if there < least { WINDOW_BYTES.max(least) } else { there })
    }

    /// How much is in memory from an offset on.
    fn within(&self, offset: u64) -> usize {
        let from = offset.checked_sub(self.begin).and_then(|from| usize::try_from(from).ok());
        from.map_or(0, |from| self.bytes.len().saturating_sub(from))
    }

    fn load(&mut self, offset: u64, length: usize) -> Outcome<()> {
        let rest = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        self.bytes.resize(length.max(WINDOW_BYTES).min(rest), 0);
        self.begin = offset;
        match read(self.file, offset, &mut self.bytes) {
            Ok(got) => self.bytes.truncate(got),
            Err(error) => {
                self.bytes.clear();
                return Err(error.into());
            }
        }
        Ok(())
    }
}
