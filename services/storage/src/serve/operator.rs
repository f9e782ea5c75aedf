//! `Store`: the whole store, for the node's operators.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use capnp::capability::FromClientHook;
use files::problem::{Problem, Word};
use files::rights::{Act, need};
use files::serve::{Directory, Link};
use schema::storage_capnp::{status, store, summary};
use vat::Rights;

use super::accounts::Accounts;
use super::caps::Caps;
use super::check;
use super::held::Reach;
use super::limits::ACCOUNTS;
use super::place::Place;
use super::vault::Vault;
use crate::store::{Status, Summary};

/// What an operator's link is given.
pub(super) struct Operator {
    vault: Vault,
    rights: Rights,
    link: Link,
}

impl Operator {
    pub(super) fn new(vault: Vault, rights: Rights, link: Link) -> Operator {
        Operator { vault, rights: rights.complete(), link }
    }
}

impl store::Server for Operator {
    async fn status(self: Rc<Self>, _: store::StatusParams, mut results: store::StatusResults) -> Result<(), Error> {
        need(self.rights, Act::Read)?;
        let vault = self.vault.clone();
        // That it cannot be used is an answer.
        let look = move || Ok(vault.store().map(|store| store.status()));
        let now: Result<Status, Problem> = self.link.disk().run(look).await?;
        let mut builder = results.get().init_status();
        builder.set_unlocked(now.as_ref().err().is_none_or(|refusal| refusal.word() != Word::Locked));
        match now {
            Ok(now) => write_status(&now, builder),
            Err(refusal) => builder.set_trouble(refusal.to_string()),
        }
        Ok(())
    }

    async fn check(self: Rc<Self>, params: store::CheckParams, mut results: store::CheckResults) -> Result<(), Error> {
        let params = params.get()?;
        let (repair, reporter) = (params.get_repair(), params.get_reporter()?);
        need(self.rights, if repair { Act::Write } else { Act::Read })?;
        let summary = check::check(&self.vault, &self.link, repair, &reporter).await?;
        write_summary(&summary, results.get().init_summary());
        Ok(())
    }

    async fn compact(self: Rc<Self>, _: store::CompactParams, mut results: store::CompactResults) -> Result<(), Error> {
        need(self.rights, Act::Write)?;
        let vault = self.vault.clone();
        let compact = move || vault.store()?.compact().map_err(|error| vault.failed(&error));
        let freed: Result<u64, Problem> = self.link.disk().run(compact).await;
        results.get().set_freed_bytes(freed?);
        Ok(())
    }

    async fn caps(self: Rc<Self>, _: store::CapsParams, mut results: store::CapsResults) -> Result<(), Error> {
        let caps = Caps::new(self.vault.clone(), self.rights, self.link.clone());
        results.get().set_caps(self.link.exports().export(caps));
        Ok(())
    }

    async fn root(self: Rc<Self>, _: store::RootParams, mut results: store::RootResults) -> Result<(), Error> {
        // What an operator writes counts against nobody.
        let (vault, disk) = (self.vault.clone(), self.link.disk().clone());
        let place = Place::at(None, true, Reach { vault, accounts: Accounts::none(), disk });
        let root = Directory::new(Arc::new(place), self.rights, self.link.clone()).export();
        results.get().set_directory(root.cast_to());
        Ok(())
    }
}

fn write_status(now: &Status, mut builder: status::Builder<'_>) {
    builder.set_trouble(&now.trouble);
    builder.set_segments(now.segments);
    builder.set_bytes(now.bytes);
    builder.set_live_bytes(now.live_bytes);
    builder.set_files(now.files);
    builder.set_directories(now.directories);
    builder.set_snapshots(now.snapshots);
    builder.set_commits(now.commits);
    builder.set_public_key(now.public_key.as_ref().map_or(&[], |key| &key[..]));
    let count = now.accounts.len().min(ACCOUNTS);
    // At most ten thousand.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let mut accounts = builder.init_accounts(count);
    for (number, account) in (0..count).zip(&now.accounts) {
        let mut builder = accounts.reborrow().get(number);
        builder.set_grant(account.grant);
        builder.set_used_bytes(account.used_bytes);
        builder.set_reserved_bytes(account.reserved_bytes);
    }
}

fn write_summary(found: &Summary, mut builder: summary::Builder<'_>) {
    builder.set_frames(found.frames);
    builder.set_bytes(found.bytes);
    builder.set_files(found.files);
    builder.set_directories(found.directories);
    builder.set_snapshots(found.snapshots);
    builder.set_repaired(found.repaired);
    builder.set_lost(found.lost);
    builder.set_clean(found.clean);
}
