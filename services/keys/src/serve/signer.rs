//! `Signer`.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::keys_capnp::signer::{
    HistoryParams, HistoryResults, PublicKeyParams, PublicKeyResults, Server, SignParams, SignResults,
};

use super::{Started, count, within};
use crate::keeper::Keeper;
use crate::limits::MESSAGE_LIMIT_BYTES;
use crate::purpose::{Purpose, Signing};
use crate::secret::leaving_nothing;

/// Signs for one purpose, with the key that it has at each call.
pub(super) struct Signer {
    keeper: Arc<Keeper>,
    started: Started,
    purpose: Signing,
}

impl Signer {
    pub(super) fn new(keeper: Arc<Keeper>, started: Started, purpose: Signing) -> Signer {
        Signer { keeper, started, purpose }
    }
}

impl Server for Signer {
    async fn public_key(self: Rc<Self>, _: PublicKeyParams, mut results: PublicKeyResults) -> Result<(), Error> {
        self.started.wait().await;
        let key = self.keeper.public_key(self.purpose)?;
        let mut results = results.get();
        results.set_key(&key.public.unwrap_or_default());
        results.set_generation(key.generation);
        Ok(())
    }

    /// A signature takes some 50 µs and the hash of the longest message as long again: less than another thread would.
    async fn sign(self: Rc<Self>, params: SignParams, mut results: SignResults) -> Result<(), Error> {
        self.started.wait().await;
        let message = within(params.get()?.get_message()?, MESSAGE_LIMIT_BYTES, "a message")?;
        let signature = leaving_nothing(|| self.keeper.sign(self.purpose, message))?;
        results.get().set_signature(&signature);
        Ok(())
    }

    async fn history(self: Rc<Self>, _: HistoryParams, mut results: HistoryResults) -> Result<(), Error> {
        self.started.wait().await;
        let history = self.keeper.history(Purpose::Signing(self.purpose))?;
        let mut keys = results.get().init_keys(count(history.len()));
        for (index, key) in (0..).zip(&history) {
            keys.set(index, &key.public.unwrap_or_default());
        }
        Ok(())
    }
}
