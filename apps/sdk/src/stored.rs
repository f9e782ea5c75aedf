//! Directories of the store.

use crate::error::Result;
use crate::folder::Folder;
use crate::origin::Origin;
use crate::snapshot::{Snapshot, Snapshots};
use schema::filesystem_capnp::directory;
use schema::storage_capnp::{reservation, stored_directory};
use std::fmt;
use std::ops::Deref;
use vat::Rights;

/// A directory that the store keeps: encrypted and verified, with snapshots. It is a [`Folder`] with everything that one
/// can do, and more.
///
/// Beside the errors of folders, every call may fail with [`ErrorKind::Damaged`](crate::ErrorKind::Damaged),
/// [`ErrorKind::Locked`](crate::ErrorKind::Locked) and [`ErrorKind::Quota`](crate::ErrorKind::Quota).
#[derive(Clone)]
pub struct StoredDirectory {
    folder: Folder,
}

/// What there is to write with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of the grant's quota, or of the whole store where it has none.
    pub used_bytes: u64,
    /// The grant's quota, if it has one.
    pub quota_bytes: Option<u64>,
    /// What can still be written now, at least.
    pub free_bytes: u64,
}

impl StoredDirectory {
    pub(crate) fn new(folder: Folder) -> StoredDirectory {
        StoredDirectory { folder }
    }

    /// The same directory, for what takes any folder.
    #[must_use]
    pub fn as_folder(&self) -> &Folder {
        &self.folder
    }

    async fn reach(&self) -> Result<(Origin, stored_directory::Client)> {
        let (origin, client) = self.folder.reach().await?;
        Ok((origin, stored_directory::Client { client: client.client }))
    }

    /// Keeps how this directory and everything below it is now. It is on disk then, with all that was written before.
    /// The label is for people, and has at most 200 bytes. A directory has at most 1,000 snapshots.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly), [`ErrorKind::AppendOnly`](crate::ErrorKind::AppendOnly),
    /// [`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace) and [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge).
    pub async fn snapshot(&self, label: &str) -> Result<Snapshot> {
        let (origin, client) = self.reach().await?;
        let mut request = client.snapshot_request();
        request.get().set_label(label);
        let response = origin.settle(request.send().promise, &self.shown()).await?;
        let read = response.get().and_then(|results| results.get_snapshot()).and_then(Snapshot::read_from);
        read.map_err(origin.malformed(&self.shown()))
    }

    /// The snapshots of this very directory, the latest first.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.clone())
    }

    /// A page of those older than a snapshot; 0: of all.
    pub(crate) async fn snapshots_before(&self, before: u64) -> Result<Vec<Snapshot>> {
        let (origin, client) = self.reach().await?;
        let mut request = client.snapshots_request();
        request.get().set_before(before);
        let response = origin.settle(request.send().promise, &self.shown()).await?;
        let list = response.get().and_then(|results| results.get_snapshots());
        let read = list.and_then(|list| list.iter().map(Snapshot::read_from).collect());
        read.map_err(origin.malformed(&self.shown()))
    }

    /// The directory as it was, to read only. Like what was opened inside a folder, it does not reconnect.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSnapshot`](crate::ErrorKind::UnknownSnapshot).
    pub async fn open_snapshot(&self, id: u64) -> Result<StoredDirectory> {
        let (origin, client) = self.reach().await?;
        let mut request = client.open_snapshot_request();
        request.get().set_snapshot(id);
        let response = origin.settle(request.send().promise, &self.shown()).await?;
        let opened = response.get().and_then(|results| results.get_directory());
        let client = directory::Client { client: opened.map_err(origin.malformed(&self.shown()))?.client };
        Ok(StoredDirectory::new(Folder::below(origin, client, Rights::READ, self.shown())))
    }

    /// Forgets a snapshot. What only it still kept is room again.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSnapshot`](crate::ErrorKind::UnknownSnapshot),
    /// [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly) and
    /// [`ErrorKind::AppendOnly`](crate::ErrorKind::AppendOnly).
    pub async fn drop_snapshot(&self, id: u64) -> Result<()> {
        let (origin, client) = self.reach().await?;
        let mut request = client.drop_snapshot_request();
        request.get().set_snapshot(id);
        origin.settle(request.send().promise, &self.shown()).await?;
        Ok(())
    }

    /// What there is to write with.
    ///
    /// # Errors
    /// It was taken back, or what serves it is away.
    pub async fn room(&self) -> Result<Room> {
        let (origin, client) = self.reach().await?;
        let response = origin.settle(client.room_request().send().promise, &self.shown()).await?;
        let room = response.get().and_then(|results| results.get_room()).map_err(origin.malformed(&self.shown()))?;
        Ok(Room {
            used_bytes: room.get_used_bytes(),
            quota_bytes: Some(room.get_quota_bytes()).filter(|quota| *quota > 0),
            free_bytes: room.get_free_bytes(),
        })
    }

    /// Sets room aside, so that later writes cannot fail for want of it, until it is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Quota`](crate::ErrorKind::Quota) and [`ErrorKind::NoSpace`](crate::ErrorKind::NoSpace) where there is
    /// not so much, [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly).
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation> {
        let (origin, client) = self.reach().await?;
        let mut request = client.reserve_request();
        request.get().set_bytes(bytes);
        let response = origin.settle(request.send().promise, &self.shown()).await?;
        let client = response.get().and_then(|results| results.get_reservation());
        let client = client.map_err(origin.malformed(&self.shown()))?;
        Ok(Reservation { origin, client, path: self.shown() })
    }

    fn shown(&self) -> Vec<u8> {
        self.folder.shown(b"")
    }
}

impl Deref for StoredDirectory {
    type Target = Folder;

    /// `StoredDirectory` extends `Directory`.
    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl fmt::Debug for StoredDirectory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("StoredDirectory").field(&self.folder).finish()
    }
}

/// Room that was set aside. Dropping it gives back what was not used.
#[must_use = "dropping it gives the room back"]
pub struct Reservation {
    origin: Origin,
    client: reservation::Client,
    path: Vec<u8>,
}

impl Reservation {
    /// What is left of it.
    ///
    /// # Errors
    /// The grant is gone.
    pub async fn left_bytes(&self) -> Result<u64> {
        let response = self.origin.settle(self.client.left_request().send().promise, &self.path).await?;
        Ok(response.get().map_err(self.origin.malformed(&self.path))?.get_bytes())
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reservation").field("path", &String::from_utf8_lossy(&self.path)).finish()
    }
}
