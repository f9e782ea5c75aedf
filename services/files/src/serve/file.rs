//! `File`.

use std::rc::Rc;

use capnp::Error;
use schema::filesystem_capnp::file::{self, Server};
use schema::stream_capnp::byte_stream;
use vat::Rights;

use super::Link;
use super::open_file::OpenFile;
use super::sink::{At, Sink};
use crate::limits::TRANSFER_LIMIT_BYTES;
use crate::problem::{Problem, Word};
use crate::rights::{Act, need};
use crate::tree::{self, ahead};

/// A reference to an open file, with rights of its own.
pub(crate) struct File<F> {
    file: OpenFile<F>,
    rights: Rights,
    link: Link,
}

impl<F: tree::File> File<F> {
    /// What is streamed at once, which has to fit a call.
    const CHUNK_BYTES: usize = {
        assert!(F::STREAM_CHUNK_BYTES <= TRANSFER_LIMIT_BYTES);
        F::STREAM_CHUNK_BYTES
    };

    pub(crate) fn new(file: OpenFile<F>, rights: Rights, link: Link) -> File<F> {
        File { file, rights, link }
    }

    /// Sends the file from `offset`, at most `length` bytes; how many that were.
    async fn send(&self, offset: u64, length: u64, sink: &byte_stream::Client) -> Result<u64, Error> {
        if self.file.size()?.is_none() {
            return self.send_pieces(offset, length, sink).await;
        }
        let mut sent = 0;
        while sent < length {
            match self.send_chunk(offset.saturating_add(sent), Self::chunk_of(length - sent), sink).await? {
                0 => break,
                chunk => sent += chunk as u64,
            }
        }
        Ok(sent)
    }

    /// Sends one chunk of the file from `offset`, at most `limit` bytes: as many as it says, 0 at the end of the file.
    async fn send_chunk(&self, offset: u64, limit: usize, sink: &byte_stream::Client) -> Result<usize, Error> {
        let turn = self.file.look().await;
        let ahead = ahead(self.file.size()?.unwrap_or(0), offset, limit);
        let mut request = sink.write_request();
        let buffer = request.get().init_bytes(fits_a_message(ahead));
        let read = self.file.read_into(&self.link, turn, offset, buffer).await?;
        if read < ahead {
            // It was cut meanwhile.
            let bytes = buffer[..read].to_vec();
            request = sink.write_request();
            request.get().set_bytes(&bytes);
        }
        if read > 0 {
            // Ready as long as what is on the way fits the stream's window, so a slow reader slows this loop.
            request.send().await?;
        }
        Ok(read)
    }

    /// The same where a disk thread makes what is sent: it works on the next piece while this one is on its way.
    async fn send_pieces(&self, offset: u64, length: u64, sink: &byte_stream::Client) -> Result<u64, Error> {
        let next = async |sent: u64| {
            let turn = self.file.look().await;
            let limit = Self::chunk_of(length - sent);
            Ok::<_, Error>(self.file.piece(&self.link, turn, offset.saturating_add(sent), limit).await?.bytes)
        };
        let mut sent = 0;
        let mut piece = next(sent).await?;
        while !piece.is_empty() {
            sent += piece.len() as u64;
            let send = async {
                let mut request = sink.write_request();
                request.get().set_bytes(&piece);
                request.send().await
            };
            // The first of them is begun first.
            let (following, arrived) = tokio::join!(next(sent), send);
            arrived?;
            piece = following?;
        }
        Ok(sent)
    }

    /// What is sent at once of so many bytes.
    fn chunk_of(length: u64) -> usize {
        usize::try_from(length).unwrap_or(usize::MAX).min(Self::CHUNK_BYTES)
    }
}

