//! `Reservation`: room that was set aside.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use files::disk::DiskOfLink;
use files::keeping::Keeping;
use schema::storage_capnp::reservation;

use crate::store;

/// Counts as something that its grant holds open. Looked at and given back on a disk thread: whoever accounts for room may be
/// asking the disk at that moment.
pub(super) struct Reservation {
    /// There until it is dropped.
    reserved: Option<(Arc<store::Reservation>, Keeping)>,
    disk: DiskOfLink,
}

impl Reservation {
    pub(super) fn new(reserved: store::Reservation, keeping: Keeping, disk: DiskOfLink) -> Reservation {
        Reservation { reserved: Some((Arc::new(reserved), keeping)), disk }
    }
}

impl reservation::Server for Reservation {
    async fn left(
        self: Rc<Self>,
        _: reservation::LeftParams,
        mut results: reservation::LeftResults,
    ) -> Result<(), Error> {
        let reserved = self.reserved.as_ref().map(|(reserved, _)| reserved.clone());
        let left = self.disk.run(move || Ok(reserved.map_or(0, |reserved| reserved.left()))).await?;
        results.get().set_bytes(left);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((reserved, keeping)) = self.reserved.take() {
            keeping.close_later(reserved);
        }
    }
}
