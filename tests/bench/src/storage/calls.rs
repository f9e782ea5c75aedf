//! The calls of a client that holds a directory.

use capnp::Error;
use capnp::capability::Rc;
use schema::filesystem_capnp::{directory, file};
use schema::stream_capnp::byte_stream;
use std::cell::Cell;
use vat::Exports;

/// Makes an empty file, which must not be there.
pub(crate) async fn create(at: &directory::Client, path: &str) -> Result<file::Client, Error> {
    let mut request = at.create_request();
    request.get().set_path(path.as_bytes());
    request.get().set_exclusive(true);
    request.send().promise.await?.get()?.get_file()
}

/// Makes a directory, which must not be there.
pub(crate) async fn make_directory(at: &directory::Client, path: &str) -> Result<directory::Client, Error> {
    let mut request = at.make_directory_request();
    request.get().set_path(path.as_bytes());
    request.send().promise.await?.get()?.get_directory()
}

/// Makes a file with content, in one go.
pub(crate) async fn create_with(at: &directory::Client, path: &str, bytes: &[u8]) -> Result<(), Error> {
    let mut request = at.create_request();
    request.get().set_path(path.as_bytes());
    request.get().set_exclusive(true);
    let made = request.send();
    let file = made.pipeline.get_file();
    let (made, written) = futures::join!(made.promise, write(&file, 0, bytes));
    made?;
    written
}

/// How many bytes the file at the path has.
pub(crate) async fn stat(at: &directory::Client, path: &str) -> Result<u64, Error> {
    let mut request = at.stat_request();
    request.get().set_path(path.as_bytes());
    Ok(request.send().promise.await?.get()?.get_metadata()?.get_size())
}

pub(crate) async fn rename(at: &directory::Client, from: &str, to: &str) -> Result<(), Error> {
    let mut request = at.rename_request();
    request.get().set_from(from.as_bytes());
    request.get().set_to(to.as_bytes());
    request.send().promise.await.map(drop)
}

pub(crate) async fn remove(at: &directory::Client, path: &str) -> Result<(), Error> {
    let mut request = at.remove_request();
    request.get().set_path(path.as_bytes());
    request.send().promise.await.map(drop)
}

/// Reads, and looks whether as much came as is there.
pub(crate) async fn read(file: &file::Client, offset: u64, length: usize) -> Result<(), Error> {
    let mut request = file.read_request();
    request.get().set_offset(offset);
    request.get().set_length(u32::try_from(length).unwrap_or(u32::MAX));
    let response = request.send().promise.await?;
    whole(response.get()?.get_bytes()?.len() as u64, length as u64)
}

pub(crate) async fn write(file: &file::Client, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut request = file.write_request();
    request.get().set_offset(offset);
    request.get().set_bytes(bytes);
    request.send().promise.await.map(drop)
}

pub(crate) async fn sync(file: &file::Client) -> Result<(), Error> {
    file.sync_request().send().promise.await.map(drop)
}

/// Streams so many times these bytes into a file, and syncs it.
pub(crate) async fn put(file: &file::Client, chunk: &[u8], times: u64) -> Result<(), Error> {
    let sink = file.write_from_request().send().pipeline.get_sink();
    for _ in 0..times {
        let mut request = sink.write_request();
        request.get().set_bytes(chunk);
        request.send().await?;
    }
    let total = sink.end_request().send().promise.await?.get()?.get_total();
    whole(total, chunk.len() as u64 * times)?;
    sync(file).await
}

/// Streams all of a file back.
pub(crate) async fn get(file: &file::Client, exports: &Exports, length: u64) -> Result<(), Error> {
    let taken = std::rc::Rc::new(Cell::new(0));
    let mut request = file.read_to_request();
    request.get().set_sink(exports.export(Counting(taken.clone())));
    request.send().promise.await?;
    whole(taken.get(), length)
}

/// Streams a file back whose content is these bytes again and again, and compares.
pub(crate) async fn compare(file: &file::Client, exports: &Exports, chunk: &[u8]) -> Result<(), Error> {
    let comparing = Comparing { expected: chunk.to_vec(), at: Cell::new(0) };
    let mut request = file.read_to_request();
    request.get().set_sink(exports.export(comparing));
    request.send().promise.await.map(drop)
}

fn whole(came: u64, expected: u64) -> Result<(), Error> {
    if came == expected { Ok(()) } else { Err(Error::failed(format!("{came} bytes came in the place of {expected}"))) }
}

/// Takes bytes and only counts them.
struct Counting(std::rc::Rc<Cell<u64>>);

impl byte_stream::Server for Counting {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        self.0.set(self.0.get() + params.get()?.get_bytes()?.len() as u64);
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        results.get().set_total(self.0.get());
        Ok(())
    }
}

struct Comparing {
    expected: Vec<u8>,
    at: Cell<usize>,
}

impl byte_stream::Server for Comparing {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        let mut bytes = params.get()?.get_bytes()?;
        while !bytes.is_empty() {
            let expected = &self.expected[self.at.get() % self.expected.len()..];
            let length = bytes.len().min(expected.len());
            if bytes[..length] != expected[..length] {
                return Err(Error::failed(format!("other bytes than were written, after {}", self.at.get())));
            }
            self.at.set(self.at.get() + length);
            bytes = &bytes[length..];
        }
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        results.get().set_total(self.at.get() as u64);
        Ok(())
    }
}