impl<F: tree::File> Server for File<F> {
    async fn stat(self: Rc<Self>, _: file::StatParams, mut results: file::StatResults) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let turn = self.file.look().await;
        self.file.metadata(&self.link, turn).await?.write_to(results.get().init_metadata());
        Ok(())
    }

    async fn read(self: Rc<Self>, params: file::ReadParams, mut results: file::ReadResults) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let (offset, length) = (params.get()?.get_offset(), params.get()?.get_length());
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(TRANSFER_LIMIT_BYTES);
        let turn = self.file.look().await;
        let mut results = results.get();
        let Some(size) = self.file.size()? else {
            let piece = self.file.piece(&self.link, turn, offset, length).await?;
            results.set_bytes(&piece.bytes);
            results.set_end(piece.end);
            return Ok(());
        };
        let ahead = ahead(size, offset, length);
        let buffer = results.reborrow().init_bytes(fits_a_message(ahead));
        let read = self.file.read_into(&self.link, turn, offset, buffer).await?;
        if read < ahead {
            // It was cut meanwhile.
            let bytes = buffer[..read].to_vec();
            results.set_bytes(&bytes);
        }
        results.set_end(self.file.size()?.is_some_and(|size| size <= offset.saturating_add(read as u64)));
        Ok(())
    }

    async fn write(self: Rc<Self>, params: file::WriteParams, _: file::WriteResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let params = params.get()?;
        let (offset, bytes) = (params.get_offset(), within_limit(params.get_bytes()?)?);
        let turn = self.file.change().await;
        Ok(self.file.work(&self.link, turn, move |file| file.write(offset, &bytes)).await?)
    }

    async fn append(self: Rc<Self>, params: file::AppendParams, mut results: file::AppendResults) -> Result<(), Error> {
        need(self.rights, Act::Append)?;
        let bytes = within_limit(params.get()?.get_bytes()?)?;
        let turn = self.file.change().await;
        let offset = self.file.work(&self.link, turn, move |file| file.append(&bytes)).await?;
        results.get().set_offset(offset);
        Ok(())
    }

    async fn truncate(self: Rc<Self>, params: file::TruncateParams, _: file::TruncateResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let size = params.get()?.get_size();
        let turn = self.file.change().await;
        Ok(self.file.work(&self.link, turn, move |file| file.truncate(size)).await?)
    }

    async fn sync(self: Rc<Self>, _: file::SyncParams, _: file::SyncResults) -> Result<(), Error> {
        let turn = self.file.change().await;
        Ok(self.file.work(&self.link, turn, tree::File::sync).await?)
    }

    async fn read_to(
        self: Rc<Self>,
        params: file::ReadToParams,
        mut results: file::ReadToResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let params = params.get()?;
        let (offset, sink) = (params.get_offset(), params.get_sink()?);
        let length = if params.get_length() == 0 { u64::MAX } else { params.get_length() };
        let sent = self.send(offset, length, &sink).await?;
        sink.end_request().send().promise.await?;
        results.get().set_sent(sent);
        Ok(())
    }

    async fn write_from(
        self: Rc<Self>,
        params: file::WriteFromParams,
        mut results: file::WriteFromResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Append)?;
        let at = if self.rights.write { At::Offset(params.get()?.get_offset()) } else { At::End };
        let sink = Sink::new(self.file.clone(), self.link.clone(), at);
        results.get().set_sink(self.link.exports().export(sink));
        Ok(())
    }
}

/// The bytes of a call, which its contract bounds, to be taken along to another thread.
///
/// # Errors
/// There are more than [`TRANSFER_LIMIT_BYTES`].
pub fn within_limit(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    if bytes.len() > TRANSFER_LIMIT_BYTES {
        let text = format!("a call takes at most {TRANSFER_LIMIT_BYTES} bytes");
        return Err(Problem::new(Word::TooLarge, text));
    }
    Ok(bytes.to_vec())
}

/// A length that is at most [`TRANSFER_LIMIT_BYTES`], as messages count.
fn fits_a_message(length: usize) -> u32 {
    const _: () = assert!(TRANSFER_LIMIT_BYTES <= u32::MAX as usize);
    u32::try_from(length).unwrap_or(u32::MAX)
}
