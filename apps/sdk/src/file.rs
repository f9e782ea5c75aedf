//! Files.

use crate::error::{Error, ErrorKind, Result};
use crate::folder::READ_LIMIT_BYTES;
use crate::metadata::Metadata;
use crate::origin::Origin;
use crate::stream::FileStream;
use crate::writer::FileWriter;
use schema::filesystem_capnp::file;
use std::fmt;

/// The largest piece that one call reads or writes, as `filesystem.capnp` says.
pub const PIECE_LIMIT_BYTES: usize = 1 << 20;

/// An open file. It stays the same file when it is renamed or removed. Dropping it closes it: what was written is then
/// with the operating system, and on disk after [`sync`](File::sync).
///
/// A file does not reconnect: after [`ErrorKind::Disconnected`] it has to be opened again.
#[derive(Clone)]
pub struct File {
    pub(crate) origin: Origin,
    pub(crate) client: file::Client,
    pub(crate) path: Vec<u8>,
}

impl File {
    pub(crate) fn new(origin: Origin, client: file::Client, path: Vec<u8>) -> File {
        File { origin, client, path }
    }

    /// What is known of it now.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], or the file's grant is gone.
    pub async fn metadata(&self) -> Result<Metadata> {
        let response = self.origin.settle(self.client.stat_request().send().promise, &self.path).await?;
        let read = response.get().and_then(|results| results.get_metadata());
        Ok(Metadata::read_from(read.map_err(self.origin.malformed(&self.path))?))
    }

    /// Up to `length` bytes from `offset`, at most [`PIECE_LIMIT_BYTES`]. Fewer come only at the file's end.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], or the file's grant is gone.
    pub async fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut request = self.client.read_request();
        request.get().set_offset(offset);
        request.get().set_length(u32::try_from(length.min(PIECE_LIMIT_BYTES)).unwrap_or(u32::MAX));
        let response = self.origin.settle(request.send().promise, &self.path).await?;
        let bytes = response.get().and_then(|results| results.get_bytes());
        Ok(bytes.map_err(self.origin.malformed(&self.path))?.to_vec())
    }

    /// Its content from the beginning, piece by piece, with the next pieces already on their way.
    #[must_use]
    pub fn stream(&self) -> FileStream {
        self.stream_from(0)
    }

    /// The same from `offset` on.
    #[must_use]
    pub fn stream_from(&self, offset: u64) -> FileStream {
        FileStream::of_file(self.clone(), offset)
    }

    /// Its whole content, at most [`READ_LIMIT_BYTES`].
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], and those of [`read_at`](File::read_at).
    pub async fn read_all(&self) -> Result<Vec<u8>> {
        self.stream().collect(READ_LIMIT_BYTES).await
    }

    /// Writes bytes at `offset`; a gap before them reads as zeros. More than [`PIECE_LIMIT_BYTES`] are written in
    /// pieces, so that an error may leave a part written.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::AppendOnly`], [`ErrorKind::NoSpace`], [`ErrorKind::TooLarge`].
    pub async fn write_at(&self, offset: u64, bytes: impl AsRef<[u8]>) -> Result<()> {
        let mut at = offset;
        for piece in bytes.as_ref().chunks(PIECE_LIMIT_BYTES) {
            let mut request = self.client.write_request();
            request.get().set_offset(at);
            request.get().set_bytes(piece);
            self.origin.settle(request.send().promise, &self.path).await?;
            at = at.saturating_add(piece.len() as u64);
        }
        Ok(())
    }

    /// Adds bytes at the end, in one piece, whoever else writes. Returns where they went.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::NoSpace`], and [`ErrorKind::TooLarge`] for more than
    /// [`PIECE_LIMIT_BYTES`].
    pub async fn append(&self, bytes: impl AsRef<[u8]>) -> Result<u64> {
        let bytes = bytes.as_ref();
        if bytes.len() > PIECE_LIMIT_BYTES {
            let detail =
                format!("{} bytes at once; at most {PIECE_LIMIT_BYTES} can be added in one piece", bytes.len());
            return Err(Error::new(ErrorKind::TooLarge, String::from_utf8_lossy(&self.path), detail));
        }
        let mut request = self.client.append_request();
        request.get().set_bytes(bytes);
        let response = self.origin.settle(request.send().promise, &self.path).await?;
        Ok(response.get().map_err(self.origin.malformed(&self.path))?.get_offset())
    }

    pub(crate) async fn append_all(&self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE_LIMIT_BYTES) {
            self.append(piece).await?;
        }
        Ok(())
    }

    /// A stream that writes from `offset` on, with as much under way as the link takes. Where the grant only allows to
    /// add, everything goes to the end.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], or the file's grant is gone.
    pub async fn writer(&self, offset: u64) -> Result<FileWriter> {
        let mut request = self.client.write_from_request();
        request.get().set_offset(offset);
        let response = self.origin.settle(request.send().promise, &self.path).await?;
        let sink = response.get().and_then(|results| results.get_sink()).map_err(self.origin.malformed(&self.path))?;
        Ok(FileWriter::new(self.origin.clone(), sink, self.path.clone()))
    }

    /// Cuts it to that size, or extends it with zeros.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::AppendOnly`], [`ErrorKind::NoSpace`].
    pub async fn truncate(&self, size: u64) -> Result<()> {
        let mut request = self.client.truncate_request();
        request.get().set_size(size);
        self.origin.settle(request.send().promise, &self.path).await?;
        Ok(())
    }

    /// Waits until content and size are on disk.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], [`ErrorKind::NoSpace`].
    pub async fn sync(&self) -> Result<()> {
        self.origin.settle(self.client.sync_request().send().promise, &self.path).await?;
        Ok(())
    }
}

impl fmt::Debug for File {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("File").field("path", &String::from_utf8_lossy(&self.path)).finish()
    }
}
