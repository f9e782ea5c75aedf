//! `Reservation`: room that was set aside.

use std::rc::Rc;

use capnp::Error;
use files::keeping::Keeping;
use schema::storage_capnp::reservation;

use crate::store;

/// Counts as something that its grant holds open. What was not used of it is given back on a disk thread, which may have
/// to wait for who accounts for room at that moment.
pub(super) struct Reservation(Option<(store::Reservation, Keeping)>);

impl Reservation {
    pub(super) fn new(reserved: store::Reservation, keeping: Keeping) -> Reservation {
        Reservation(Some((reserved, keeping)))
    }
}

impl reservation::Server for Reservation {
    async fn left(
        self: Rc<Self>,
        _: reservation::LeftParams,
        mut results: reservation::LeftResults,
    ) -> Result<(), Error> {
        results.get().set_bytes(self.0.as_ref().map_or(0, |(reserved, _)| reserved.left()));
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((reserved, keeping)) = self.0.take() {
            keeping.close_later(reserved);
        }
    }
}
