//! A host folder as a tree of files.

use std::os::fd::AsFd;
use std::sync::Arc;

use files::keeping::Keeping;
use files::metadata::Metadata;
use files::page::Page;
use files::path::RelativePath;
use files::patience::{Patience, Stuck};
use files::problem::Problem;
use files::tree::{Directory, File, Piece};
use vat::Rights;

use crate::held::Held;
use crate::place::Place;
use crate::{change, content, list, metadata, resolve};

impl Directory for Place {
    type File = Held;

    fn answers_at_once(&self) -> bool {
        self.is_local()
    }

    fn stat(&self, path: Option<&RelativePath>, follow_link: bool, patience: Patience) -> Result<Metadata, Stuck> {
        let stat = match path {
            None => rustix::fs::fstat(self)?,
            Some(path) => rustix::fs::fstat(resolve::look(self.as_fd(), path, follow_link, patience)?)?,
        };
        self.still_inside(patience)?;
        Ok(metadata::of(&stat))
    }

    fn open_directory(
        self: &Arc<Self>,
        path: &RelativePath,
        patience: Patience,
        keeping: &Keeping,
    ) -> Result<Place, Stuck> {
        let opened = resolve::open_directory(self.as_fd(), path, patience)?;
        self.still_inside(patience)?;
        Ok(Place::below(self, Held::new(opened, patience, keeping), path.levels()))
    }

    fn open_file(
        &self,
        path: &RelativePath,
        rights: Rights,
        patience: Patience,
        keeping: &Keeping,
    ) -> Result<Held, Stuck> {
        let opened = resolve::open_file(self.as_fd(), path, rights, patience)?;
        self.still_inside(patience)?;
        Ok(Held::new(opened, patience, keeping))
    }

    fn list(&self, cursor: u64, limit: usize) -> Result<Page, Problem> {
        list::page(self, cursor, limit)
    }

    fn create_file(
        &self,
        path: &RelativePath,
        rights: Rights,
        exclusive: bool,
        keeping: &Keeping,
    ) -> Result<(Held, bool), Problem> {
        let (file, created) = change::create_file(self, path, rights, exclusive)?;
        Ok((Held::new(file, Patience::Disk, keeping), created))
    }

    fn make_directory(self: &Arc<Self>, path: &RelativePath, keeping: &Keeping) -> Result<Place, Problem> {
        let made = change::make_directory(self, path)?;
        Ok(Place::below(self, Held::new(made, Patience::Disk, keeping), path.levels()))
    }

    fn rename(&self, from: &RelativePath, to: &RelativePath, replace: bool) -> Result<(), Problem> {
        change::rename(self, from, to, replace)
    }

    fn remove(&self, path: &RelativePath) -> Result<(), Problem> {
        change::remove(self, path)
    }

    fn sync(&self) -> Result<(), Problem> {
        change::sync(self)
    }
}

impl File for Held {
    fn metadata(&self, patience: Patience) -> Result<Metadata, Stuck> {
        if patience == Patience::Memory && !self.is_local() {
            return Err(Stuck::WouldWait);
        }
        Ok(metadata::of(&rustix::fs::fstat(self)?))
    }

    fn size_at_once(&self) -> Result<Option<u64>, Problem> {
        self.is_local().then(|| content::size(self.as_fd())).transpose()
    }

    fn read_at_once(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        content::read_in_memory(self.as_fd(), offset, buffer)
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Problem> {
        content::read(self.as_fd(), offset, buffer)
    }

    fn piece(&self, offset: u64, limit: usize) -> Result<Piece, Problem> {
        content::piece(self.as_fd(), offset, limit)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        content::write(self.as_fd(), offset, bytes)
    }

    fn append(&self, bytes: &[u8]) -> Result<u64, Problem> {
        content::append(self.as_fd(), bytes)
    }

    fn truncate(&self, size: u64) -> Result<(), Problem> {
        content::truncate(self.as_fd(), size)
    }

    fn sync(&self) -> Result<(), Problem> {
        Ok(rustix::fs::fsync(self)?)
    }
}
