//! `Caps`: what of the store may be read and written elsewhere, for the node's operators.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use capnp::Error;
use caps::{NEVER_MS, PublicKey, ReaderPublic};
use files::path::RelativePath;
use files::problem::{Problem, Word};
use files::rights::{Act, need};
use files::serve::Link;
use schema::storage_capnp::caps as schema;
use vat::Rights;

use super::export::Export;
use super::problem;
use super::vault::Vault;
use crate::outside::{Outside, OutsideError};

/// What an operator's link is given.
pub(super) struct Caps {
    vault: Vault,
    rights: Rights,
    link: Link,
}

impl Caps {
    pub(super) fn new(vault: Vault, rights: Rights, link: Link) -> Caps {
        Caps { vault, rights, link }
    }

    /// Does something with what is at a path, on a disk thread.
    async fn at<T: Send + 'static>(
        &self,
        path: &[u8],
        act: impl FnOnce(&Outside, &[&[u8]]) -> Result<T, OutsideError> + Send + 'static,
    ) -> Result<T, Error> {
        let path = RelativePath::or_here(path)?;
        let vault = self.vault.clone();
        let acted = self.link.disk().run(move || {
            let store = vault.store()?;
            let names: Vec<&[u8]> = path.iter().flat_map(RelativePath::names).collect();
            let root = store.root();
            let outside = Outside::new(store, root);
            act(&outside, &names).map_err(|error| refused(&vault, error))
        });
        Ok(acted.await?)
    }
}

/// What an error is for callers.
pub(super) fn refused(vault: &Vault, error: OutsideError) -> Problem {
    match error {
        OutsideError::Store(error) => vault.failed(&error),
        other => problem::outside(&other),
    }
}

impl schema::Server for Caps {
    async fn issue_readcap(
        self: Rc<Self>,
        params: schema::IssueReadcapParams,
        mut results: schema::IssueReadcapResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let params = params.get()?;
        let reader = ReaderPublic(key(params.get_reader()?)?);
        let expires_ms = from_wire(params.get_expires_at_ms());
        let issue = move |outside: &Outside, path: &[&[u8]]| outside.issue_readcap(path, reader, expires_ms, now_ms());
        let readcap = self.at(params.get_path()?, issue).await?;
        results.get().set_readcap(&readcap);
        Ok(())
    }

    async fn readers(
        self: Rc<Self>,
        params: schema::ReadersParams,
        mut results: schema::ReadersResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let found = self.at(params.get()?.get_path()?, Outside::readers).await?;
        // At most 256.
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let mut list = results.get().init_readers(count);
        for (number, reader) in (0..count).zip(&found) {
            let mut builder = list.reborrow().get(number);
            builder.set_key(&reader.key.0);
            builder.set_expires_at_ms(to_wire(reader.expires_ms));
            builder.set_since_ms(reader.since_ms);
        }
        Ok(())
    }

    async fn remove_reader(
        self: Rc<Self>,
        params: schema::RemoveReaderParams,
        mut results: schema::RemoveReaderResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let params = params.get()?;
        let reader = ReaderPublic(key(params.get_reader()?)?);
        let remove = move |outside: &Outside, path: &[&[u8]]| {
            let through = outside.remove_reader(path, reader, now_ms())?;
            Ok(through.into_iter().map(|depth| path[..depth].join(&b'/')).collect::<Vec<_>>())
        };
        let through = self.at(params.get_path()?, remove).await?;
        // Fewer than a path has names.
        let count = u32::try_from(through.len()).unwrap_or(u32::MAX);
        let mut list = results.get().init_through(count);
        for (number, path) in (0..count).zip(&through) {
            list.set(number, path);
        }
        Ok(())
    }

    async fn export(
        self: Rc<Self>,
        params: schema::ExportParams,
        mut results: schema::ExportResults,
    ) -> Result<(), Error> {
        // It is counted, and shows a snapshot.
        need(self.rights, Act::Write)?;
        let keeping = self.link.keeping()?;
        let begin = |outside: &Outside, path: &[&[u8]]| outside.export(path, now_ms());
        let begun = self.at(params.get()?.get_path()?, begin).await?;
        let export = Export::new(begun, keeping, self.vault.clone(), self.link.disk().clone());
        results.get().set_export(self.link.exports().export(export));
        Ok(())
    }

    async fn issue_writecap(
        self: Rc<Self>,
        params: schema::IssueWritecapParams,
        mut results: schema::IssueWritecapResults,
    ) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let params = params.get()?;
        let holder = PublicKey(key(params.get_holder()?)?);
        let rights = Rights::read_from(params.get_rights()?);
        let rights = caps::Rights { read: rights.read, append: rights.append, write: rights.write };
        let expires_ms = from_wire(params.get_expires_at_ms());
        let issue =
            move |outside: &Outside, path: &[&[u8]]| outside.issue_writecap(path, holder, rights, expires_ms, now_ms());
        let writecap = self.at(params.get_path()?, issue).await?;
        results.get().set_writecap(&writecap);
        Ok(())
    }
}

fn key(bytes: &[u8]) -> Result<[u8; 32], Problem> {
    bytes.try_into().map_err(|_| Problem::new(Word::BadPath, "a public key has 32 bytes"))
}

/// The schema's 0 is never.
fn from_wire(at_ms: u64) -> u64 {
    if at_ms == 0 { NEVER_MS } else { at_ms }
}

fn to_wire(at_ms: u64) -> u64 {
    if at_ms == NEVER_MS { 0 } else { at_ms }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
