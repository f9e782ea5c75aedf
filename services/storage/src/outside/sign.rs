//! The key of the store's commits, which also signs what leaves it.

use std::sync::Arc;

use caps::{NotSigned, PublicKey, Signature, Signer};

use super::OutsideError;
use crate::store::{Keys, KeysError, Store};

/// Signs in the name of the store.
pub(super) struct StoreSigner {
    keys: Arc<dyn Keys>,
    public: PublicKey,
}

impl StoreSigner {
    /// With the key of now. Where it is exchanged meanwhile, signing fails and nothing is made.
    pub(super) fn of(store: &Store) -> Result<StoreSigner, OutsideError> {
        let keys = store.keys().clone();
        let public = PublicKey(keys.public_key()?);
        Ok(StoreSigner { keys, public })
    }
}

impl Signer for StoreSigner {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, NotSigned> {
        self.keys.sign(message).map_err(|error| match error {
            KeysError::Locked | KeysError::None => NotSigned::Locked,
            KeysError::Damaged | KeysError::Unreachable(_) => NotSigned::Unavailable,
        })
    }
}
