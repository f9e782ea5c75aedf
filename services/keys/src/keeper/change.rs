//! What is done one piece of work at a time: everything that writes the file, works on a passphrase or asks the TPM.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::state::{Asked, Stored, Unlocked};
use super::{Keeper, Means, Protection};
use crate::envelope::{self, Envelope, Kind};
use crate::keyring::Keyring;
use crate::lock::Lock;
use crate::passphrase::PassphraseLock;
use crate::problem::{Problem, Word};
use crate::public::PublicKey;
use crate::purpose::Purpose;
use crate::secret::Key;
use crate::whole;

impl Keeper {
    /// Makes every key.
    ///
    /// # Errors
    /// There are keys (`exists`), or as for [`Keeper::protect`].
    pub fn create(&self, asked: Asked, protection: &Protection) -> Result<(), Problem> {
        let mut means = self.means();
        if !matches!(self.state().stored, Stored::Nothing) {
            return Err(Problem::new(Word::Exists, "this node has keys already"));
        }
        let keyring = Keyring::generate(now_ms())?;
        self.put(&mut means, asked, protection, keyring)
    }

    /// Unlocks; where it is unlocked already, looks only whether the passphrase is right.
    ///
    /// # Errors
    /// It is another passphrase (`wrongPassphrase`), the TPM is another one or was cleared (`protectionGone`), there are no
    /// keys (`none`), or they were locked again meanwhile (`locked`).
    pub fn unlock(&self, asked: Asked, passphrase: &[u8]) -> Result<(), Problem> {
        let mut means = self.means();
        let envelope = self.state().envelope()?;
        let opened = open(&mut means, &envelope, passphrase);
        let mut state = self.state();
        match opened {
            Ok(unlocked) => {
                state.trouble = None;
                state.install(asked, unlocked)
            }
            Err(problem) => {
                // A passphrase that is mistyped is no trouble of the keys.
                if !matches!(problem.word(), Word::WrongPassphrase | Word::BadInput) {
                    state.trouble = Some(problem.clone());
                }
                Err(problem)
            }
        }
    }

    /// Protects the same keys in another way from now on.
    ///
    /// # Errors
    /// Nothing is unlocked: why. The passphrase can be none (`badInput`), there is no TPM (`notSupported`), or the file cannot
    /// be written (`io`).
    pub fn protect(&self, asked: Asked, protection: &Protection) -> Result<(), Problem> {
        let mut means = self.means();
        let unlocked = self.unlocked()?;
        self.put(&mut means, asked, protection, unlocked.keyring.clone())
    }

    /// Makes a new key in the place of the one in use. That of the store only where nothing can be lost by it.
    ///
    /// # Errors
    /// Nothing is unlocked: why. The store may still need the key that would be forgotten (`badInput`). As for [`Keyring::rotate`], or the file cannot be written (`io`).
    pub fn rotate(&self, asked: Asked, purpose: Purpose) -> Result<PublicKey, Problem> {
        let means = self.means();
        let unlocked = self.unlocked()?;
        if purpose == Purpose::Store {
            self.check_that_the_store_needs_no_older_key(&unlocked)?;
        }
        let lock = self.state().envelope()?.lock.clone();
        let mut keyring = unlocked.keyring.clone();
        let key = keyring.rotate(purpose, now_ms())?;
        let file_key = unlocked.file_key.clone();
        self.write(&means, asked, &lock, Unlocked { keyring, file_key })?;
        Ok(key)
    }

    /// All keys, sealed under a passphrase of its own.
    ///
    /// # Errors
    /// Nothing is unlocked: why. The passphrase can be none (`badInput`).
    pub fn backup(&self, passphrase: &[u8]) -> Result<Vec<u8>, Problem> {
        let _one_at_a_time = self.means();
        let unlocked = self.unlocked()?;
        let file_key = Key::random()?;
        let lock = Lock::Passphrase(PassphraseLock::make(passphrase, self.cost, &file_key)?);
        envelope::write(Kind::Backup, &lock, &file_key, &unlocked.keyring)
    }

