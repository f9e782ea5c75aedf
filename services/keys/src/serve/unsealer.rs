//! `Unsealer`.

use std::rc::Rc;
use std::sync::Arc;

use capnp::Error;
use schema::keys_capnp::unsealer::{SealParams, SealResults, Server, UnsealParams, UnsealResults};

use super::{Started, within};
use crate::keeper::Keeper;
use crate::keyring::SEALED_OVERHEAD_BYTES;
use crate::limits::{CONTEXT_LIMIT_BYTES, SECRET_LIMIT_BYTES};
use crate::secret::leaving_nothing;

/// Seals for the store, with the key that there is at each call.
pub(super) struct Unsealer {
    keeper: Arc<Keeper>,
    started: Started,
}

impl Unsealer {
    pub(super) fn new(keeper: Arc<Keeper>, started: Started) -> Unsealer {
        Unsealer { keeper, started }
    }
}

impl Server for Unsealer {
    async fn seal(self: Rc<Self>, params: SealParams, mut results: SealResults) -> Result<(), Error> {
        self.started.wait().await;
        let params = params.get()?;
        let secret = within(params.get_secret()?, SECRET_LIMIT_BYTES, "a secret")?;
        let context = within(params.get_context()?, CONTEXT_LIMIT_BYTES, "a context")?;
        let sealed = leaving_nothing(|| self.keeper.seal(secret, context))?;
        results.get().set_sealed(&sealed);
        Ok(())
    }

    async fn unseal(self: Rc<Self>, params: UnsealParams, mut results: UnsealResults) -> Result<(), Error> {
        self.started.wait().await;
        let params = params.get()?;
        let sealed = within(params.get_sealed()?, SECRET_LIMIT_BYTES + SEALED_OVERHEAD_BYTES, "what is sealed")?;
        let context = within(params.get_context()?, CONTEXT_LIMIT_BYTES, "a context")?;
        let (secret, current) = leaving_nothing(|| self.keeper.unseal(sealed, context))?;
        let mut results = results.get();
        results.set_secret(&secret);
        results.set_current(current);
        Ok(())
    }
}
