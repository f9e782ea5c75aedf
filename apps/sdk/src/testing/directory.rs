//! The folder of the node in miniature: `filesystem.capnp` over a tree in memory, as far as tests of apps need it.

use super::tree::{Node, Tree};
use capnp::Error;
use schema::filesystem_capnp::{Kind, directory, file, metadata};
use schema::storage_capnp::stored_directory;
use schema::stream_capnp::byte_stream;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use vat::{Exports, Rights};

/// Entries of one page: few, so that tests meet more than one.
const PAGE_ENTRIES: usize = 3;

/// The largest piece, as the schema says.
const PIECE_BYTES: usize = 1 << 20;

type Content = Rc<RefCell<Vec<u8>>>;

pub(super) struct DirectoryServer {
    pub(super) exports: Exports,
    pub(super) tree: Tree,
    /// Where in the tree; empty: the root.
    pub(super) at: Vec<u8>,
    pub(super) rights: Rights,
    pub(super) calls: Rc<Cell<u64>>,
    /// It is a directory of the store, and so is what is below it.
    pub(super) is_stored: bool,
}

/// Refuses what the rights do not cover, with the words of the real service.
pub(super) fn need(held: Rights, needed: Rights) -> Result<(), Error> {
    if needed.is_subset_of(held) {
        return Ok(());
    }
    match (needed, held.append, held.read) {
        (Rights { write: true, .. }, true, _) => error("appendOnly: the grant only allows to add"),
        (Rights { append: true, .. }, false, true) => error("readOnly: the grant only allows to read"),
        _ => error("notPermitted: the grant does not allow it"),
    }
}

/// What a derived reference gets; one that could do nothing is refused.
fn narrow(held: Rights, asked: Rights) -> Result<Rights, Error> {
    let rights = held.intersect(asked);
    if rights == Rights::NONE {
        need(held, asked)?;
    }
    Ok(rights)
}

/// To change what is there.
pub(super) const WRITE: Rights = Rights { read: false, append: true, write: true };

pub(super) fn error<T>(text: &str) -> Result<T, Error> {
    Err(Error::failed(text.to_owned()))
}

impl DirectoryServer {
    pub(super) fn count(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    /// A reference to it, by the interface that it serves.
    pub(super) fn export(self) -> directory::Client {
        let exports = self.exports.clone();
        if self.is_stored {
            directory::Client { client: exports.export::<stored_directory::Client, _>(self).client }
        } else {
            exports.export(self)
        }
    }

    fn full(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        let is_bad = |name: &[u8]| name.is_empty() || name == b"." || name == b".." || name.contains(&0);
        if path.is_empty() {
            return Ok(self.at.clone());
        }
        if path.split(|byte| *byte == b'/').any(is_bad) {
            return error("badPath: not a path inside the folder");
        }
        Ok(crate::path::join(&self.at, path))
    }

    fn node(&self, path: &[u8]) -> Result<Node, Error> {
        if path.is_empty() {
            return Ok(Node::Folder);
        }
        self.tree.nodes.borrow().get(path).cloned().ok_or_else(|| Error::failed("notFound: nothing there".to_owned()))
    }

    /// The full path of something new, whose folder must exist.
    fn new_path(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        let full = self.full(path)?;
        let parent = full.iter().rposition(|byte| *byte == b'/').map_or(&full[..0], |at| &full[..at]);
        match self.node(parent)? {
            Node::Folder => Ok(full),
            _ => error("notDirectory: not a directory"),
        }
    }

    fn directory(&self, at: Vec<u8>, rights: Rights) -> directory::Client {
        let (exports, tree, calls) = (self.exports.clone(), self.tree.clone(), self.calls.clone());
        DirectoryServer { exports, tree, at, rights, calls, is_stored: self.is_stored }.export()
    }

    fn file(&self, content: Content, rights: Rights) -> file::Client {
        let (exports, tree, calls) = (self.exports.clone(), self.tree.clone(), self.calls.clone());
        self.exports.export(FileServer { exports, tree, content, rights, calls })
    }
}

fn describe(node: &Node, mut builder: metadata::Builder<'_>) {
    match node {
        Node::Folder => builder.set_kind(Kind::Directory),
        Node::Link => builder.set_kind(Kind::Symlink),
        Node::Broken => builder.set_kind(Kind::File),
        Node::File(content) => {
            builder.set_kind(Kind::File);
            builder.set_size(content.borrow().len() as u64);
            builder.set_identity(Rc::as_ptr(content) as u64);
        }
    }
}

impl directory::Server for DirectoryServer {
    async fn list(
        self: Rc<Self>,
        params: directory::ListParams,
        mut results: directory::ListResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::READ)?;
        let skip =
            usize::try_from(params.get()?.get_cursor()).map_err(|_| Error::failed("io: no such page".to_owned()))?;
        let nodes = self.tree.nodes.borrow();
        let mut inside: Vec<_> = nodes
            .iter()
            .filter_map(|(path, node)| {
                let rest = if self.at.is_empty() {
                    path.as_slice()
                } else {
                    path.strip_prefix(&*self.at)?.strip_prefix(b"/")?
                };
                (!rest.contains(&b'/')).then_some((rest, node))
            })
            .collect();
        // a file system's own order is not the one of names
        inside.reverse();
        let page: Vec<_> = inside.iter().skip(skip).take(PAGE_ENTRIES).collect();
        let mut results = results.get();
        let mut entries = results.reborrow().init_entries(u32::try_from(page.len()).unwrap_or(0));
        for (index, (name, node)) in (0..).zip(&page) {
            let mut entry = entries.reborrow().get(index);
            entry.set_name(name);
            describe(node, entry.init_metadata());
        }
        results.set_cursor((skip + page.len()) as u64);
        results.set_end(skip + page.len() == inside.len());
        Ok(())
    }

