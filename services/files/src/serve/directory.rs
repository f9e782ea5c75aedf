//! `Directory`.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::filesystem_capnp::directory::{self, Server};
use vat::Rights;

use super::Link;
use super::file::File;
use super::open_file::OpenFile;
use crate::metadata::Metadata;
use crate::order::Order;
use crate::page;
use crate::path::RelativePath;
use crate::patience::{Patience, Stuck, patiently};
use crate::problem::Problem;
use crate::rights::{Act, narrow, need};
use crate::tree;

/// A reference to a directory of a tree, with rights of its own.
pub struct Directory<D> {
    place: Arc<D>,
    rights: Rights,
    link: Link,
    order: Order,
}

impl<D: tree::Directory> Directory<D> {
    /// A reference with these rights, on that link.
    #[must_use]
    pub fn new(place: Arc<D>, rights: Rights, link: Link) -> Directory<D> {
        Directory { place, rights: rights.complete(), link, order: Order::default() }
    }

    /// Hands it out.
    pub fn export(self) -> directory::Client {
        let exports = self.link.exports().clone();
        D::export(self, &exports)
    }

    /// What it is a reference to.
    #[must_use]
    pub fn place(&self) -> &Arc<D> {
        &self.place
    }

    /// What it may be used for.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The link that it is on.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Looks something up: at once where the tree has it in memory, else on a disk thread.
    ///
    /// # Errors
    /// Those of the work, or the call was cancelled.
    pub async fn look<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: Fn(&Arc<D>, Patience) -> Result<T, Stuck> + Send + 'static,
    {
        let turn = self.order.look().await;
        if self.place.answers_at_once() {
            match work(&self.place, Patience::Memory) {
                Err(Stuck::WouldWait) => {}
                result => return patiently(result),
            }
        }
        let place = self.place.clone();
        let waiting = move || {
            let _turn = turn;
            patiently(work(&place, Patience::Disk))
        };
        self.link.disk().run(waiting).await
    }

    /// Looks at what is never in memory, on a disk thread.
    ///
    /// # Errors
    /// Those of the work, or the call was cancelled.
    pub async fn look_long<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce(&Arc<D>) -> Result<T, Problem> + Send + 'static,
    {
        let turn = self.order.look().await;
        self.work(turn, work).await
    }

    /// Changes something, on a disk thread.
    ///
    /// # Errors
    /// Those of the work, or the call was cancelled.
    pub async fn change<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce(&Arc<D>) -> Result<T, Problem> + Send + 'static,
    {
        let turn = self.order.change().await;
        self.work(turn, work).await
    }

    async fn work<O, T, W>(&self, turn: O, work: W) -> Result<T, Problem>
    where
        O: Send + 'static,
        T: Send + 'static,
        W: FnOnce(&Arc<D>) -> Result<T, Problem> + Send + 'static,
    {
        let place = self.place.clone();
        let working = move || {
            let _turn = turn;
            work(&place)
        };
        self.link.disk().run(working).await
    }

    fn file(&self, file: D::File, rights: Rights) -> File<D::File> {
        File::new(OpenFile::new(file), rights, self.link.clone())
    }
}

impl<D: tree::Directory> Server for Directory<D> {
    async fn list(
        self: Rc<Self>,
        params: directory::ListParams,
        mut results: directory::ListResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let (cursor, limit) = (params.get()?.get_cursor(), params.get()?.get_limit());
        let limit = page::limit(usize::try_from(limit).unwrap_or(usize::MAX));
        self.look_long(move |place| place.list(cursor, limit)).await?.write_to(results.get());
        Ok(())
    }

    async fn stat(
        self: Rc<Self>,
        params: directory::StatParams,
        mut results: directory::StatResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let params = params.get()?;
        let (path, follow_link) = (RelativePath::or_here(params.get_path()?)?, params.get_follow_link());
        let stat = move |place: &Arc<D>, patience| place.stat(path.as_ref(), follow_link, patience);
        let metadata: Metadata = self.look(stat).await?;
        metadata.write_to(results.get().init_metadata());
        Ok(())
    }

    async fn open_directory(
        self: Rc<Self>,
        params: directory::OpenDirectoryParams,
        mut results: directory::OpenDirectoryResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let rights = narrow(self.rights, Rights::read_from(params.get_rights()?))?;
        let place = match RelativePath::or_here(params.get_path()?)? {
            None => self.place.clone(),
            Some(path) => {
                let keeping = self.link.keeping()?;
                let open = move |place: &Arc<D>, patience| place.open_directory(&path, patience, &keeping);
                Arc::new(self.look(open).await?)
            }
        };
        let mut results = results.get();
        results.set_directory(Directory::new(place, rights, self.link.clone()).export());
        rights.write_to(results.init_rights());
        Ok(())
    }

    async fn open_file(
        self: Rc<Self>,
        params: directory::OpenFileParams,
        mut results: directory::OpenFileResults,
    ) -> Result<(), Error> {
        let params = params.get()?;
        let rights = narrow(self.rights, Rights::read_from(params.get_rights()?))?;
        let path = RelativePath::new(params.get_path()?)?;
        let keeping = self.link.keeping()?;
        let open = move |place: &Arc<D>, patience| place.open_file(&path, rights, patience, &keeping);
        let file = self.file(self.look(open).await?, rights);
        let mut results = results.get();
        results.set_file(self.link.exports().export(file));
        rights.write_to(results.init_rights());
        Ok(())
    }

    async fn create(
        self: Rc<Self>,
        params: directory::CreateParams,
        mut results: directory::CreateResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Append)?;
        let params = params.get()?;
        let (path, exclusive, rights) = (RelativePath::new(params.get_path()?)?, params.get_exclusive(), self.rights);
        let keeping = self.link.keeping()?;
        let create = move |place: &Arc<D>| place.create_file(&path, rights, exclusive, &keeping);
        let (file, created) = self.change(create).await?;
        let mut results = results.get();
        results.set_file(self.link.exports().export(self.file(file, rights)));
        results.set_created(created);
        Ok(())
    }

    async fn make_directory(
        self: Rc<Self>,
        params: directory::MakeDirectoryParams,
        mut results: directory::MakeDirectoryResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Append)?;
        let path = RelativePath::new(params.get()?.get_path()?)?;
        let keeping = self.link.keeping()?;
        let place = Arc::new(self.change(move |place| place.make_directory(&path, &keeping)).await?);
        results.get().set_directory(Directory::new(place, self.rights, self.link.clone()).export());
        Ok(())
    }

    async fn rename(self: Rc<Self>, params: directory::RenameParams, _: directory::RenameResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let params = params.get()?;
        let (from, to) = (RelativePath::new(params.get_from()?)?, RelativePath::new(params.get_to()?)?);
        let replace = params.get_replace();
        Ok(self.change(move |place| place.rename(&from, &to, replace)).await?)
    }

    async fn remove(self: Rc<Self>, params: directory::RemoveParams, _: directory::RemoveResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let path = RelativePath::new(params.get()?.get_path()?)?;
        Ok(self.change(move |place| place.remove(&path)).await?)
    }

    async fn sync(self: Rc<Self>, _: directory::SyncParams, _: directory::SyncResults) -> Result<(), Error> {
        Ok(self.change(|place| place.sync()).await?)
    }
}
