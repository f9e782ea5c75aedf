//! The calls of `filesystem.capnp` as a client makes them.

use capnp::Error;
use capnp::capability::Promise;
use schema::filesystem_capnp::{directory, file, metadata};
use schema::stream_capnp::byte_stream;
use vat::Rights;

use crate::problem::Word;

/// The word that an exception of kind failed begins with.
pub fn word<T>(result: Result<T, Error>) -> String {
    let Err(error) = result else { panic!("nothing was refused") };
    assert_eq!(error.kind, capnp::ErrorKind::Failed, "{error}");
    let text = error.extra.rsplit("remote exception: ").next().unwrap();
    text.split(':').next().unwrap().to_owned()
}

pub fn is(expected: Word) -> String {
    format!("{expected:?}")
        .char_indices()
        .map(|(at, letter)| if at == 0 { letter.to_ascii_lowercase() } else { letter })
        .collect()
}

pub async fn open_directory(
    at: &directory::Client,
    path: &str,
    rights: Rights,
) -> Result<(directory::Client, Rights), Error> {
    let mut request = at.open_directory_request();
    request.get().set_path(path.as_bytes());
    rights.write_to(request.get().init_rights());
    let response = request.send().promise.await?;
    Ok((response.get()?.get_directory()?, Rights::read_from(response.get()?.get_rights()?)))
}

pub async fn open_file(at: &directory::Client, path: &str, rights: Rights) -> Result<(file::Client, Rights), Error> {
    let mut request = at.open_file_request();
    request.get().set_path(path.as_bytes());
    rights.write_to(request.get().init_rights());
    let response = request.send().promise.await?;
    Ok((response.get()?.get_file()?, Rights::read_from(response.get()?.get_rights()?)))
}

pub async fn create(at: &directory::Client, path: &str, exclusive: bool) -> Result<(file::Client, bool), Error> {
    let mut request = at.create_request();
    request.get().set_path(path.as_bytes());
    request.get().set_exclusive(exclusive);
    let response = request.send().promise.await?;
    Ok((response.get()?.get_file()?, response.get()?.get_created()))
}

pub async fn make_directory(at: &directory::Client, path: &str) -> Result<directory::Client, Error> {
    let mut request = at.make_directory_request();
    request.get().set_path(path.as_bytes());
    request.send().promise.await?.get()?.get_directory()
}

pub async fn rename(at: &directory::Client, from: &str, to: &str, replace: bool) -> Result<(), Error> {
    let mut request = at.rename_request();
    request.get().set_from(from.as_bytes());
    request.get().set_to(to.as_bytes());
    request.get().set_replace(replace);
    request.send().promise.await.map(drop)
}

pub async fn remove(at: &directory::Client, path: &str) -> Result<(), Error> {
    let mut request = at.remove_request();
    request.get().set_path(path.as_bytes());
    request.send().promise.await.map(drop)
}

#[derive(Debug)]
pub struct Listed {
    pub names: Vec<String>,
    pub cursor: u64,
    pub end: bool,
}

pub async fn list(at: &directory::Client, cursor: u64, limit: u32) -> Result<Listed, Error> {
    let mut request = at.list_request();
    request.get().set_cursor(cursor);
    request.get().set_limit(limit);
    let response = request.send().promise.await?;
    let page = response.get()?;
    let name = |entry: schema::filesystem_capnp::entry::Reader<'_>| {
        String::from_utf8(entry.get_name().unwrap().to_vec()).unwrap()
    };
    Ok(Listed { names: page.get_entries()?.iter().map(name).collect(), cursor: page.get_cursor(), end: page.get_end() })
}

pub async fn read(file: &file::Client, offset: u64, length: u32) -> Result<(Vec<u8>, bool), Error> {
    let mut request = file.read_request();
    request.get().set_offset(offset);
    request.get().set_length(length);
    let response = request.send().promise.await?;
    Ok((response.get()?.get_bytes()?.to_vec(), response.get()?.get_end()))
}

