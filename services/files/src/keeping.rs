//! What comes with everything that is held open: its place in the count, and where it is let go of.

use std::sync::Arc;

use crate::disk::DiskOfLink;
use crate::open_count::OpenSlot;

/// Given to a tree for each file or directory that it opens, to be kept with it. Its place in the count is free again
/// when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Keeping {
    disk: DiskOfLink,
    slot: Arc<OpenSlot>,
}

impl Keeping {
    pub(crate) fn new(disk: DiskOfLink, slot: OpenSlot) -> Keeping {
        Keeping { disk, slot: Arc::new(slot) }
    }

    /// Lets go of what may take a while to close, on a disk thread when it is its turn. It counts as open until then.
    pub fn close_later<T: Send + 'static>(self, open: T) {
        let Keeping { disk, slot } = self;
        disk.later(move || {
            drop(open);
            drop(slot);
        });
    }
}
