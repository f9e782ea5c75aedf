//! Folders.

use crate::entries::Entries;
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::held::{Held, Here};
use crate::metadata::Metadata;
use crate::origin::Origin;
use crate::path::join;
use crate::stream::FileStream;
use crate::walk::Walk;
use schema::filesystem_capnp::directory;
use std::fmt;
use std::rc::Rc;
use vat::Rights;

/// How much [`Folder::read`] and [`File::read_all`] hold at most: 16 MiB, a quarter of a small app's memory.
pub const READ_LIMIT_BYTES: usize = 16 << 20;

/// A folder that the app was granted, or one below it.
///
/// Paths are relative to it: names joined by `/`. They are bytes, so that every name of a file system can be given;
/// text does as well. Nothing outside is ever reached: `..`, absolute paths and links that lead out are errors.
///
/// One that was [asked for](crate::ask) reconnects when what serves it was restarted: the call under way then fails
/// with [`ErrorKind::Disconnected`], because whether it was carried out is not known, and the next one goes on. One
/// that was [opened](Folder::folder) inside another does not, and has to be opened again. One that was revoked stays
/// away, and each call says so.
#[derive(Clone)]
pub struct Folder {
    source: Source,
    /// From the granted folder's root, for messages.
    path: Vec<u8>,
}

#[derive(Clone)]
enum Source {
    Root(Rc<Held>),
    Below { origin: Origin, client: directory::Client, rights: Rights },
}

impl Folder {
    pub(crate) fn root(held: Rc<Held>) -> Folder {
        Folder { source: Source::Root(held), path: Vec::new() }
    }

    /// One that was obtained through another.
    pub(crate) fn below(origin: Origin, client: directory::Client, rights: Rights, path: Vec<u8>) -> Folder {
        Folder { source: Source::Below { origin, client, rights }, path }
    }

    /// The object behind it, on its present link.
    pub(crate) async fn reach(&self) -> Result<(Origin, directory::Client)> {
        match &self.source {
            Source::Root(held) => {
                let Here { root, link, .. } = held.get().await?;
                Ok((Origin { held: held.clone(), link }, directory::Client { client: root }))
            }
            Source::Below { origin, client, .. } => Ok((origin.clone(), client.clone())),
        }
    }

    /// How something in it is named in messages.
    pub(crate) fn shown(&self, path: &[u8]) -> Vec<u8> {
        join(&self.path, path)
    }

    /// What the app may do with it.
    ///
    /// # Errors
    /// It was taken back, or what serves it is away.
    pub async fn rights(&self) -> Result<Rights> {
        match &self.source {
            Source::Root(held) => Ok(held.get().await?.badge.rights),
            Source::Below { rights, .. } => Ok(*rights),
        }
    }

    /// What is in it, one after the other in no particular order, page by page: a folder of any size can be gone
    /// through.
    #[must_use]
    pub fn entries(&self) -> Entries {
        Entries::new(self.clone())
    }

    /// Everything in it and below, folders before what is in them, names in order.
    #[must_use]
    pub fn walk(&self) -> Walk {
        Walk::new(self.clone())
    }

    /// What is at a path; links are followed. An empty path is the folder itself.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and others of paths.
    pub async fn metadata(&self, path: impl AsRef<[u8]>) -> Result<Metadata> {
        self.stat(path.as_ref(), true).await
    }

    /// The same, of a link itself and not of what it leads to.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and others of paths.
    pub async fn link_metadata(&self, path: impl AsRef<[u8]>) -> Result<Metadata> {
        self.stat(path.as_ref(), false).await
    }

    async fn stat(&self, path: &[u8], follow_link: bool) -> Result<Metadata> {
        let (origin, client) = self.reach().await?;
        let mut request = client.stat_request();
        request.get().set_path(path);
        request.get().set_follow_link(follow_link);
        let shown = self.shown(path);
        let response = origin.settle(request.send().promise, &shown).await?;
        let read = response.get().and_then(|results| results.get_metadata());
        Ok(Metadata::read_from(read.map_err(origin.malformed(&shown))?))
    }

