//! `StoredDirectory`: a directory like any other, and what only a store can do.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use capnp::capability::FromClientHook;
use files::problem::{Problem, Word};
use files::rights::{Act, need};
use files::serve::Directory;
use schema::filesystem_capnp::directory;
use schema::storage_capnp::{snapshot, stored_directory};
use vat::Rights;

use super::place::Place;
use super::reservation::Reservation;
use crate::store::{LABEL_LIMIT_BYTES, SNAPSHOT_PAGE_LIMIT, Snapshot};

/// A reference to a directory of the store.
pub(super) struct StoredDirectory(Rc<Directory<Place>>);

impl StoredDirectory {
    pub(super) fn new(directory: Directory<Place>) -> StoredDirectory {
        StoredDirectory(Rc::new(directory))
    }
}

/// Those of every directory.
macro_rules! like_any_directory {
    ($($method:ident($params:ident, $results:ident)),* $(,)?) => {
        impl directory::Server for StoredDirectory {
            $(
                async fn $method(
                    self: Rc<Self>,
                    params: directory::$params,
                    results: directory::$results,
                ) -> Result<(), Error> {
                    self.0.clone().$method(params, results).await
                }
            )*
        }
    };
}

like_any_directory! {
    list(ListParams, ListResults),
    stat(StatParams, StatResults),
    open_directory(OpenDirectoryParams, OpenDirectoryResults),
    open_file(OpenFileParams, OpenFileResults),
    create(CreateParams, CreateResults),
    make_directory(MakeDirectoryParams, MakeDirectoryResults),
    rename(RenameParams, RenameResults),
    remove(RemoveParams, RemoveResults),
    sync(SyncParams, SyncResults),
}

impl stored_directory::Server for StoredDirectory {
    async fn snapshot(
        self: Rc<Self>,
        params: stored_directory::SnapshotParams,
        mut results: stored_directory::SnapshotResults,
    ) -> Result<(), Error> {
        need(self.0.rights(), Act::Write)?;
        let label = params.get()?.get_label()?.to_str()?;
        if label.len() > LABEL_LIMIT_BYTES {
            let text = format!("the label of a snapshot has at most {LABEL_LIMIT_BYTES} bytes");
            return Err(Problem::new(Word::TooLarge, text).into());
        }
        let label = label.to_owned();
        let taken = self.0.change(move |place| place.snapshot(&label)).await?;
        write(&taken, results.get().init_snapshot());
        Ok(())
    }

    async fn snapshots(
        self: Rc<Self>,
        params: stored_directory::SnapshotsParams,
        mut results: stored_directory::SnapshotsResults,
    ) -> Result<(), Error> {
        need(self.0.rights(), Act::Read)?;
        let (before, asked) = (params.get()?.get_before(), params.get()?.get_limit());
        let limit = match usize::try_from(asked) {
            Ok(asked @ 1..SNAPSHOT_PAGE_LIMIT) => asked,
            _ => SNAPSHOT_PAGE_LIMIT,
        };
        let found = self.0.look_long(move |place| place.snapshots(before, limit)).await?;
        // At most a hundred.
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let mut list = results.get().init_snapshots(count);
        for (number, snapshot) in (0..count).zip(&found) {
            write(snapshot, list.reborrow().get(number));
        }
        Ok(())
    }

    async fn open_snapshot(
        self: Rc<Self>,
        params: stored_directory::OpenSnapshotParams,
        mut results: stored_directory::OpenSnapshotResults,
    ) -> Result<(), Error> {
        need(self.0.rights(), Act::Read)?;
        let snapshot = params.get()?.get_snapshot();
        let keeping = self.0.link().keeping()?;
        let place = Arc::new(self.0.look_long(move |place| place.open_snapshot(snapshot, &keeping)).await?);
        let opened = Directory::new(place, Rights::READ, self.0.link().clone()).export();
        results.get().set_directory(opened.cast_to());
        Ok(())
    }

    async fn drop_snapshot(
        self: Rc<Self>,
        params: stored_directory::DropSnapshotParams,
        _: stored_directory::DropSnapshotResults,
    ) -> Result<(), Error> {
        need(self.0.rights(), Act::Write)?;
        let snapshot = params.get()?.get_snapshot();
        Ok(self.0.change(move |place| place.drop_snapshot(snapshot)).await?)
    }

    async fn room(
        self: Rc<Self>,
        _: stored_directory::RoomParams,
        mut results: stored_directory::RoomResults,
    ) -> Result<(), Error> {
        let room = self.0.look_long(|place| place.room()).await?;
        let mut builder = results.get().init_room();
        builder.set_used_bytes(room.used_bytes);
        builder.set_quota_bytes(room.quota_bytes);
        builder.set_free_bytes(room.free_bytes);
        Ok(())
    }

    async fn reserve(
        self: Rc<Self>,
        params: stored_directory::ReserveParams,
        mut results: stored_directory::ReserveResults,
    ) -> Result<(), Error> {
        need(self.0.rights(), Act::Append)?;
        let bytes = params.get()?.get_bytes();
        let keeping = self.0.link().keeping()?;
        let disk = self.0.link().disk().clone();
        let reserve = move |place: &Arc<Place>| Ok(Reservation::new(place.reserve(bytes)?, keeping, disk));
        let reservation = self.0.change(reserve).await?;
        results.get().set_reservation(self.0.link().exports().export(reservation));
        Ok(())
    }
}

fn write(taken: &Snapshot, mut builder: snapshot::Builder<'_>) {
    builder.set_id(taken.id);
    builder.set_label(&taken.label);
    builder.set_at_ms(taken.at_ms);
}
