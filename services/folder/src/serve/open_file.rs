//! An open regular file, shared by all who read, write and stream it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::Link;
use super::order::{Changing, Looking, Order};
use crate::content;
use crate::open_count::OpenSlot;
use crate::problem::Problem;

/// A file whose size the system does not know beforehand (those of /proc) is read in pieces of this size.
const UNSIZED_READ_BYTES: usize = 16 << 10;

/// The open file. It is closed when the last who uses it has gone.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    shared: Arc<Shared>,
    order: Order,
}

#[derive(Debug)]
struct Shared {
    descriptor: OwnedFd,
    _slot: OpenSlot,
}

impl OpenFile {
    pub(crate) fn new(descriptor: OwnedFd, slot: OpenSlot) -> OpenFile {
        OpenFile { shared: Arc::new(Shared { descriptor, _slot: slot }), order: Order::default() }
    }

    /// Waits for the turn of a call that looks.
    pub(crate) async fn look(&self) -> Looking {
        self.order.look().await
    }

    /// Waits for the turn of a call that changes.
    pub(crate) async fn change(&self) -> Changing {
        self.order.change().await
    }

    /// What the system says about it.
    pub(crate) fn stat(&self) -> Result<rustix::fs::Stat, Problem> {
        Ok(rustix::fs::fstat(&self.shared.descriptor)?)
    }

    /// Bytes in it now.
    pub(crate) fn size(&self) -> Result<u64, Problem> {
        content::size(self.shared.descriptor.as_fd())
    }

    /// How many bytes there are from `offset` on, `limit` at most: by this much a reply is made large before it is
    /// read into. Reading may find fewer.
    pub(crate) fn ahead(&self, offset: u64, limit: usize) -> Result<usize, Problem> {
        let left = self.size()?.saturating_sub(offset);
        Ok(usize::try_from(left).unwrap_or(usize::MAX).min(limit))
    }

    /// Reads until the buffer is full or the file ends, and says how much that is.
    pub(crate) async fn read_into(
        &self,
        link: &Link,
        turn: Looking,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, Problem> {
        if let Some(bytes) = content::read_in_memory(self.shared.descriptor.as_fd(), offset, buffer) {
            return Ok(bytes);
        }
        let bytes = self.read_from_disk(link, turn, offset, buffer.len()).await?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// For a file that has bytes beyond the size that the system gives for it: those of /proc, or one that grew just now.
    pub(crate) async fn read_unsized(
        &self,
        link: &Link,
        turn: Looking,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, Problem> {
        let mut buffer = vec![0; limit.min(UNSIZED_READ_BYTES)];
        let read = self.read_into(link, turn, offset, &mut buffer).await?;
        buffer.truncate(read);
        Ok(buffer)
    }

    async fn read_from_disk(&self, link: &Link, turn: Looking, offset: u64, length: usize) -> Result<Vec<u8>, Problem> {
        let shared = self.shared.clone();
        let reading = move || {
            let _turn = turn;
            let mut buffer = vec![0; length];
            let read = content::read(shared.descriptor.as_fd(), offset, &mut buffer)?;
            buffer.truncate(read);
            Ok(buffer)
        };
        link.disk.run(reading).await
    }

    /// Does what changes the file, on a disk thread.
    pub(crate) async fn work<T, W>(&self, link: &Link, turn: Changing, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce(std::os::fd::BorrowedFd<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let shared = self.shared.clone();
        let working = move || {
            let _turn = turn;
            work(shared.descriptor.as_fd())
        };
        link.disk.run(working).await
    }
}
