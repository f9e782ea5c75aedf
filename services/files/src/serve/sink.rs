//! The `ByteStream` that `writeFrom` hands out: bytes go to the file in order. Dropped before `end`, it leaves in the
//! file what was written; nobody waits for its result, so nobody is told.

use std::rc::Rc;

use capnp::Error;
use schema::stream_capnp::byte_stream::{self, Server};
use tokio::sync::Mutex;

use super::Link;
use super::file::within_limit;
use super::open_file::OpenFile;
use crate::problem::{Problem, Word};
use crate::tree;

/// Where a stream's bytes go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// To this offset, one after the other.
    Offset(u64),
    /// To the end, wherever that is by then.
    End,
}

/// A stream into a file.
pub(crate) struct Sink<F> {
    file: OpenFile<F>,
    link: Link,
    at: At,
    /// Held by one call at a time, first come, first served.
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    taken_bytes: u64,
    ended: bool,
    broken: Option<Problem>,
}

impl Progress {
    /// The first error is that of every later call.
    fn unbroken(&self) -> Result<(), Problem> {
        self.broken.clone().map_or(Ok(()), Err)
    }
}

impl<F: tree::File> Sink<F> {
    pub(crate) fn new(file: OpenFile<F>, link: Link, at: At) -> Sink<F> {
        Sink { file, link, at, progress: Mutex::default() }
    }

    async fn take(&self, bytes: Result<Vec<u8>, Problem>, taken_bytes: u64) -> Result<u64, Problem> {
        let bytes = bytes?;
        let length = bytes.len() as u64;
        let at = self.at;
        let turn = self.file.change().await;
        let writing = move |file: &F| match at {
            At::Offset(start) => file.write(start.saturating_add(taken_bytes), &bytes),
            At::End => file.append(&bytes).map(drop),
        };
        self.file.work(&self.link, turn, writing).await?;
        Ok(length)
    }
}

impl<F: tree::File> Server for Sink<F> {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        let mut progress = self.progress.lock().await;
        progress.unbroken()?;
        if progress.ended {
            return Err(Problem::new(Word::Io, "the stream was ended").into());
        }
        let bytes = within_limit(params.get()?.get_bytes()?);
        // Should this call be dropped in the middle, nobody knows what of it was written.
        progress.broken = Some(Problem::new(Word::Io, "a write of this stream was cancelled"));
        let result = self.take(bytes, progress.taken_bytes).await;
        progress.broken = result.as_ref().err().cloned();
        progress.taken_bytes += result?;
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        let mut progress = self.progress.lock().await;
        progress.unbroken()?;
        progress.ended = true;
        results.get().set_total(progress.taken_bytes);
        Ok(())
    }
}