pub async fn write(file: &file::Client, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut request = file.write_request();
    request.get().set_offset(offset);
    request.get().set_bytes(bytes);
    request.send().promise.await.map(drop)
}

pub fn append(file: &file::Client, bytes: &[u8]) -> Promise<u64, Error> {
    let mut request = file.append_request();
    request.get().set_bytes(bytes);
    // Sent now, whenever the answer is awaited.
    let sent = request.send();
    Promise::from_future(async move { Ok(sent.promise.await?.get()?.get_offset()) })
}

pub async fn truncate(file: &file::Client, size: u64) -> Result<(), Error> {
    let mut request = file.truncate_request();
    request.get().set_size(size);
    request.send().promise.await.map(drop)
}

pub async fn write_from(file: &file::Client, offset: u64) -> Result<byte_stream::Client, Error> {
    let mut request = file.write_from_request();
    request.get().set_offset(offset);
    request.send().promise.await?.get()?.get_sink()
}

pub async fn put(sink: &byte_stream::Client, bytes: &[u8]) -> Result<(), Error> {
    let mut request = sink.write_request();
    request.get().set_bytes(bytes);
    request.send().await
}

pub async fn end(sink: &byte_stream::Client) -> Result<u64, Error> {
    Ok(sink.end_request().send().promise.await?.get()?.get_total())
}

/// Sends `readTo` with that sink.
pub fn read_to(file: &file::Client, offset: u64, length: u64, sink: byte_stream::Client) -> Promise<u64, Error> {
    let mut request = file.read_to_request();
    request.get().set_offset(offset);
    request.get().set_length(length);
    request.get().set_sink(sink);
    let sent = request.send();
    Promise::from_future(async move { Ok(sent.promise.await?.get()?.get_sent()) })
}

pub async fn sync(file: &file::Client) -> Result<(), Error> {
    file.sync_request().send().promise.await.map(drop)
}

/// What is at the path; an empty one is the directory itself.
pub async fn stat(at: &directory::Client, path: &str) -> Result<Stat, Error> {
    let mut request = at.stat_request();
    request.get().set_path(path.as_bytes());
    Ok(Stat::of(request.send().promise.await?.get()?.get_metadata()?))
}

pub async fn stat_file(file: &file::Client) -> Result<Stat, Error> {
    Ok(Stat::of(file.stat_request().send().promise.await?.get()?.get_metadata()?))
}

/// The metadata of a file.
pub struct Stat {
    pub kind: schema::filesystem_capnp::Kind,
    pub size: u64,
    pub identity: u64,
}

impl Stat {
    fn of(metadata: metadata::Reader<'_>) -> Stat {
        Stat { kind: metadata.get_kind().unwrap(), size: metadata.get_size(), identity: metadata.get_identity() }
    }
}

/// All names, page by page.
pub async fn names(at: &directory::Client) -> Vec<String> {
    let (mut found, mut cursor, mut end) = (Vec::new(), 0, false);
    while !end {
        let page = list(at, cursor, 0).await.unwrap();
        found.extend(page.names);
        (cursor, end) = (page.cursor, page.end);
    }
    found.sort();
    found
}

/// Makes a file with that content, or gives the one that is there that content.
pub async fn put_file(at: &directory::Client, path: &str, content: &[u8]) -> file::Client {
    let (file, _) = create(at, path, false).await.unwrap();
    truncate(&file, 0).await.unwrap();
    for (number, piece) in content.chunks(1 << 20).enumerate() {
        write(&file, (number << 20) as u64, piece).await.unwrap();
    }
    file
}

/// All that a file has.
pub async fn content(at: &directory::Client, path: &str) -> Vec<u8> {
    let (file, _) = open_file(at, path, Rights::READ).await.unwrap();
    all_of(&file).await
}

/// All that an open file has.
pub async fn all_of(file: &file::Client) -> Vec<u8> {
    let (mut content, mut end) = (Vec::new(), false);
    while !end {
        let (bytes, last) = read(file, content.len() as u64, 1 << 20).await.unwrap();
        content.extend(bytes);
        end = last;
    }
    content
}
