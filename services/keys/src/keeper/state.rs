//! What is known at one moment, and what of it is secret.

use std::sync::Arc;

use crate::envelope::Envelope;
use crate::keyring::Keyring;
use crate::problem::{Problem, Word};
use crate::public::Public;
use crate::secret::Key;

/// When something was asked for, as far as it matters here: how often the keys had been locked. A lock that comes later
/// counts, however late what was asked for is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked(pub(super) u64);

/// What is in the file.
pub(super) enum Stored {
    Nothing,
    Keys(Arc<Envelope>),
    /// There is a file, and it cannot be read as one.
    Unusable(Problem),
}

/// What nobody else may know.
pub(super) struct Unlocked {
    pub(super) keyring: Keyring,
    pub(super) file_key: Key,
}

pub(super) struct State {
    pub(super) stored: Stored,
    pub(super) unlocked: Option<Arc<Unlocked>>,
    /// Why it could not be unlocked though it should have been.
    pub(super) trouble: Option<Problem>,
    /// How often it was locked.
    pub(super) locks: u64,
    /// What of a TPM there is.
    pub(super) tpm: String,
    /// The generation of the key that seals for which the store has shown, since this start, that it kept what that sealed.
    pub(super) taken_up: u32,
}

impl State {
    pub(super) fn public(&self) -> Option<&Public> {
        match (&self.unlocked, &self.stored) {
            (Some(unlocked), _) => Some(unlocked.keyring.public()),
            (None, Stored::Keys(envelope)) => Some(&envelope.public),
            (None, _) => None,
        }
    }

    pub(super) fn envelope(&self) -> Result<Arc<Envelope>, Problem> {
        match &self.stored {
            Stored::Keys(envelope) => Ok(envelope.clone()),
            _ => Err(self.why_not()),
        }
    }

    /// Why the keys cannot be used.
    pub(super) fn why_not(&self) -> Problem {
        match (&self.stored, &self.trouble) {
            (Stored::Nothing, _) => {
                Problem::new(Word::None, "this node has no keys yet: create some, or restore a backup")
            }
            (Stored::Unusable(problem), _) | (_, Some(problem)) => problem.clone(),
            (Stored::Keys(_), None) => Problem::new(Word::Locked, "unlock the keys first"),
        }
    }

    /// Keys that are here and may still be used one day. What is from a newer version is as good as any.
    pub(super) fn has_usable_keys(&self) -> bool {
        let gone = |problem: &Problem| matches!(problem.word(), Word::Damaged | Word::ProtectionGone);
        match &self.stored {
            Stored::Nothing => false,
            Stored::Unusable(problem) => !gone(problem),
            Stored::Keys(_) => self.unlocked.is_some() || !self.trouble.as_ref().is_some_and(gone),
        }
    }

    /// Takes what was unlocked, unless it was locked since that was asked for.
    pub(super) fn install(&mut self, asked: Asked, unlocked: Unlocked) -> Result<(), Problem> {
        if self.locks != asked.0 {
            return Err(Problem::new(Word::Locked, "the keys were locked meanwhile"));
        }
        self.unlocked = Some(Arc::new(unlocked));
        Ok(())
    }
}
