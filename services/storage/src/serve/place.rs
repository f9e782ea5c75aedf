//! A directory of the store, as the tree that is served.

use std::sync::{Arc, OnceLock};

use files::keeping::Keeping;
use files::metadata::Metadata;
use files::page::{Entry, Page};
use files::path::RelativePath;
use files::patience::{Patience, Stuck};
use files::problem::{Problem, Word};
use files::serve::Directory;
use files::tree;
use schema::filesystem_capnp::{self, directory};
use schema::storage_capnp::stored_directory;
use vat::{Exports, Rights};

use super::held::{Held, Reach};
use super::limits::PAGE_ENTRIES;
use super::open_file::OpenFile;
use super::stored_directory::StoredDirectory;
use crate::store::{Account, Kind, Node, Reservation, Room, Snapshot, Store, StoreError};

/// An open directory.
pub(super) struct Place {
    here: OnceLock<Held>,
    /// Where it is found at the first call that needs it; without one, at the top.
    path: Option<RelativePath>,
    /// Whether it is made where it does not exist.
    makes: bool,
    reach: Reach,
    _keeping: Option<Keeping>,
}

impl Place {
    /// The directory with that path in the store; `makes`: the first call makes it where it does not exist.
    pub(super) fn at(path: Option<RelativePath>, makes: bool, reach: Reach) -> Place {
        Place { here: OnceLock::new(), path, makes, reach, _keeping: None }
    }

    fn opened(&self, store: Store, node: Node, keeping: &Keeping) -> Place {
        let here = OnceLock::from(Held::new(store, node, self.reach.disk.clone()));
        Place { here, path: None, makes: false, reach: self.reach.clone(), _keeping: Some(keeping.clone()) }
    }

    fn here(&self) -> Result<&Held, Problem> {
        if let Some(here) = self.here.get() {
            return Ok(here);
        }
        let store = self.reach.vault.store()?;
        let mut node = store.root();
        for name in self.path.iter().flat_map(RelativePath::names) {
            let found = if self.makes {
                find_or_make(&store, &node, name, self.reach.accounts.all())
            } else {
                store.find(&node, name)
            };
            node = self.reach.did(found)?;
        }
        if node.kind() != Kind::Directory {
            return Err(Problem::new(Word::NotDirectory, "what has this name in the store is a file"));
        }
        Ok(self.here.get_or_init(|| Held::new(store, node, self.reach.disk.clone())))
    }

    /// The node at a path.
    fn find(&self, path: &RelativePath) -> Result<(&Store, Node), Problem> {
        let (store, mut node) = self.parent(path)?;
        node = self.reach.did(store.find(&node, path.name().to_bytes()))?;
        Ok((store, node))
    }

    /// The directory that the last name of a path is in.
    fn parent(&self, path: &RelativePath) -> Result<(&Store, Node), Problem> {
        let here = self.here()?;
        let (store, mut node) = (&here.store, here.node().clone());
        for name in path.parent().iter().flat_map(RelativePath::names) {
            node = self.reach.did(store.find(&node, name))?;
        }
        Ok((store, node))
    }

    fn file(&self, store: &Store, node: Node, keeping: &Keeping) -> OpenFile {
        let held = Held::new(store.clone(), node, self.reach.disk.clone());
        OpenFile::new(held, self.reach.clone(), keeping.clone())
    }

    // --- what only a store can do ---

    pub(super) fn snapshot(&self, label: &str) -> Result<Snapshot, Problem> {
        let here = self.here()?;
        self.reach.did(here.store.snapshot_for(here.node(), label, self.reach.accounts.all()))
    }

    pub(super) fn snapshots(&self, before: u64, limit: usize) -> Result<Vec<Snapshot>, Problem> {
        let here = self.here()?;
        self.reach.did(here.store.snapshots(here.node(), before, limit))
    }

    pub(super) fn open_snapshot(&self, snapshot: u64, keeping: &Keeping) -> Result<Place, Problem> {
        let here = self.here()?;
        let as_of = self.reach.did(here.store.open_snapshot(here.node(), snapshot))?;
        Ok(self.opened(here.store.clone(), as_of, keeping))
    }

    pub(super) fn drop_snapshot(&self, snapshot: u64) -> Result<(), Problem> {
        let here = self.here()?;
        self.reach.did(here.store.drop_snapshot(here.node(), snapshot))
    }

    pub(super) fn room(&self) -> Result<Room, Problem> {
        let store = &self.here()?.store;
        let free_bytes = self.reach.did(store.room(self.reach.accounts.all()))?.free_bytes;
        let of_quota = self.reach.did(store.room(self.reach.accounts.metered()))?;
        Ok(Room { free_bytes, ..of_quota })
    }

    pub(super) fn reserve(&self, bytes: u64) -> Result<Reservation, Problem> {
        self.reach.did(self.here()?.store.reserve(self.reach.accounts.all(), bytes))
    }
}

