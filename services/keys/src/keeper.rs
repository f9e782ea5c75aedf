//! The keys of this node through their life: none, locked, unlocked, lost. All that is slow here blocks: see
//! [`crate::serve`] for who waits.
//!
//! Signing and unsealing look at what is unlocked now, for a moment only. What changes the file does one thing at a time,
//! and what is unlocked is exchanged after the file has been. `lock` waits for nobody: whatever works meanwhile finds that
//! it came, and leaves the keys locked.

mod change;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

pub use self::state::Asked;
use self::state::{State, Stored, Unlocked};
use crate::envelope::{self, Kind};
use crate::limits::FILE_LIMIT_BYTES;
use crate::lock::Lock;
use crate::passphrase::Cost;
use crate::problem::Problem;
use crate::public::PublicKey;
use crate::purpose::{Purpose, Signing};
use crate::tpm::Tpm;
use crate::whole::{self, Folder};

const TPM_NOT_ASKED: &str = "it has not answered yet";

/// How keys are to be protected.
pub enum Protection {
    /// By a passphrase.
    Passphrase(Zeroizing<Vec<u8>>),
    /// By this machine's TPM.
    Tpm,
}

/// How they are protected now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protected {
    /// There are none, or it is not known.
    No,
    /// By a passphrase.
    Passphrase,
    /// By a TPM.
    Tpm,
}

/// What people see.
#[derive(Clone, Debug)]
pub struct Status {
    /// How the keys are protected.
    pub protected: Protected,
    /// Whether they can be used.
    pub unlocked: bool,
    /// Why they cannot be used, if so.
    pub trouble: Option<Problem>,
    /// The latest key of each purpose; empty where there are none.
    pub keys: Vec<(Purpose, PublicKey)>,
    /// What of a TPM there is.
    pub tpm: String,
}

/// What only one piece of work uses at a time.
struct Means {
    folder: Box<dyn Folder>,
    tpm: Box<dyn Tpm>,
}

/// The keys of this node.
pub struct Keeper {
    state: Mutex<State>,
    means: Mutex<Means>,
    /// What a passphrase costs from now on.
    cost: Cost,
}

impl Keeper {
    /// Reads what there is, and removes what was not finished. Nothing is unlocked yet, see [`Keeper::start`].
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn new(folder: Box<dyn Folder>, tpm: Box<dyn Tpm>, cost: Cost) -> Result<Keeper, Problem> {
        let stored = match whole::load(&*folder, FILE_LIMIT_BYTES)? {
            None => Stored::Nothing,
            Some(bytes) => match envelope::read(Kind::Node, &bytes) {
                Ok(envelope) => Stored::Keys(Arc::new(envelope)),
                Err(problem) => Stored::Unusable(problem),
            },
        };
        let state = Mutex::new(State {
            stored,
            unlocked: None,
            trouble: None,
            locks: 0,
            tpm: TPM_NOT_ASKED.to_owned(),
            taken_up: 0,
        });
        Ok(Keeper { state, means: Mutex::new(Means { folder, tpm }), cost })
    }

    /// Looks what of a TPM there is, and unlocks what needs nobody for it: keys that the TPM protects. What it fails by is in
    /// the status. It may wait for the TPM.
    pub fn start(&self) {
        let asked = self.asked();
        let described = self.means().tpm.describe();
        self.state().tpm = described;
        if matches!(&self.state().stored, Stored::Keys(envelope) if matches!(envelope.lock, Lock::Tpm(_))) {
            // It is kept as trouble.
            let _ = self.unlock(asked, &[]);
        }
    }

    /// Now: to be taken when a call comes, and given to what does its work.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked(self.state().locks)
    }

    /// What people see. It waits for nobody.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.state();
        let protected = match &state.stored {
            Stored::Nothing | Stored::Unusable(_) => Protected::No,
            Stored::Keys(envelope) => match envelope.lock {
                Lock::Passphrase(_) => Protected::Passphrase,
                Lock::Tpm(_) => Protected::Tpm,
            },
        };
        let trouble = match &state.stored {
            Stored::Unusable(problem) => Some(problem.clone()),
            _ if state.unlocked.is_some() => None,
            _ => state.trouble.clone(),
        };
        let keys = state.public().map(|public| Purpose::ALL.map(|purpose| (purpose, public.current(purpose))).to_vec());
        Status {
            protected,
            unlocked: state.unlocked.is_some(),
            trouble,
            keys: keys.unwrap_or_default(),
            tpm: state.tpm.clone(),
        }
    }

    /// Every public key that a purpose has had, the latest last. It waits for nobody.
    ///
    /// # Errors
    /// There are no keys, or they cannot be read.
    pub fn history(&self, purpose: Purpose) -> Result<Vec<PublicKey>, Problem> {
        let state = self.state();
        state.public().map(|public| public.history(purpose)).ok_or_else(|| state.why_not())
    }

    /// The key of a purpose that is in use. It waits for nobody.
    ///
    /// # Errors
    /// Nothing is unlocked: why.
    pub fn public_key(&self, purpose: Signing) -> Result<PublicKey, Problem> {
        Ok(self.unlocked()?.keyring.public().current(Purpose::Signing(purpose)))
    }

    /// Signs for a purpose. It waits for nobody.
    ///
    /// # Errors
    /// Nothing is unlocked: why.
    pub fn sign(&self, purpose: Signing, message: &[u8]) -> Result<[u8; 64], Problem> {
        Ok(self.unlocked()?.keyring.sign(purpose, message))
    }

    /// Seals a secret. It waits for nobody.
    ///
    /// # Errors
    /// Nothing is unlocked: why. There is no randomness (`io`).
    pub fn seal(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, Problem> {
        self.unlocked()?.keyring.seal(secret, context)
    }

    /// Opens what was sealed, and says whether that was with the key in use. It waits for nobody.
    ///
    /// # Errors
    /// Nothing is unlocked: why. Otherwise as for [`Keyring::unseal`].
    pub fn unseal(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), Problem> {
        let unlocked = self.unlocked()?;
        let (secret, current) = unlocked.keyring.unseal(sealed, context)?;
        if current {
            self.state().taken_up = unlocked.keyring.public().current(Purpose::Store).generation;
        }
        Ok((secret, current))
    }

    /// Forgets everything secret. It waits for nobody.
    pub fn lock(&self) {
        let mut state = self.state();
        state.locks += 1;
        state.unlocked = None;
    }

    fn unlocked(&self) -> Result<Arc<Unlocked>, Problem> {
        let state = self.state();
        state.unlocked.clone().ok_or_else(|| state.why_not())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is exchanged in single steps, so it is whole whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn means(&self) -> MutexGuard<'_, Means> {
        self.means.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
