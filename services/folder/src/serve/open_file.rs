//! An open regular file, shared by all who read, write and stream it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::Link;
use super::order::{Changing, Looking, Order};
use crate::content::{self, Piece};
use crate::held::Held;
use crate::metadata::Metadata;
use crate::problem::Problem;

/// The open file. It is closed when the last who uses it has gone.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    held: Arc<Held>,
    order: Order,
}

impl OpenFile {
    pub(crate) fn new(held: Held) -> OpenFile {
        OpenFile { held: Arc::new(held), order: Order::default() }
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
    pub(crate) async fn metadata(&self, link: &Link, turn: Looking) -> Result<Metadata, Problem> {
        let metadata = |file: BorrowedFd<'_>| Ok(Metadata::of(&rustix::fs::fstat(file)?));
        if self.held.is_local() { metadata(self.held.as_fd()) } else { self.work(link, turn, metadata).await }
    }

    /// Bytes in it now; nothing where only a disk thread may ask.
    pub(crate) fn size(&self) -> Result<Option<u64>, Problem> {
        self.held.is_local().then(|| content::size(self.held.as_fd())).transpose()
    }

    /// Reads until the buffer, which is as long as [`content::ahead`] says, is full or the file ends, and says how much that is.
    pub(crate) async fn read_into(
        &self,
        link: &Link,
        turn: Looking,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, Problem> {
        if let Some(bytes) = content::read_in_memory(self.held.as_fd(), offset, buffer) {
            return Ok(bytes);
        }
        let length = buffer.len();
        let reading = move |file: BorrowedFd<'_>| {
            let mut bytes = vec![0; length];
            let read = content::read(file, offset, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        let bytes = self.work(link, turn, reading).await?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Reads on a disk thread, at most `limit` bytes.
    pub(crate) async fn piece(&self, link: &Link, turn: Looking, offset: u64, limit: usize) -> Result<Piece, Problem> {
        self.work(link, turn, move |file| content::piece(file, offset, limit)).await
    }

    /// Does work that may wait, on a disk thread, in its turn.
    pub(crate) async fn work<O, T, W>(&self, link: &Link, turn: O, work: W) -> Result<T, Problem>
    where
        O: Send + 'static,
        T: Send + 'static,
        W: FnOnce(BorrowedFd<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let held = self.held.clone();
        let working = move || {
            let _turn = turn;
            work(held.as_fd())
        };
        link.disk.run(working).await
    }
}
