//! The service at one end of a link in memory, and a client at the other.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::rc::Rc;

use capnp::Error;
use capnp::capability::Promise;
use files::problem::Word;
use folder_service::serve::Folder;
use futures::channel::oneshot;
use rustix::fs::{Mode, OFlags};
use schema::filesystem_capnp::{directory, file};
use schema::stream_capnp::byte_stream;
use vat::door::Lease;
use vat::testing::{Cutter, ManualClock, SharedClock, pair};
use vat::{Badge, Bounds, Ended, Exports, Peer, Rights};

use crate::common::Tree;

pub const APPEND: Rights = Rights { read: false, append: true, write: false };
pub const READ_APPEND: Rights = Rights { read: true, append: true, write: false };

/// A link to the service.
pub struct Client {
    pub root: directory::Client,
    pub exports: Exports,
    pub cutter: Cutter,
    /// Is ready when the service's end has ended.
    pub ended: tokio::task::JoinHandle<Ended>,
}

pub fn folder(tree: &Tree) -> Folder {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Folder::new(rustix::fs::open(&tree.folder, flags, Mode::empty()).unwrap().as_fd(), 4_096).unwrap()
}

pub fn badge(rights: Rights) -> Badge {
    Badge {
        grant: 7,
        interface: <directory::Client as capnp::traits::HasTypeId>::TYPE_ID,
        rights,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::App,
        holder: "test".to_owned(),
        object: String::new(),
        accounts: Vec::new(),
    }
}

/// The badge of another grant of the same folder.
pub fn neighbour(rights: Rights) -> Badge {
    Badge { grant: 8, ..badge(rights) }
}

pub fn connect(folder: &Folder, badge: &Badge) -> Client {
    let (here, there) = pair(64 << 10);
    let cutter = there.cutter();
    let clock = Rc::new(SharedClock(ManualClock::at_ms(1_000_000)));
    let root =
        |exports: &Exports| folder.root(badge, exports).map_err(Error::from).unwrap_or_else(capnp_rpc::new_broken_cap);
    let ended = tokio::task::spawn_local(vat::serve(there, badge, Bounds::for_peer(badge.peer), clock.clone(), root));
    let connected = vat::connect(here, Bounds::for_peer(Peer::Service), clock);
    tokio::task::spawn_local(connected.driving);
    let root = capnp::capability::FromClientHook::new(connected.root.hook);
    Client { root, exports: connected.exports, cutter, ended }
}

/// Runs a test with a tree and a link to it that has these rights.
pub fn with<F: AsyncFnOnce(&Tree, &Client)>(rights: Rights, test: F) {
    let tree = Tree::new();
    vat::native::run(async {
        let client = connect(&folder(&tree), &badge(rights));
        test(&tree, &client).await;
    })
    .unwrap();
}

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

/// What a [`Collector`] has seen.
#[derive(Default)]
pub struct Collected {
    pub bytes: Vec<u8>,
    pub writes: usize,
    pub ended: bool,
    pub dropped: bool,
    /// Writes that wait to be let through; nothing: all are.
    pub held: Option<VecDeque<oneshot::Sender<()>>>,
    changed: Vec<oneshot::Sender<()>>,
}

/// Resolves when the condition holds; asked again after each change.
pub async fn until(collected: &Rc<RefCell<Collected>>, mut condition: impl FnMut(&Collected) -> bool) {
    loop {
        let changed = {
            let mut collected = collected.borrow_mut();
            if condition(&collected) {
                return;
            }
            let (sender, changed) = oneshot::channel();
            collected.changed.push(sender);
            changed
        };
        changed.await.unwrap();
    }
}

/// A sink of the client's.
pub struct Collector(pub Rc<RefCell<Collected>>);

impl Collector {
    fn changed(&self) {
        for waiting in std::mem::take(&mut self.0.borrow_mut().changed) {
            _ = waiting.send(());
        }
    }
}

impl byte_stream::Server for Collector {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        let waiting = {
            let mut collected = self.0.borrow_mut();
            collected.bytes.extend_from_slice(params.get()?.get_bytes()?);
            collected.writes += 1;
            collected.held.as_mut().map(|held| {
                let (sender, waiting) = oneshot::channel();
                held.push_back(sender);
                waiting
            })
        };
        self.changed();
        if let Some(waiting) = waiting {
            waiting.await.map_err(|_| Error::failed("the test let go".to_owned()))?;
        }
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        self.0.borrow_mut().ended = true;
        results.get().set_total(self.0.borrow().bytes.len() as u64);
        self.changed();
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
        self.changed();
    }
}

/// Bytes that differ from place to place.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

/// A sink of the client's, and what it has seen.
pub fn collector(client: &Client) -> (byte_stream::Client, Rc<RefCell<Collected>>) {
    let collected = Rc::<RefCell<Collected>>::default();
    (client.exports.export(Collector(collected.clone())), collected)
}
