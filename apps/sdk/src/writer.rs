//! Writing a file as a stream.

use crate::error::Result;
use crate::file::PIECE_LIMIT_BYTES;
use crate::origin::Origin;
use schema::stream_capnp::byte_stream;
use std::fmt;

/// Writes a file in order: see [`File::writer`](crate::File::writer). What was written counts only after
/// [`finish`](FileWriter::finish); dropping it before means that the rest was lost.
#[must_use = "what was written counts only after `finish`"]
pub struct FileWriter {
    origin: Origin,
    sink: byte_stream::Client,
    path: Vec<u8>,
}

impl FileWriter {
    pub(crate) fn new(origin: Origin, sink: byte_stream::Client, path: Vec<u8>) -> FileWriter {
        FileWriter { origin, sink, path }
    }

    /// The next bytes. Returns as soon as more may be given, before they are written; an error of an earlier call may
    /// show here.
    ///
    /// # Errors
    /// [`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace) and others of writing. After one the stream is broken.
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        for piece in bytes.as_ref().chunks(PIECE_LIMIT_BYTES) {
            let mut request = self.sink.write_request();
            request.get().set_bytes(piece);
            if let Err(error) = request.send().await {
                return Err(self.origin.explain(&error, &self.path).await);
            }
        }
        Ok(())
    }

    /// No more follows. Returns how many bytes were written, once all are.
    ///
    /// # Errors
    /// The first one of the stream.
    pub async fn finish(self) -> Result<u64> {
        let response = self.origin.settle(self.sink.end_request().send().promise, &self.path).await?;
        Ok(response.get().map_err(self.origin.malformed(&self.path))?.get_total())
    }
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileWriter").field("path", &String::from_utf8_lossy(&self.path)).finish()
    }
}