    async fn stat(
        self: Rc<Self>,
        params: directory::StatParams,
        mut results: directory::StatResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::READ)?;
        let node = self.node(&self.full(params.get()?.get_path()?)?)?;
        if matches!(node, Node::Link) && params.get()?.get_follow_link() {
            return error("leadsOut: the link leads out");
        }
        describe(&node, results.get().init_metadata());
        Ok(())
    }

    async fn open_directory(
        self: Rc<Self>,
        params: directory::OpenDirectoryParams,
        mut results: directory::OpenDirectoryResults,
    ) -> Result<(), Error> {
        self.count();
        let at = self.full(params.get()?.get_path()?)?;
        let Node::Folder = self.node(&at)? else { return error("notDirectory: not a directory") };
        let rights = narrow(self.rights, Rights::read_from(params.get()?.get_rights()?))?;
        results.get().set_directory(self.directory(at, rights));
        rights.write_to(results.get().init_rights());
        Ok(())
    }

    async fn open_file(
        self: Rc<Self>,
        params: directory::OpenFileParams,
        mut results: directory::OpenFileResults,
    ) -> Result<(), Error> {
        self.count();
        let rights = narrow(self.rights, Rights::read_from(params.get()?.get_rights()?))?;
        match self.node(&self.full(params.get()?.get_path()?)?)? {
            Node::File(content) => results.get().set_file(self.file(content, rights)),
            Node::Folder => return error("isDirectory: it is a directory"),
            Node::Link => return error("leadsOut: the link leads out"),
            Node::Broken => return error("notPermitted: its owner must not"),
        }
        rights.write_to(results.get().init_rights());
        Ok(())
    }

    async fn create(
        self: Rc<Self>,
        params: directory::CreateParams,
        mut results: directory::CreateResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::APPEND)?;
        let path = self.new_path(params.get()?.get_path()?)?;
        let existing = self.tree.nodes.borrow().get(&path).cloned();
        let (content, created) = match existing {
            Some(_) if params.get()?.get_exclusive() => return error("exists: it is there already"),
            Some(Node::File(content)) => (content, false),
            Some(_) => return error("isDirectory: it is not a file"),
            None => (Content::default(), true),
        };
        self.tree.nodes.borrow_mut().insert(path, Node::File(content.clone()));
        results.get().set_file(self.file(content, self.rights));
        results.get().set_created(created);
        Ok(())
    }

    async fn make_directory(
        self: Rc<Self>,
        params: directory::MakeDirectoryParams,
        mut results: directory::MakeDirectoryResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::APPEND)?;
        let path = self.new_path(params.get()?.get_path()?)?;
        if self.node(&path).is_ok() {
            return error("exists: it is there already");
        }
        self.tree.nodes.borrow_mut().insert(path.clone(), Node::Folder);
        results.get().set_directory(self.directory(path, self.rights));
        Ok(())
    }

    async fn rename(self: Rc<Self>, params: directory::RenameParams, _: directory::RenameResults) -> Result<(), Error> {
        self.count();
        need(self.rights, WRITE)?;
        let params = params.get()?;
        let (from, to) = (self.full(params.get_from()?)?, self.new_path(params.get_to()?)?);
        let node = self.node(&from)?;
        if self.node(&to).is_ok() && !params.get_replace() {
            return error("exists: it is there already");
        }
        let mut nodes = self.tree.nodes.borrow_mut();
        nodes.remove(&from);
        nodes.insert(to, node);
        Ok(())
    }

    async fn remove(self: Rc<Self>, params: directory::RemoveParams, _: directory::RemoveResults) -> Result<(), Error> {
        self.count();
        need(self.rights, WRITE)?;
        let path = self.full(params.get()?.get_path()?)?;
        self.node(&path)?;
        let below = [path.as_slice(), b"/"].concat();
        let mut nodes = self.tree.nodes.borrow_mut();
        if nodes.keys().any(|other| other.starts_with(&below)) {
            return error("notEmpty: the directory is not empty");
        }
        nodes.remove(&path);
        Ok(())
    }

    async fn sync(self: Rc<Self>, _: directory::SyncParams, _: directory::SyncResults) -> Result<(), Error> {
        self.count();
        Ok(())
    }
}