    /// Whether there is something at a path.
    ///
    /// # Errors
    /// Whatever keeps it from being known.
    pub async fn exists(&self, path: impl AsRef<[u8]>) -> Result<bool> {
        match self.link_metadata(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The folder at a path, with the same rights.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotDirectory`] and others of paths.
    pub async fn folder(&self, path: impl AsRef<[u8]>) -> Result<Folder> {
        self.open_folder(path.as_ref(), Rights::ALL).await
    }

    /// This folder with fewer rights: with those that both it and `rights` allow.
    ///
    /// # Errors
    /// It was taken back, or what serves it is away.
    pub async fn narrow(&self, rights: Rights) -> Result<Folder> {
        self.open_folder(b"", rights).await
    }

    async fn open_folder(&self, path: &[u8], rights: Rights) -> Result<Folder> {
        let (origin, client) = self.reach().await?;
        let mut request = client.open_directory_request();
        request.get().set_path(path);
        rights.write_to(request.get().init_rights());
        let shown = self.shown(path);
        let response = origin.settle(request.send().promise, &shown).await?;
        let malformed = origin.malformed(&shown);
        let results = response.get().map_err(&malformed)?;
        let client = results.get_directory().map_err(&malformed)?;
        let rights = Rights::read_from(results.get_rights().map_err(&malformed)?);
        Ok(Folder::below(origin, client, rights, shown))
    }

    /// Opens a file to read.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::IsDirectory`] and others of paths.
    pub async fn open(&self, path: impl AsRef<[u8]>) -> Result<File> {
        self.open_with(path, Rights::READ).await
    }

    /// Opens a file with certain rights: what both these and the folder's allow.
    ///
    /// # Errors
    /// Those of [`open`](Folder::open), and [`ErrorKind::ReadOnly`] or [`ErrorKind::AppendOnly`].
    pub async fn open_with(&self, path: impl AsRef<[u8]>, rights: Rights) -> Result<File> {
        let path = path.as_ref();
        let (origin, client) = self.reach().await?;
        let mut request = client.open_file_request();
        request.get().set_path(path);
        rights.write_to(request.get().init_rights());
        let shown = self.shown(path);
        let response = origin.settle(request.send().promise, &shown).await?;
        let file = response.get().and_then(|results| results.get_file()).map_err(origin.malformed(&shown))?;
        Ok(File::new(origin, file, shown))
    }

    /// Opens a file to write, making it where it does not exist. A folder that only allows to add gives an existing
    /// file for appending.
    ///
    /// # Errors
    /// [`ErrorKind::ReadOnly`], [`ErrorKind::IsDirectory`] and others of paths.
    pub async fn create(&self, path: impl AsRef<[u8]>) -> Result<File> {
        Ok(self.make(path.as_ref(), false).await?.0)
    }

    /// Makes a file that must not exist yet.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`], [`ErrorKind::ReadOnly`] and others of paths.
    pub async fn create_new(&self, path: impl AsRef<[u8]>) -> Result<File> {
        Ok(self.make(path.as_ref(), true).await?.0)
    }

    async fn make(&self, path: &[u8], exclusive: bool) -> Result<(File, bool)> {
        let (origin, client) = self.reach().await?;
        let mut request = client.create_request();
        request.get().set_path(path);
        request.get().set_exclusive(exclusive);
        let shown = self.shown(path);
        let response = origin.settle(request.send().promise, &shown).await?;
        let malformed = origin.malformed(&shown);
        let results = response.get().map_err(&malformed)?;
        let file = results.get_file().map_err(&malformed)?;
        Ok((File::new(origin.clone(), file, shown), results.get_created()))
    }

    /// A file's content from its beginning, piece by piece, with the next pieces already on their way. Nothing is
    /// sent before the first piece is asked for; opening and reading then take one round trip together.
    #[must_use]
    pub fn stream(&self, path: impl AsRef<[u8]>) -> FileStream {
        FileStream::of_path(self.clone(), path.as_ref().to_vec())
    }

    /// A file's whole content, at most [`READ_LIMIT_BYTES`].
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], and those of [`open`](Folder::open).
    pub async fn read(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        self.stream(path).collect(READ_LIMIT_BYTES).await
    }

