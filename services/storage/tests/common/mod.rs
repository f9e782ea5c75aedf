//! The service at one end of a link in memory, over a store in a folder of its own.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

pub mod keys;

use std::sync::Arc;

use files::testing::suite::World;
pub use files::testing::*;
use schema::storage_capnp::stored_directory;
use storage_service::serve::{STREAM_CHUNK_BYTES, Storage, Troubles, Vault, troubles};
use storage_service::store::{Files, OnDisk, Options, Store};
use tokio::sync::mpsc::Receiver;
use vat::{Badge, Rights};

use keys::TestKeys;

/// A store that is served, and its folder.
pub struct Served {
    pub storage: Storage,
    pub vault: Vault,
    pub keys: Arc<TestKeys>,
    pub troubles: Receiver<String>,
    pub folder: tempfile::TempDir,
}

/// A fresh store, whose keys are unlocked.
pub fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let files = Arc::new(OnDisk::new(folder.path()).unwrap());
    serve(folder, files, Arc::new(TestKeys::fresh()))
}

/// Serves the store in that folder, which is reached by that layer.
pub fn serve(folder: tempfile::TempDir, files: Arc<dyn Files>, keys: Arc<TestKeys>) -> Served {
    let (troubles, told) = troubles();
    let options = Options::new(folder.path().join("index"));
    let asked = keys.clone();
    let opening = Box::new(move || Store::open(files.clone(), asked.clone(), options.clone()));
    let vault = Vault::new(opening, troubles);
    Served { storage: Storage::new(vault.clone()), vault, keys, troubles: told, folder }
}

impl Served {
    /// A link to the directory `/granted`.
    pub fn connect(&self, rights: Rights) -> Client<stored_directory::Client> {
        self.link(&Badge { object: "/granted".to_owned(), ..badge(rights) })
    }

    pub fn link<R: capnp::capability::FromClientHook>(&self, badge: &Badge) -> Client<R> {
        link(badge, |badge, exports| self.storage.root(badge, exports))
    }
}

/// A fresh store for the statements about every tree.
pub fn world() -> World {
    let served = served();
    let same = served.storage.clone();
    // The folder lives as long as what serves it.
    World::new(
        move |badge, exports| {
            let _folder = &served.folder;
            served.storage.root(badge, exports)
        },
        move || same.open_now(),
    )
    .object("/granted")
    .streams_by(STREAM_CHUNK_BYTES)
}

/// The same object as a directory like any other.
pub fn plain(directory: &stored_directory::Client) -> schema::filesystem_capnp::directory::Client {
    use capnp::capability::FromClientHook;
    directory.clone().cast_to()
}

// --- the calls that only a store has ---

/// One snapshot as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub id: u64,
    pub label: String,
}

impl Taken {
    fn of(snapshot: schema::storage_capnp::snapshot::Reader<'_>) -> Taken {
        assert!(snapshot.get_at_ms() > 0);
        Taken { id: snapshot.get_id(), label: snapshot.get_label().unwrap().to_string().unwrap() }
    }
}

pub async fn snapshot(at: &stored_directory::Client, label: &str) -> Result<Taken, capnp::Error> {
    let mut request = at.snapshot_request();
    request.get().set_label(label);
    Ok(Taken::of(request.send().promise.await?.get()?.get_snapshot()?))
}

pub async fn snapshots(at: &stored_directory::Client, before: u64, limit: u32) -> Result<Vec<Taken>, capnp::Error> {
    let mut request = at.snapshots_request();
    request.get().set_before(before);
    request.get().set_limit(limit);
    Ok(request.send().promise.await?.get()?.get_snapshots()?.iter().map(Taken::of).collect())
}

pub async fn open_snapshot(at: &stored_directory::Client, id: u64) -> Result<stored_directory::Client, capnp::Error> {
    let mut request = at.open_snapshot_request();
    request.get().set_snapshot(id);
    request.send().promise.await?.get()?.get_directory()
}

pub async fn drop_snapshot(at: &stored_directory::Client, id: u64) -> Result<(), capnp::Error> {
    let mut request = at.drop_snapshot_request();
    request.get().set_snapshot(id);
    request.send().promise.await.map(drop)
}

/// Used, quota, free.
pub async fn room(at: &stored_directory::Client) -> Result<(u64, u64, u64), capnp::Error> {
    let response = at.room_request().send().promise.await?;
    let room = response.get()?.get_room()?;
    Ok((room.get_used_bytes(), room.get_quota_bytes(), room.get_free_bytes()))
}

pub async fn reserve(
    at: &stored_directory::Client,
    bytes: u64,
) -> Result<schema::storage_capnp::reservation::Client, capnp::Error> {
    let mut request = at.reserve_request();
    request.get().set_bytes(bytes);
    request.send().promise.await?.get()?.get_reservation()
}

pub async fn left(reservation: &schema::storage_capnp::reservation::Client) -> u64 {
    reservation.left_request().send().promise.await.unwrap().get().unwrap().get_bytes()
}

/// A directory below a stored one, which is a stored one too.
pub async fn stored_below(at: &stored_directory::Client, path: &str) -> stored_directory::Client {
    use capnp::capability::FromClientHook;
    open_directory(&plain(at), path, Rights::ALL).await.unwrap().0.cast_to()
}