fn find_or_make(store: &Store, directory: &Node, name: &[u8], accounts: &[Account]) -> Result<Node, StoreError> {
    match store.find(directory, name) {
        Err(StoreError::NotFound) => {}
        found => return found,
    }
    match store.create(directory, name, Kind::Directory, accounts) {
        // Another link of the same grant was faster.
        Err(StoreError::Exists) => store.find(directory, name),
        made => made,
    }
}

impl tree::Directory for Place {
    type File = OpenFile;

    fn export(directory: Directory<Place>, exports: &Exports) -> directory::Client {
        use capnp::capability::FromClientHook;
        let client: stored_directory::Client = exports.export(StoredDirectory::new(directory));
        client.cast_to()
    }

    fn stat(&self, path: Option<&RelativePath>, _follow_link: bool, patience: Patience) -> Result<Metadata, Stuck> {
        patience.for_disk()?;
        let (store, node) = match path {
            Some(path) => self.find(path)?,
            None => {
                let here = self.here()?;
                (&here.store, here.node().clone())
            }
        };
        Ok(metadata(&self.reach.did(store.stat(&node))?))
    }

    fn open_directory(
        self: &Arc<Self>,
        path: &RelativePath,
        patience: Patience,
        keeping: &Keeping,
    ) -> Result<Place, Stuck> {
        patience.for_disk()?;
        let (store, node) = self.find(path)?;
        match node.kind() {
            Kind::Directory => Ok(self.opened(store.clone(), node, keeping)),
            Kind::File => Err(Problem::new(Word::NotDirectory, "it is a file").into()),
        }
    }

    fn open_file(
        &self,
        path: &RelativePath,
        _rights: Rights,
        patience: Patience,
        keeping: &Keeping,
    ) -> Result<OpenFile, Stuck> {
        patience.for_disk()?;
        let (store, node) = self.find(path)?;
        match node.kind() {
            Kind::File => Ok(self.file(store, node, keeping)),
            Kind::Directory => Err(is_directory().into()),
        }
    }

    fn list(&self, cursor: u64, limit: usize) -> Result<Page, Problem> {
        let here = self.here()?;
        let found = self.reach.did(here.store.list(here.node(), cursor, limit.min(PAGE_ENTRIES)))?;
        if let Some(why) = found.damaged {
            // All that is good is listed, and people are told.
            let _ = self.reach.vault.failed(&StoreError::Damaged(why));
        }
        let mut page = Page::at(found.cursor);
        page.end = found.end;
        for entry in found.entries {
            page.push(Entry { metadata: metadata(&entry.metadata), name: entry.name });
        }
        Ok(page)
    }

    fn create_file(
        &self,
        path: &RelativePath,
        _rights: Rights,
        exclusive: bool,
        keeping: &Keeping,
    ) -> Result<(OpenFile, bool), Problem> {
        let (store, parent) = self.parent(path)?;
        let name = path.name().to_bytes();
        loop {
            match store.create(&parent, name, Kind::File, self.reach.accounts.all()) {
                Err(StoreError::Exists) if !exclusive => {}
                made => return Ok((self.file(store, self.reach.did(made)?, keeping), true)),
            }
            match store.find(&parent, name) {
                // Removed since: make it, then.
                Err(StoreError::NotFound) => {}
                found => {
                    let node = self.reach.did(found)?;
                    return match node.kind() {
                        Kind::File => Ok((self.file(store, node, keeping), false)),
                        Kind::Directory => Err(is_directory()),
                    };
                }
            }
        }
    }

    fn make_directory(self: &Arc<Self>, path: &RelativePath, keeping: &Keeping) -> Result<Place, Problem> {
        let (store, parent) = self.parent(path)?;
        let made = store.create(&parent, path.name().to_bytes(), Kind::Directory, self.reach.accounts.all());
        Ok(self.opened(store.clone(), self.reach.did(made)?, keeping))
    }

    fn rename(&self, from: &RelativePath, to: &RelativePath, replace: bool) -> Result<(), Problem> {
        let (store, from_parent) = self.parent(from)?;
        let (_, to_parent) = self.parent(to)?;
        let (from, to) = (from.name().to_bytes(), to.name().to_bytes());
        self.reach.did(store.rename(&from_parent, from, &to_parent, to, replace, self.reach.accounts.all()))
    }

    fn remove(&self, path: &RelativePath) -> Result<(), Problem> {
        let (store, parent) = self.parent(path)?;
        self.reach.did(store.remove(&parent, path.name().to_bytes()))
    }

    fn sync(&self) -> Result<(), Problem> {
        self.reach.did(self.here()?.store.sync())
    }
}

/// As the schema has it.
pub(super) fn metadata(stored: &crate::store::Metadata) -> Metadata {
    Metadata {
        kind: match stored.kind {
            Kind::File => filesystem_capnp::Kind::File,
            Kind::Directory => filesystem_capnp::Kind::Directory,
        },
        size_bytes: stored.size,
        modified_ns: stored.modified_ns,
        executable: stored.executable,
        identity: stored.identity,
    }
}

fn is_directory() -> Problem {
    Problem::new(Word::IsDirectory, "it is a directory")
}
