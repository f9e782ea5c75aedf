//! What the store's directories have beside others: snapshots, and room.

use super::directory::{DirectoryServer, WRITE, error, need};
use super::tree::Kept;
use capnp::Error;
use schema::storage_capnp::{reservation, snapshot, stored_directory};
use std::rc::Rc;
use vat::Rights;

/// Snapshots of one page: few, so that tests meet more than one.
const PAGE_SNAPSHOTS: usize = 3;

/// As `storage.capnp` says.
const SNAPSHOT_LIMIT: usize = 1_000;
const LABEL_LIMIT_BYTES: usize = 200;

/// When the first snapshot was made, in milliseconds since 1970. The others follow a minute apart: an answer that
/// comes again.
const FIRST_AT_MS: u64 = 1_780_000_000_000;
const STEP_MS: u64 = 60_000;

/// What the disk of the node in miniature has room for.
const DISK_BYTES: u64 = 1 << 30;

fn describe(kept: &Kept, mut builder: snapshot::Builder<'_>) {
    builder.set_id(kept.id);
    builder.set_label(&kept.label);
    builder.set_at_ms(FIRST_AT_MS + (kept.id - 1) * STEP_MS);
}

impl DirectoryServer {
    /// Those of this very directory, the latest first.
    fn kept(&self) -> Vec<Kept> {
        let kept = self.tree.snapshots.borrow();
        kept.iter().rev().filter(|kept| kept.at == self.at).cloned().collect()
    }

    fn find(&self, id: u64) -> Result<Kept, Error> {
        self.kept().into_iter().find(|kept| kept.id == id).map_or_else(|| error("unknown: no such snapshot"), Ok)
    }

    fn free_bytes(&self) -> u64 {
        let limit = self.tree.quota_bytes.get().unwrap_or(DISK_BYTES);
        limit.saturating_sub(self.tree.used_bytes())
    }
}

impl stored_directory::Server for DirectoryServer {
    async fn snapshot(
        self: Rc<Self>,
        params: stored_directory::SnapshotParams,
        mut results: stored_directory::SnapshotResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, WRITE)?;
        let label = params.get()?.get_label()?.to_string()?;
        if label.len() > LABEL_LIMIT_BYTES {
            return error("tooLarge: a label has at most 200 bytes");
        }
        if self.kept().len() >= SNAPSHOT_LIMIT {
            return error("tooLarge: it has 1,000 snapshots: drop some");
        }
        let id = self.tree.snapshots.borrow().last().map_or(1, |kept| kept.id + 1);
        let kept = Kept { id, label, at: self.at.clone(), tree: self.tree.copy() };
        describe(&kept, results.get().init_snapshot());
        self.tree.snapshots.borrow_mut().push(kept);
        Ok(())
    }

    async fn snapshots(
        self: Rc<Self>,
        params: stored_directory::SnapshotsParams,
        mut results: stored_directory::SnapshotsResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::READ)?;
        let before = params.get()?.get_before();
        let kept = self.kept();
        let page: Vec<_> = kept.iter().filter(|kept| before == 0 || kept.id < before).take(PAGE_SNAPSHOTS).collect();
        let mut list = results.get().init_snapshots(u32::try_from(page.len()).unwrap_or(0));
        for (index, kept) in (0..).zip(page) {
            describe(kept, list.reborrow().get(index));
        }
        Ok(())
    }

    async fn open_snapshot(
        self: Rc<Self>,
        params: stored_directory::OpenSnapshotParams,
        mut results: stored_directory::OpenSnapshotResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::READ)?;
        let Kept { at, tree, .. } = self.find(params.get()?.get_snapshot())?;
        let (exports, calls) = (self.exports.clone(), self.calls.clone());
        let server = DirectoryServer { exports, tree, at, rights: Rights::READ, calls, is_stored: true };
        results.get().set_directory(self.exports.export(server));
        Ok(())
    }

    async fn drop_snapshot(
        self: Rc<Self>,
        params: stored_directory::DropSnapshotParams,
        _: stored_directory::DropSnapshotResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, WRITE)?;
        let id = self.find(params.get()?.get_snapshot())?.id;
        self.tree.snapshots.borrow_mut().retain(|kept| kept.id != id);
        Ok(())
    }

    async fn room(
        self: Rc<Self>,
        _: stored_directory::RoomParams,
        mut results: stored_directory::RoomResults,
    ) -> Result<(), Error> {
        self.count();
        let mut room = results.get().init_room();
        room.set_used_bytes(self.tree.used_bytes());
        room.set_quota_bytes(self.tree.quota_bytes.get().unwrap_or(0));
        room.set_free_bytes(self.free_bytes());
        Ok(())
    }

    async fn reserve(
        self: Rc<Self>,
        params: stored_directory::ReserveParams,
        mut results: stored_directory::ReserveResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::APPEND)?;
        let bytes = params.get()?.get_bytes();
        if bytes > self.free_bytes() {
            return error("quota: there is not so much left");
        }
        results.get().set_reservation(self.exports.export(ReservationServer { bytes }));
        Ok(())
    }
}

/// What was set aside. One app runs at a time and nothing else writes, so that nothing has to be kept from anybody.
struct ReservationServer {
    bytes: u64,
}

impl reservation::Server for ReservationServer {
    async fn left(
        self: Rc<Self>,
        _: reservation::LeftParams,
        mut results: reservation::LeftResults,
    ) -> Result<(), Error> {
        results.get().set_bytes(self.bytes);
        Ok(())
    }
}
