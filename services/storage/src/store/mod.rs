//! The store: directories and files, encrypted, verified and safe from crashes, in one folder on disk.
//!
//! Everything is in append-only **segments** of hash-chained **frames**; a frame is one operation and counts wholly or not
//! at all. It consists of **items**, whose heads are clear and whose bodies are sealed. **Commits** sign the chain. The
//! **index** says where the newest item of everything is, and can be built anew from the segments.
//! `FORMAT.md` describes every byte.
//!
//! All methods block and may be called from many threads. Writers take turns; readers wait for nobody but while the rows
//! of one frame are exchanged.

mod accounts;
mod check;
mod commit;
mod compact;
mod content;
mod directory;
mod error;
mod files;
mod format;
mod index;
mod keys;
mod life;
mod log;
mod marker;
mod metadata;
mod moves;
mod node;
mod open;
mod outside;
mod root;
mod rotate;
mod scan;
mod seal;
mod segments;
mod shared;
mod snapshots;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod window;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use accounts::{Account, MARGIN_BYTES, Reservation, Room};
pub use check::{Finding, Severity, Summary, Told};
pub use content::{FILE_LIMIT_BYTES, SECTOR_BYTES, WRITE_LIMIT_BYTES};
pub use directory::{Entry, NAME_LIMIT_BYTES, PAGE_LIMIT, Page};
pub use error::{KeysError, Outcome, Shortage, StoreError};
pub use files::{Files, OnDisk, StoreFile};
pub use format::FORMAT;
pub use keys::{Keys, SIGNATURE_CONTEXT};
pub use metadata::Metadata;
pub use node::{Kind, Node};
pub use open::Opened;
pub use outside::{NOTE_LIMIT_BYTES, OutsideKey};
pub use shared::{Options, SEGMENT_BYTES};
pub use snapshots::{LABEL_LIMIT_BYTES, SNAPSHOT_LIMIT, SNAPSHOT_PAGE_LIMIT, Snapshot};
pub use status::{AccountStatus, Status};

use shared::Shared;

/// A store that is open. Clones are the same store, which is closed with the last of them.
#[derive(Clone)]
pub struct Store(Arc<life::Open>);

impl Store {
    /// Opens the store in a folder, or makes it there.
    ///
    /// # Errors
    /// [`StoreError::Keys`] while the keys are locked, which changes nothing; [`StoreError::Held`] if it is open elsewhere, [`StoreError::Newer`], and what the disk does.
    pub fn open(files: Arc<dyn Files>, keys: Arc<dyn Keys>, options: Options) -> Outcome<(Self, Opened)> {
        let (open, opened) = life::open(files, keys, options)?;
        Ok((Self(Arc::new(open)), opened))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// The directory that everything is in.
    #[must_use]
    pub fn root(&self) -> Node {
        self.0.root.clone()
    }

    /// What a node is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it was removed.
    pub fn stat(&self, node: &Node) -> Outcome<Metadata> {
        self.shared().with_sound_index(|| Ok(self.shared().known(node)?.public(&node.id())))
    }

    /// What has a name in a directory.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NotDirectory`], [`StoreError::BadName`].
    pub fn find(&self, directory: &Node, name: &[u8]) -> Outcome<Node> {
        self.shared().with_sound_index(|| self.shared().find(directory, name))
    }

    /// Some entries, in an order that stays the same. The first page is at cursor 0. `limit` 0: as many as there may be.
    /// A damaged file is listed with size 0, time 0 and version 0, a damaged entry not at all; the page says so.
    ///
    /// # Errors
    /// [`StoreError::NotDirectory`].
    pub fn list(&self, directory: &Node, cursor: u64, limit: usize) -> Outcome<Page> {
        let list = || self.shared().list(directory, cursor, limit);
        // What does not open because its key is being exchanged this moment is looked at again.
        let whole = self.shared().with_sound_index(|| match list()? {
            Page { damaged: Some(why), .. } => Err(StoreError::Damaged(why)),
            page => Ok(page),
        });
        match whole {
            Err(StoreError::Damaged(_)) => list(),
            whole => whole,
        }
    }

    /// Makes an empty file or directory.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Quota`], [`StoreError::NoSpace`]; [`StoreError::NotFound`] in a directory that was
    /// removed while it was open.
    pub fn create(&self, directory: &Node, name: &[u8], kind: Kind, accounts: &[Account]) -> Outcome<Node> {
        self.shared().writing(|shared, log| shared.create(log, directory, name, kind, accounts))
    }

    /// Gives something another name, in the same or another directory, at once.
    ///
    /// # Errors
    /// [`StoreError::Exists`] without `replace`; with it, what is replaced has to be of the same kind, and a directory
    /// has to be empty and without snapshots. [`StoreError::BelowItself`].
    pub fn rename(
        &self,
        from_directory: &Node,
        from_name: &[u8],
        to_directory: &Node,
        to_name: &[u8],
        replace: bool,
        accounts: &[Account],
    ) -> Outcome<()> {
        self.shared().writing(|shared, log| {
            shared.rename(log, (from_directory, from_name), (to_directory, to_name), replace, accounts)
        })
    }

    /// Removes a file, or a directory that is empty and has no snapshots.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`], [`StoreError::NotFound`].
    pub fn remove(&self, directory: &Node, name: &[u8]) -> Outcome<()> {
        self.shared().writing(|shared, log| shared.remove(log, directory, name))
    }

    /// Reads into the buffer what there is from an offset on; how much that is.
    ///
    /// # Errors
    /// [`StoreError::IsDirectory`], [`StoreError::Damaged`].
    pub fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Outcome<usize> {
        self.shared().with_sound_index(|| self.shared().read(file, offset, buffer))
    }

    /// How many bytes a file has beside its holes, in whole sectors; where that is more, at least `enough`.
    ///
    /// # Errors
    /// [`StoreError::IsDirectory`].
    pub fn stored_bytes(&self, file: &Node, enough: u64) -> Outcome<u64> {
        self.shared().with_sound_index(|| self.shared().stored_bytes(file, enough))
    }

    /// Writes all of these bytes or, if it fails, none. A gap reads as zeros.
    ///
    /// # Errors
    /// [`StoreError::Quota`], [`StoreError::NoSpace`], [`StoreError::TooLarge`].
    pub fn write(&self, file: &Node, offset: u64, bytes: &[u8], accounts: &[Account]) -> Outcome<()> {
        self.shared().writing(|shared, log| shared.write(log, file, Some(offset), bytes, accounts)).map(drop)
    }

    /// The same at the end; where that was.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn append(&self, file: &Node, bytes: &[u8], accounts: &[Account]) -> Outcome<u64> {
        self.shared().writing(|shared, log| shared.write(log, file, None, bytes, accounts))
    }

