//! An open file of the store.

use files::keeping::Keeping;
use files::metadata::Metadata;
use files::patience::{Patience, Stuck};
use files::problem::Problem;
use files::tree::{File, Piece, ahead};

use super::held::{Held, Reach};
use super::limits::STREAM_CHUNK_BYTES;
use super::place::metadata;

/// While it is held, the file stays readable and writable, also when it is removed.
pub(super) struct OpenFile {
    held: Held,
    reach: Reach,
    _keeping: Keeping,
}

impl OpenFile {
    pub(super) fn new(held: Held, reach: Reach, keeping: Keeping) -> OpenFile {
        OpenFile { held, reach, _keeping: keeping }
    }

    fn size(&self) -> Result<u64, Problem> {
        Ok(self.reach.did(self.held.store.stat(self.held.node()))?.size)
    }
}

impl File for OpenFile {
    const STREAM_CHUNK_BYTES: usize = STREAM_CHUNK_BYTES;

    fn metadata(&self, patience: Patience) -> Result<Metadata, Stuck> {
        patience.for_disk()?;
        Ok(metadata(&self.reach.did(self.held.store.stat(self.held.node()))?))
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Problem> {
        self.reach.did(self.held.store.read(self.held.node(), offset, buffer))
    }

    fn piece(&self, offset: u64, limit: usize) -> Result<Piece, Problem> {
        let size = self.size()?;
        let mut bytes = vec![0; ahead(size, offset, limit)];
        let read = self.read(offset, &mut bytes)?;
        // Fewer than there were: it was cut meanwhile.
        let end = read < bytes.len() || size <= offset.saturating_add(read as u64);
        bytes.truncate(read);
        Ok(Piece { bytes, end })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        self.reach.did(self.held.store.write(self.held.node(), offset, bytes, self.reach.accounts.all()))
    }

    fn append(&self, bytes: &[u8]) -> Result<u64, Problem> {
        self.reach.did(self.held.store.append(self.held.node(), bytes, self.reach.accounts.all()))
    }

    fn truncate(&self, size: u64) -> Result<(), Problem> {
        self.reach.did(self.held.store.truncate(self.held.node(), size, self.reach.accounts.all()))
    }

    fn sync(&self) -> Result<(), Problem> {
        self.reach.did(self.held.store.sync())
    }
}
