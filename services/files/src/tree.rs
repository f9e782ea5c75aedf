//! What a tree of files is to whoever serves it.
//!
//! Every call blocks until it is done, and is made on a disk thread, in its object's turn. Only what looks is asked on
//! the RPC thread first where the tree says that it [answers at once](Directory::answers_at_once): with
//! [`Patience::Memory`], and again with [`Patience::Disk`] on a disk thread where it would have to wait. So nothing
//! that a tree does can hold up others, come out of order, or outlive the end of its link unnoticed.
//!
//! Rights are checked before a tree is asked; it is told them where what it opens should hold them too.

use std::sync::Arc;

use schema::filesystem_capnp::directory;
use vat::{Exports, Rights};

use crate::keeping::Keeping;
use crate::metadata::Metadata;
use crate::page::Page;
use crate::path::RelativePath;
use crate::patience::{Patience, Stuck};
use crate::problem::Problem;
use crate::serve;

/// An open directory of a tree. It stays the same directory when its name changes.
pub trait Directory: Send + Sync + Sized + 'static {
    /// An open file of the same tree.
    type File: File;

    /// Whether looks are to be tried on the RPC thread, with [`Patience::Memory`].
    fn answers_at_once(&self) -> bool {
        false
    }

    /// How a reference to it is handed out. A tree whose directories can do more than those of `filesystem.capnp` wraps
    /// them here.
    fn export(directory: serve::Directory<Self>, exports: &Exports) -> directory::Client {
        exports.export(directory)
    }

    /// What is at the path; without one, the directory itself.
    ///
    /// # Errors
    /// As for `stat` of the schema, or it would wait.
    fn stat(&self, path: Option<&RelativePath>, follow_link: bool, patience: Patience) -> Result<Metadata, Stuck>;

    /// The directory at the path.
    ///
    /// # Errors
    /// As for `openDirectory` of the schema, or it would wait.
    fn open_directory(
        self: &Arc<Self>,
        path: &RelativePath,
        patience: Patience,
        keeping: &Keeping,
    ) -> Result<Self, Stuck>;

    /// The regular file at the path, for what the rights allow.
    ///
    /// # Errors
    /// As for `openFile` of the schema, or it would wait.
    fn open_file(
        &self,
        path: &RelativePath,
        rights: Rights,
        patience: Patience,
        keeping: &Keeping,
    ) -> Result<Self::File, Stuck>;

    /// The entries from the cursor on: at most so many, from 1 to [`PAGE_LIMIT_ENTRIES`](crate::limits::PAGE_LIMIT_ENTRIES), and
    /// no more once the page [is full](Page::is_full); at least one unless the page is the last.
    ///
    /// # Errors
    /// As for `list` of the schema.
    fn list(&self, cursor: u64, limit: usize) -> Result<Page, Problem>;

    /// A new file, or where not exclusive the one that is there; and whether it was made. It is opened for what the rights
    /// allow.
    ///
    /// # Errors
    /// As for `create` of the schema.
    fn create_file(
        &self,
        path: &RelativePath,
        rights: Rights,
        exclusive: bool,
        keeping: &Keeping,
    ) -> Result<(Self::File, bool), Problem>;

    /// A new directory. Its parent must exist.
    ///
    /// # Errors
    /// As for `makeDirectory` of the schema.
    fn make_directory(self: &Arc<Self>, path: &RelativePath, keeping: &Keeping) -> Result<Self, Problem>;

    /// Gives another name, atomically.
    ///
    /// # Errors
    /// As for `rename` of the schema.
    fn rename(&self, from: &RelativePath, to: &RelativePath, replace: bool) -> Result<(), Problem>;

    /// Removes a name: a file's, a symbolic link's, an empty directory's.
    ///
    /// # Errors
    /// As for `remove` of the schema.
    fn remove(&self, path: &RelativePath) -> Result<(), Problem>;

    /// Returns when the directory's own entries are on disk.
    ///
    /// # Errors
    /// As for `sync` of the schema.
    fn sync(&self) -> Result<(), Problem>;
}

/// An open regular file of a tree. It stays the same file when it is renamed or removed.
pub trait File: Send + Sync + Sized + 'static {
    /// One chunk of `readTo`, at most [`TRANSFER_LIMIT_BYTES`](crate::limits::TRANSFER_LIMIT_BYTES). A tree where each read has a
    /// price of its own, whatever its length, asks for more at once; up to two chunks are on their way to each reader.
    const STREAM_CHUNK_BYTES: usize = crate::limits::STREAM_CHUNK_BYTES;

    /// What is known about it.
    ///
    /// # Errors
    /// What the tree reports, or it would wait.
    fn metadata(&self, patience: Patience) -> Result<Metadata, Stuck>;

    /// Bytes in it now, where that is known without waiting.
    ///
    /// # Errors
    /// What the tree reports.
    fn size_at_once(&self) -> Result<Option<u64>, Problem> {
        Ok(None)
    }

    /// What it has from `offset` on, if all of that is in memory: how many bytes were put into the buffer, which is filled
    /// unless the file ends. Nothing where it would wait. Asked only where the size is known.
    fn read_at_once(&self, _offset: u64, _buffer: &mut [u8]) -> Option<usize> {
        None
    }

    /// What it has from `offset` on: how many bytes were put into the buffer, which is filled unless the file ends.
    ///
    /// # Errors
    /// As for `read` of the schema.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Problem>;

    /// At most so many bytes from `offset` on, and none only where the file ends (or none are asked for).
    ///
    /// # Errors
    /// As for `read` of the schema.
    fn piece(&self, offset: u64, limit: usize) -> Result<Piece, Problem>;

    /// All bytes at `offset`; a gap reads as zeros.
    ///
    /// # Errors
    /// As for `write` of the schema.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Problem>;

    /// All bytes at the end, in one piece, and where they went.
    ///
    /// # Errors
    /// As for `append` of the schema.
    fn append(&self, bytes: &[u8]) -> Result<u64, Problem>;

    /// Cuts, or extends with zeros.
    ///
    /// # Errors
    /// As for `truncate` of the schema.
    fn truncate(&self, size: u64) -> Result<(), Problem>;

    /// Returns when content and size are on disk.
    ///
    /// # Errors
    /// As for `sync` of the schema.
    fn sync(&self) -> Result<(), Problem>;
}

/// Part of a file.
#[derive(Debug)]
pub struct Piece {
    /// As many as were asked for and are there; fewer of a file whose size is not known beforehand.
    pub bytes: Vec<u8>,
    /// Whether the file ends with them.
    pub end: bool,
}

/// How many bytes a file of that size has from `offset` on, `limit` at most.
#[must_use]
pub fn ahead(size: u64, offset: u64, limit: usize) -> usize {
    usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX).min(limit)
}
