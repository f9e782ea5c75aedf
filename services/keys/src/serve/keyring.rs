//! `Keyring`.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::keys_capnp::key;
use schema::keys_capnp::keyring::{
    BackupParams, BackupResults, CreateParams, CreateResults, HistoryParams, HistoryResults, LockParams, LockResults,
    ProtectParams, ProtectResults, RestoreParams, RestoreResults, RotateParams, RotateResults, Server, StatusParams,
    StatusResults, UnlockParams, UnlockResults,
};
use schema::keys_capnp::{self, status};
use zeroize::Zeroizing;

use super::{SlowOfLink, Started, count, within};
use crate::keeper::{Asked, Keeper, Protected, Protection, Status};
use crate::limits::{FILE_LIMIT_BYTES, PASSPHRASE_LIMIT_BYTES};
use crate::passphrase::{Passphrase, check_length};
use crate::problem::Problem;
use crate::public::PublicKey;
use crate::purpose::Purpose;

/// All keys, for one operator.
pub(super) struct Keyring {
    keeper: Arc<Keeper>,
    started: Started,
    slow: SlowOfLink,
}

impl Keyring {
    pub(super) fn new(keeper: Arc<Keeper>, started: Started, slow: SlowOfLink) -> Keyring {
        Keyring { keeper, started, slow }
    }

    /// Does what is slow with the keys.
    async fn slow<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce(&Keeper, Asked) -> Result<T, Problem> + Send + 'static,
    {
        let (keeper, asked) = (self.keeper.clone(), self.keeper.asked());
        // Whether a TPM opens the keys must be known: what takes the place of others depends on it.
        self.started.wait().await;
        self.slow.run(move || work(&keeper, asked)).await
    }
}

impl Server for Keyring {
    async fn status(self: Rc<Self>, _: StatusParams, mut results: StatusResults) -> Result<(), Error> {
        write_status(&self.keeper.status(), results.get().init_status());
        Ok(())
    }

    async fn create(self: Rc<Self>, params: CreateParams, _: CreateResults) -> Result<(), Error> {
        let params = params.get()?;
        let protection = protection(params.get_protection()?, params.get_passphrase()?)?;
        Ok(self.slow(move |keeper, asked| keeper.create(asked, &protection)).await?)
    }

    async fn unlock(self: Rc<Self>, params: UnlockParams, _: UnlockResults) -> Result<(), Error> {
        let passphrase = passphrase(params.get()?.get_passphrase()?)?;
        Ok(self.slow(move |keeper, asked| keeper.unlock(asked, &passphrase)).await?)
    }

    /// It waits for nothing slow.
    async fn lock(self: Rc<Self>, _: LockParams, _: LockResults) -> Result<(), Error> {
        self.keeper.lock();
        Ok(())
    }

    async fn protect(self: Rc<Self>, params: ProtectParams, _: ProtectResults) -> Result<(), Error> {
        let params = params.get()?;
        let protection = protection(params.get_protection()?, params.get_passphrase()?)?;
        Ok(self.slow(move |keeper, asked| keeper.protect(asked, &protection)).await?)
    }

    async fn rotate(self: Rc<Self>, params: RotateParams, mut results: RotateResults) -> Result<(), Error> {
        let purpose = Purpose::from(params.get()?.get_purpose()?);
        let key = self.slow(move |keeper, asked| keeper.rotate(asked, purpose)).await?;
        write_key(purpose, &key, results.get().init_key());
        Ok(())
    }

    async fn backup(self: Rc<Self>, params: BackupParams, mut results: BackupResults) -> Result<(), Error> {
        let passphrase = passphrase(params.get()?.get_passphrase()?)?;
        let backup = self.slow(move |keeper, _| keeper.backup(&passphrase)).await?;
        results.get().set_backup(&backup);
        Ok(())
    }

    async fn restore(self: Rc<Self>, params: RestoreParams, _: RestoreResults) -> Result<(), Error> {
        let params = params.get()?;
        let backup = within(params.get_backup()?, FILE_LIMIT_BYTES, "a backup")?.to_vec();
        let backup_passphrase = passphrase(params.get_backup_passphrase()?)?;
        let protection = protection(params.get_protection()?, params.get_passphrase()?)?;
        Ok(self.slow(move |keeper, asked| keeper.restore(asked, &backup, &backup_passphrase, &protection)).await?)
    }

    async fn history(self: Rc<Self>, params: HistoryParams, mut results: HistoryResults) -> Result<(), Error> {
        let purpose = Purpose::from(params.get()?.get_purpose()?);
        let history = self.keeper.history(purpose)?;
        let mut list = results.get().init_keys(count(history.len()));
        for (index, key) in (0..).zip(&history) {
            write_key(purpose, key, list.reborrow().get(index));
        }
        Ok(())
    }
}

/// A passphrase, erased when it has done its work.
fn passphrase(bytes: &[u8]) -> Result<Passphrase, Problem> {
    Ok(Zeroizing::new(within(bytes, PASSPHRASE_LIMIT_BYTES, "a passphrase")?.to_vec()))
}

fn protection(kind: keys_capnp::Protection, bytes: &[u8]) -> Result<Protection, Problem> {
    match kind {
        keys_capnp::Protection::None => Err(Problem::bad_input("keys are protected by a passphrase or by a TPM")),
        keys_capnp::Protection::Passphrase => {
            check_length(bytes)?;
            Ok(Protection::Passphrase(passphrase(bytes)?))
        }
        keys_capnp::Protection::Tpm if bytes.is_empty() => Ok(Protection::Tpm),
        keys_capnp::Protection::Tpm => Err(Problem::bad_input("keys in a TPM have no passphrase")),
    }
}

fn write_status(status: &Status, mut builder: status::Builder<'_>) {
    builder.set_protection(match status.protected {
        Protected::No => keys_capnp::Protection::None,
        Protected::Passphrase => keys_capnp::Protection::Passphrase,
        Protected::Tpm => keys_capnp::Protection::Tpm,
    });
    builder.set_unlocked(status.unlocked);
    if let Some(problem) = &status.trouble {
        builder.set_trouble(problem.to_string().as_str());
    }
    builder.set_tpm(status.tpm.as_str());
    let mut list = builder.init_keys(count(status.keys.len()));
    for (index, (purpose, key)) in (0..).zip(&status.keys) {
        write_key(*purpose, key, list.reborrow().get(index));
    }
}

fn write_key(purpose: Purpose, key: &PublicKey, mut builder: key::Builder<'_>) {
    builder.set_purpose(purpose.into());
    if let Some(public) = &key.public {
        builder.set_public(public);
    }
    builder.set_generation(key.generation);
    builder.set_made_at_ms(key.made_at_ms);
}
