//! An open regular file, shared by all who read, write and stream it.

use std::sync::Arc;

use super::Link;
use crate::metadata::Metadata;
use crate::order::{Changing, Looking, Order};
use crate::patience::{Patience, Stuck, patiently};
use crate::problem::Problem;
use crate::tree::{self, Piece};

/// The open file. It is closed when the last who uses it has gone.
#[derive(Debug)]
pub(crate) struct OpenFile<F> {
    file: Arc<F>,
    order: Order,
}

impl<F: tree::File> OpenFile<F> {
    pub(crate) fn new(file: F) -> OpenFile<F> {
        OpenFile { file: Arc::new(file), order: Order::default() }
    }

    /// Waits for the turn of a call that looks.
    pub(crate) async fn look(&self) -> Looking {
        self.order.look().await
    }

    /// Waits for the turn of a call that changes.
    pub(crate) async fn change(&self) -> Changing {
        self.order.change().await
    }

    /// What the tree says about it.
    pub(crate) async fn metadata(&self, link: &Link, turn: Looking) -> Result<Metadata, Problem> {
        match self.file.metadata(Patience::Memory) {
            Err(Stuck::WouldWait) => self.work(link, turn, |file| patiently(file.metadata(Patience::Disk))).await,
            result => patiently(result),
        }
    }

    /// Bytes in it now; nothing where only a disk thread may ask.
    pub(crate) fn size(&self) -> Result<Option<u64>, Problem> {
        self.file.size_at_once()
    }

    /// Reads until the buffer, which is as long as [`tree::ahead`] says, is full or the file ends, and says how much that is.
    pub(crate) async fn read_into(
        &self,
        link: &Link,
        turn: Looking,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, Problem> {
        if let Some(bytes) = self.file.read_at_once(offset, buffer) {
            return Ok(bytes);
        }
        let length = buffer.len();
        let reading = move |file: &F| {
            let mut bytes = vec![0; length];
            let read = file.read(offset, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        let bytes = self.work(link, turn, reading).await?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Reads on a disk thread, at most `limit` bytes.
    pub(crate) async fn piece(&self, link: &Link, turn: Looking, offset: u64, limit: usize) -> Result<Piece, Problem> {
        self.work(link, turn, move |file| file.piece(offset, limit)).await
    }

    /// Does work that may wait, on a disk thread, in its turn.
    pub(crate) async fn work<O, T, W>(&self, link: &Link, turn: O, work: W) -> Result<T, Problem>
    where
        O: Send + 'static,
        T: Send + 'static,
        W: FnOnce(&F) -> Result<T, Problem> + Send + 'static,
    {
        let file = self.file.clone();
        let working = move || {
            let _turn = turn;
            work(&file)
        };
        link.disk().run(working).await
    }
}

impl<F> Clone for OpenFile<F> {
    fn clone(&self) -> OpenFile<F> {
        OpenFile { file: self.file.clone(), order: self.order.clone() }
    }
}