    /// Cuts a file, or extends it with zeros.
    ///
    /// # Errors
    /// As of [`write`](Self::write).
    pub fn truncate(&self, file: &Node, size: u64, accounts: &[Account]) -> Outcome<()> {
        self.shared().writing(|shared, log| shared.truncate(log, file, size, accounts))
    }

    /// Returns when everything that was written before is signed and on the disk.
    ///
    /// # Errors
    /// [`StoreError::Keys`]; [`StoreError::Refusing`] after the disk failed, which lasts until the store is opened anew.
    pub fn sync(&self) -> Outcome<()> {
        self.shared().with_sound_index(|| self.shared().sync())?;
        self.0.wake_compaction();
        Ok(())
    }

    /// Keeps a directory and all below it as it is now, on nobody's account. It is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::TooManySnapshots`].
    pub fn snapshot(&self, directory: &Node, label: &str) -> Outcome<Snapshot> {
        self.snapshot_for(directory, label, &[])
    }

    /// The same on somebody's account, from the innermost outwards: what it takes itself. What it keeps counts already.
    ///
    /// # Errors
    /// [`StoreError::TooManySnapshots`], [`StoreError::Quota`].
    pub fn snapshot_for(&self, directory: &Node, label: &str, accounts: &[Account]) -> Outcome<Snapshot> {
        self.shared().with_sound_index(|| self.shared().snapshot(directory, label, accounts))
    }

    /// The snapshots of this very directory, the latest first: those older than `before`, or all if that is 0.
    ///
    /// # Errors
    /// [`StoreError::NotDirectory`].
    pub fn snapshots(&self, directory: &Node, before: u64, limit: usize) -> Outcome<Vec<Snapshot>> {
        self.shared().with_sound_index(|| self.shared().snapshots(directory, before, limit))
    }

    /// The directory as it was.
    ///
    /// # Errors
    /// [`StoreError::UnknownSnapshot`].
    pub fn open_snapshot(&self, directory: &Node, id: u64) -> Outcome<Node> {
        self.shared().with_sound_index(|| self.shared().open_snapshot(directory, id))
    }

    /// Forgets a snapshot. What only it showed is room again; what of it is still open fails from now on.
    ///
    /// # Errors
    /// [`StoreError::UnknownSnapshot`].
    pub fn drop_snapshot(&self, directory: &Node, id: u64) -> Outcome<()> {
        self.shared().with_sound_index(|| self.shared().drop_snapshot(directory, id))
    }

    /// Sets room aside for writes of the innermost of these accounts.
    ///
    /// # Errors
    /// [`StoreError::Quota`], [`StoreError::NoSpace`].
    pub fn reserve(&self, accounts: &[Account], bytes: u64) -> Outcome<Reservation> {
        self.shared().reserve(accounts, bytes)
    }

    /// What there is to write with.
    ///
    /// # Errors
    /// Of the disk.
    pub fn room(&self, accounts: &[Account]) -> Outcome<Room> {
        self.shared().room(accounts)
    }

    /// Exchanges the keys of what has a name, and of everything below it. Who had them reads nothing that is written
    /// from now on. If it fails midway, some have new keys; it can be done again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub fn rotate(&self, parent: &Node, name: &[u8]) -> Outcome<()> {
        self.shared().rotate(parent, name)
    }

    /// Reads and checks every byte, while the store serves on. `tell` is told what is wrong and how far it is, and says whether
    /// to go on.
    ///
    /// `repair`: each loss is named, file by file, and what is left is served again, also where that is older than a change that
    /// was lost. What cannot be opened is removed, or is zeros from then on; damaged segments are kept in the folder `lost`. Nothing
    /// is changed in snapshots: one that is damaged stays so until it is dropped.
    ///
    /// # Errors
    /// Of the disk, and [`StoreError::Keys`].
    pub fn check(&self, repair: bool, tell: &mut dyn FnMut(Told) -> ControlFlow<()>) -> Outcome<Summary> {
        self.shared().check(repair, tell)
    }

    /// Gives up segments in which little is used; how many bytes of the disk that freed.
    ///
    /// # Errors
    /// Of the disk.
    pub fn compact(&self) -> Outcome<u64> {
        self.shared().compact(true)
    }

    /// What there is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared().status()
    }

    /// Closes as if the process were killed: nothing is committed, and no marker is left. For tests.
    #[doc(hidden)]
    pub fn abandon(self) {
        self.shared().abandoned.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