    /// The same as text.
    ///
    /// # Errors
    /// Those of [`read`](Folder::read), and [`ErrorKind::Failed`] where it is not UTF-8.
    pub async fn read_to_string(&self, path: impl AsRef<[u8]>) -> Result<String> {
        let path = path.as_ref();
        String::from_utf8(self.read(path).await?)
            .map_err(|error| Error::new(ErrorKind::Failed, String::from_utf8_lossy(path), error.to_string()))
    }

    /// Makes a file's content these bytes, whatever was there. Not atomic: for that write another file and
    /// [`replace`](Folder::replace).
    ///
    /// # Errors
    /// Those of [`create`](Folder::create), [`ErrorKind::NoSpace`] and [`ErrorKind::AppendOnly`].
    pub async fn write(&self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Result<()> {
        let (file, created) = self.make(path.as_ref(), false).await?;
        if created {
            return file.append_all(bytes.as_ref()).await;
        }
        file.truncate(0).await?;
        file.write_at(0, bytes).await
    }

    /// Adds bytes at the end of a file, making it where it does not exist.
    ///
    /// # Errors
    /// Those of [`create`](Folder::create), and [`ErrorKind::NoSpace`].
    pub async fn append(&self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.create(path).await?.append_all(bytes.as_ref()).await
    }

    /// Makes a folder. The one it is in must exist.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`], [`ErrorKind::NotFound`], [`ErrorKind::ReadOnly`] and others of paths.
    pub async fn make_folder(&self, path: impl AsRef<[u8]>) -> Result<Folder> {
        let path = path.as_ref();
        let rights = self.rights().await?;
        let (origin, client) = self.reach().await?;
        let mut request = client.make_directory_request();
        request.get().set_path(path);
        let shown = self.shown(path);
        let response = origin.settle(request.send().promise, &shown).await?;
        let client = response.get().and_then(|results| results.get_directory()).map_err(origin.malformed(&shown))?;
        Ok(Folder::below(origin, client, rights, shown))
    }

    /// Gives something another path in this folder, at once. What is there already is an error.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`], [`ErrorKind::NotFound`], [`ErrorKind::AppendOnly`] and others of paths.
    pub async fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        self.move_to(from.as_ref(), to.as_ref(), false).await
    }

    /// The same, and takes the place of what is there.
    ///
    /// # Errors
    /// Those of [`rename`](Folder::rename), except that it exists.
    pub async fn replace(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        self.move_to(from.as_ref(), to.as_ref(), true).await
    }

    async fn move_to(&self, from: &[u8], to: &[u8], replace: bool) -> Result<()> {
        let (origin, client) = self.reach().await?;
        let mut request = client.rename_request();
        request.get().set_from(from);
        request.get().set_to(to);
        request.get().set_replace(replace);
        origin.settle(request.send().promise, &self.shown(from)).await?;
        Ok(())
    }

    /// Removes a file, a link (not what it leads to) or an empty folder.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::NotEmpty`], [`ErrorKind::AppendOnly`] and others of paths.
    pub async fn remove(&self, path: impl AsRef<[u8]>) -> Result<()> {
        let path = path.as_ref();
        let (origin, client) = self.reach().await?;
        let mut request = client.remove_request();
        request.get().set_path(path);
        origin.settle(request.send().promise, &self.shown(path)).await?;
        Ok(())
    }

    /// Waits until the folder's own entries are on disk.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], [`ErrorKind::NoSpace`].
    pub async fn sync(&self) -> Result<()> {
        let (origin, client) = self.reach().await?;
        origin.settle(client.sync_request().send().promise, &self.path).await?;
        Ok(())
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match &self.source {
            Source::Root(held) => held.label(),
            Source::Below { origin, .. } => origin.held.label(),
        };
        let path = String::from_utf8_lossy(&self.path);
        formatter.debug_struct("Folder").field("label", &label).field("path", &path).finish()
    }
}
