//! `Export`: a part of the store on its way out.

use std::rc::Rc;
use std::sync::{Arc, Mutex, TryLockError};

use capnp::Error;
use files::disk::DiskOfLink;
use files::keeping::Keeping;
use schema::storage_capnp::export;

use super::caps::refused;
use super::vault::Vault;
use crate::outside::{self, OutsideError, Piece};

/// Counts as something that its grant holds open. Its snapshot is let go of on a disk thread.
pub(super) struct Export {
    /// There until it is dropped.
    begun: Option<(Arc<Mutex<outside::Export>>, Keeping)>,
    vault: Vault,
    disk: DiskOfLink,
}

impl Export {
    pub(super) fn new(begun: outside::Export, keeping: Keeping, vault: Vault, disk: DiskOfLink) -> Export {
        Export { begun: Some((Arc::new(Mutex::new(begun)), keeping)), vault, disk }
    }
}

impl export::Server for Export {
    async fn next(self: Rc<Self>, _: export::NextParams, mut results: export::NextResults) -> Result<(), Error> {
        let begun = self.begun.as_ref().map(|(begun, _)| begun.clone());
        let vault = self.vault.clone();
        let work = move || next(begun.as_deref()).map_err(|error| refused(&vault, error));
        let piece = self.disk.run(work).await?;
        let mut builder = results.get().init_piece();
        match piece {
            Piece::Content(sealed) => builder.set_content(&sealed),
            Piece::Metadata(metadata) => builder.set_metadata(&metadata),
            Piece::LeftOut { path, why } => {
                let mut left_out = builder.init_left_out();
                left_out.set_path(&path);
                left_out.set_why(&*why);
            }
            Piece::End => builder.set_end(()),
        }
        Ok(())
    }
}

fn next(begun: Option<&Mutex<outside::Export>>) -> Result<Piece, OutsideError> {
    match begun.map(Mutex::try_lock) {
        Some(Ok(mut export)) => export.next_piece(),
        // A fault while it was sealed: nothing of it is used any more.
        Some(Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock)) | None => Err(OutsideError::Ended),
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Some((begun, keeping)) = self.begun.take() {
            keeping.close_later(begun);
        }
    }
}
