//! `Directory`.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::filesystem_capnp::directory::{self, Server};
use vat::Rights;

use super::Link;
use super::file::File;
use super::open_file::OpenFile;
use super::order::Order;
use crate::held::Held;
use crate::list::Page;
use crate::metadata::Metadata;
use crate::path::RelativePath;
use crate::place::Place;
use crate::problem::Problem;
use crate::resolve::{self, Patience, Stuck};
use crate::rights::{Act, narrow, need};
use crate::{change, list};

/// A reference to a directory, with rights of its own.
pub(crate) struct Directory {
    place: Arc<Place>,
    rights: Rights,
    link: Rc<Link>,
    order: Order,
}

impl Directory {
    pub(crate) fn new(place: Arc<Place>, rights: Rights, link: Rc<Link>) -> Directory {
        Directory { place, rights, link, order: Order::default() }
    }

    /// Looks something up: at once where the system has it in memory, else on a disk thread. There also `keep` makes of it
    /// what the call returns.
    async fn look<T, R, W, K>(&self, work: W, keep: K) -> Result<R, Problem>
    where
        R: Send + 'static,
        W: Fn(&Place, Patience) -> Result<T, Stuck> + Send + 'static,
        K: FnOnce(T, Patience) -> R + Send + 'static,
    {
        let turn = self.order.look().await;
        let inside = move |place: &Place, patience| {
            let found = work(place, patience)?;
            place.still_inside(patience)?;
            Ok(found)
        };
        if self.place.is_local() {
            match inside(&self.place, Patience::Memory) {
                Err(Stuck::WouldWait) => {}
                result => return Ok(keep(resolve::patiently(result)?, Patience::Memory)),
            }
        }
        let place = self.place.clone();
        let waiting = move || {
            let _turn = turn;
            Ok(keep(resolve::patiently(inside(&place, Patience::Disk))?, Patience::Disk))
        };
        self.link.disk.run(waiting).await
    }

    /// What holds open what is opened. It is made where that was opened, so that nothing is closed where nobody may wait,
    /// should the call have gone.
    fn hold(&self) -> Result<impl FnOnce(OwnedFd, Patience) -> Held + Send + use<>, Problem> {
        let (slot, disk) = (self.link.open.take()?, self.link.disk.clone());
        Ok(move |descriptor, patience| Held::new(descriptor, patience, disk, slot))
    }

    /// Changes something, on a disk thread.
    async fn change<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce(&Place) -> Result<T, Problem> + Send + 'static,
    {
        let turn = self.order.change().await;
        let place = self.place.clone();
        let changing = move || {
            let _turn = turn;
            work(&place)
        };
        self.link.disk.run(changing).await
    }

    fn export(&self, place: Arc<Place>, rights: Rights) -> directory::Client {
        self.link.exports.export(Directory::new(place, rights, self.link.clone()))
    }
}

impl Server for Directory {
    async fn list(
        self: Rc<Self>,
        params: directory::ListParams,
        mut results: directory::ListResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let (cursor, limit) = (params.get()?.get_cursor(), params.get()?.get_limit());
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let turn = self.order.look().await;
        let place = self.place.clone();
        let listing = move || {
            let _turn = turn;
            list::page(&place, cursor, limit)
        };
        write_page(&self.link.disk.run(listing).await?, results.get());
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
        let stat = move |place: &Place, patience| {
            let stat = match &path {
                None => rustix::fs::fstat(place)?,
                Some(path) => rustix::fs::fstat(resolve::look(place.as_fd(), path, follow_link, patience)?)?,
            };
            Ok(Metadata::of(&stat))
        };
        self.look(stat, |metadata, _| metadata).await?.write_to(results.get().init_metadata());
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
                let hold = self.hold()?;
                let levels = path.levels();
                let open = move |place: &Place, patience| resolve::open_directory(place.as_fd(), &path, patience);
                Arc::new(Place::below(&self.place, self.look(open, hold).await?, levels))
            }
        };
        let mut results = results.get();
        results.set_directory(self.export(place, rights));
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
        let hold = self.hold()?;
        let open = move |place: &Place, patience| resolve::open_file(place.as_fd(), &path, rights, patience);
        let file = OpenFile::new(self.look(open, hold).await?);
        let mut results = results.get();
        results.set_file(self.link.exports.export(File::new(file, rights, self.link.clone())));
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
        let hold = self.hold()?;
        let create = move |place: &Place| {
            let (file, created) = change::create_file(place, &path, rights, exclusive)?;
            Ok((hold(file, Patience::Disk), created))
        };
        let (file, created) = self.change(create).await?;
        let mut results = results.get();
        results.set_file(self.link.exports.export(File::new(OpenFile::new(file), rights, self.link.clone())));
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
        let levels = path.levels();
        let hold = self.hold()?;
        let make = move |place: &Place| Ok(hold(change::make_directory(place, &path)?, Patience::Disk));
        let place = Arc::new(Place::below(&self.place, self.change(make).await?, levels));
        results.get().set_directory(self.export(place, self.rights));
        Ok(())
    }

    async fn rename(self: Rc<Self>, params: directory::RenameParams, _: directory::RenameResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let params = params.get()?;
        let (from, to) = (RelativePath::new(params.get_from()?)?, RelativePath::new(params.get_to()?)?);
        let replace = params.get_replace();
        Ok(self.change(move |place| change::rename(place, &from, &to, replace)).await?)
    }

    async fn remove(self: Rc<Self>, params: directory::RemoveParams, _: directory::RemoveResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let path = RelativePath::new(params.get()?.get_path()?)?;
        Ok(self.change(move |place| change::remove(place, &path)).await?)
    }

    async fn sync(self: Rc<Self>, _: directory::SyncParams, _: directory::SyncResults) -> Result<(), Error> {
        Ok(self.change(change::sync).await?)
    }
}

fn write_page(page: &Page, mut results: directory::list_results::Builder<'_>) {
    results.set_cursor(page.cursor);
    results.set_end(page.end);
    // A page has at most a thousand entries.
    let count = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
    let mut entries = results.init_entries(count);
    for (number, entry) in (0..count).zip(&page.entries) {
        let mut builder = entries.reborrow().get(number);
        builder.set_name(&entry.name);
        entry.metadata.write_to(builder.init_metadata());
    }
}