    /// Takes the keys of a backup. Keys that are here and cannot be used for good are put aside.
    ///
    /// # Errors
    /// There are keys that can be used (`exists`); the backup was changed (`damaged`) or is under another passphrase
    /// (`wrongPassphrase`); otherwise as for [`Keeper::protect`].
    pub fn restore(
        &self,
        asked: Asked,
        backup: &[u8],
        backup_passphrase: &[u8],
        protection: &Protection,
    ) -> Result<(), Problem> {
        let mut means = self.means();
        if self.state().has_usable_keys() {
            return Err(Problem::new(Word::Exists, "this node has keys already"));
        }
        let envelope = envelope::read(Kind::Backup, backup)?;
        let keyring = open(&mut means, &envelope, backup_passphrase)?.keyring;
        let (lock, unlocked) = self.protected(&mut means, protection, keyring)?;
        if !matches!(self.state().stored, Stored::Nothing) {
            whole::set_aside(&*means.folder)?;
            self.state().stored = Stored::Nothing;
        }
        // A number of the keys of before says nothing of these.
        self.state().taken_up = 0;
        self.write(&means, asked, &lock, unlocked)
    }

    /// A rotation forgets the key before the one in use. What that has sealed is lost then, if the store did not come back with
    /// something that the one in use has sealed.
    fn check_that_the_store_needs_no_older_key(&self, unlocked: &Unlocked) -> Result<(), Problem> {
        let generation = unlocked.keyring.public().current(Purpose::Store).generation;
        if generation == 1 || self.state().taken_up == generation {
            return Ok(());
        }
        Err(Problem::bad_input(format!(
            "the store has not shown yet that it took up key {generation}, and a rotation would forget the one before: \
             start the node anew and let the store be opened (latch down, latch up, latch fsck), then rotate"
        )))
    }

    /// Writes a keyring under a new protection and takes it as the node's.
    fn put(&self, means: &mut Means, asked: Asked, protection: &Protection, keyring: Keyring) -> Result<(), Problem> {
        let (lock, unlocked) = self.protected(means, protection, keyring)?;
        self.write(means, asked, &lock, unlocked)
    }

    /// A keyring with a new key for its file, and what that is locked with.
    fn protected(
        &self,
        means: &mut Means,
        protection: &Protection,
        keyring: Keyring,
    ) -> Result<(Lock, Unlocked), Problem> {
        let file_key = Key::random()?;
        let lock = match protection {
            Protection::Passphrase(passphrase) => {
                Lock::Passphrase(PassphraseLock::make(passphrase, self.cost, &file_key)?)
            }
            Protection::Tpm => {
                let lock = means.tpm.seal(&file_key)?;
                // Before anything is replaced: what a TPM cannot open again is lost with it.
                let opened = means.tpm.open(&lock)?;
                if opened.as_bytes() != file_key.as_bytes() {
                    return Err(Problem::new(
                        Word::Io,
                        "the TPM opens something else than it sealed: use a passphrase",
                    ));
                }
                Lock::Tpm(lock)
            }
        };
        Ok((lock, Unlocked { keyring, file_key }))
    }

    /// Writes the file, and only then works with what is in it.
    pub(super) fn write(&self, means: &Means, asked: Asked, lock: &Lock, unlocked: Unlocked) -> Result<(), Problem> {
        let bytes = envelope::write(Kind::Node, lock, &unlocked.file_key, &unlocked.keyring)?;
        // What was written is what will be read.
        let envelope = envelope::read(Kind::Node, &bytes)?;
        whole::replace(&*means.folder, &bytes).map_err(|error| {
            let text =
                format!("the file of keys could not be written: {error}. Until it can, a restart may find either");
            Problem::new(Word::Io, text)
        })?;
        let mut state = self.state();
        state.stored = Stored::Keys(Arc::new(envelope));
        state.trouble = None;
        // What was locked meanwhile stays locked. What was asked for is done all the same.
        let _ = state.install(asked, unlocked);
        Ok(())
    }
}

fn open(means: &mut Means, envelope: &Envelope, passphrase: &[u8]) -> Result<Unlocked, Problem> {
    let file_key = match &envelope.lock {
        Lock::Passphrase(lock) => lock.open(passphrase)?,
        Lock::Tpm(_) if !passphrase.is_empty() => {
            return Err(Problem::bad_input("these keys are in a TPM and have no passphrase"));
        }
        Lock::Tpm(lock) => means.tpm.open(lock)?,
    };
    Ok(Unlocked { keyring: envelope.open(&file_key)?, file_key })
}

/// Milliseconds since 1970; 0 where the clock stands before that.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