struct FileServer {
    exports: Exports,
    tree: Tree,
    content: Content,
    rights: Rights,
    calls: Rc<Cell<u64>>,
}

impl FileServer {
    fn count(&self) {
        self.calls.set(self.calls.get() + 1);
    }

    fn put(tree: &Tree, content: &Content, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).map_err(|_| Error::failed("tooLarge: so large is no file".to_owned()))?;
        let end = start + bytes.len();
        tree.check_quota(end.saturating_sub(content.borrow().len()))?;
        let mut content = content.borrow_mut();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

impl file::Server for FileServer {
    async fn stat(self: Rc<Self>, _: file::StatParams, mut results: file::StatResults) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::READ)?;
        describe(&Node::File(self.content.clone()), results.get().init_metadata());
        Ok(())
    }

    async fn read(self: Rc<Self>, params: file::ReadParams, mut results: file::ReadResults) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::READ)?;
        let params = params.get()?;
        let content = self.content.borrow();
        let start = usize::try_from(params.get_offset()).unwrap_or(usize::MAX).min(content.len());
        let end = content.len().min(start.saturating_add((params.get_length() as usize).min(PIECE_BYTES)));
        results.get().set_bytes(&content[start..end]);
        results.get().set_end(end == content.len());
        Ok(())
    }

    async fn write(self: Rc<Self>, params: file::WriteParams, _: file::WriteResults) -> Result<(), Error> {
        self.count();
        need(self.rights, WRITE)?;
        FileServer::put(&self.tree, &self.content, params.get()?.get_offset(), params.get()?.get_bytes()?)
    }

    async fn append(self: Rc<Self>, params: file::AppendParams, mut results: file::AppendResults) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::APPEND)?;
        let offset = self.content.borrow().len() as u64;
        results.get().set_offset(offset);
        FileServer::put(&self.tree, &self.content, offset, params.get()?.get_bytes()?)
    }

    async fn truncate(self: Rc<Self>, params: file::TruncateParams, _: file::TruncateResults) -> Result<(), Error> {
        self.count();
        need(self.rights, WRITE)?;
        let size =
            usize::try_from(params.get()?.get_size()).map_err(|_| Error::failed("tooLarge: too large".to_owned()))?;
        self.content.borrow_mut().resize(size, 0);
        Ok(())
    }

    async fn sync(self: Rc<Self>, _: file::SyncParams, _: file::SyncResults) -> Result<(), Error> {
        self.count();
        Ok(())
    }

    async fn write_from(
        self: Rc<Self>,
        params: file::WriteFromParams,
        mut results: file::WriteFromResults,
    ) -> Result<(), Error> {
        self.count();
        need(self.rights, Rights::APPEND)?;
        let end = self.content.borrow().len() as u64;
        let offset = Cell::new(if self.rights.write { params.get()?.get_offset() } else { end });
        let (tree, content) = (self.tree.clone(), self.content.clone());
        let sink = Sink { tree, content, offset, total: Cell::new(0), calls: self.calls.clone() };
        results.get().set_sink(self.exports.export(sink));
        Ok(())
    }
}

struct Sink {
    tree: Tree,
    content: Content,
    offset: Cell<u64>,
    total: Cell<u64>,
    calls: Rc<Cell<u64>>,
}

impl byte_stream::Server for Sink {
    async fn write(self: Rc<Self>, params: byte_stream::WriteParams) -> Result<(), Error> {
        self.calls.set(self.calls.get() + 1);
        let bytes = params.get()?.get_bytes()?;
        FileServer::put(&self.tree, &self.content, self.offset.get(), bytes)?;
        self.offset.set(self.offset.get() + bytes.len() as u64);
        self.total.set(self.total.get() + bytes.len() as u64);
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        results.get().set_total(self.total.get());
        Ok(())
    }
}
