//! The keys of this node through their life: none, locked, unlocked, lost. All that is slow here blocks: see
//! [`crate::serve`] for who waits.
//!
//! Signing and unsealing look at what is unlocked now, for a moment only. What changes the file does one thing at a time,
//! and what is unlocked is exchanged after the file has been. `lock` waits for nobody: whatever works meanwhile finds that
//! it came, and leaves the keys locked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::envelope::{self, Envelope, Kind};
use crate::keyring::Keyring;
use crate::limits::FILE_LIMIT_BYTES;
use crate::lock::Lock;
use crate::passphrase::{Cost, PassphraseLock};
use crate::problem::{Problem, Word};
use crate::public::{Public, PublicKey};
use crate::purpose::{Purpose, Signing};
use crate::secret::Key;
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

/// When something was asked for, as far as it matters here: how often the keys had been locked. A lock that comes later
/// counts, however late what was asked for is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked(u64);

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

/// What is in the file.
enum Stored {
    Nothing,
    Keys(Arc<Envelope>),
    /// There is a file, and it cannot be read as one.
    Unusable(Problem),
}

/// What nobody else may know.
struct Unlocked {
    keyring: Keyring,
    file_key: Key,
}

struct State {
    stored: Stored,
    unlocked: Option<Arc<Unlocked>>,
    /// Why it could not be unlocked though it should have been.
    trouble: Option<Problem>,
    /// How often it was locked.
    locks: u64,
    /// What of a TPM there is.
    tpm: String,
    /// The generation of the key that seals for which the store has shown, since this start, that it kept what that sealed.
    taken_up: u32,
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

    /// Forgets everything secret. It waits for nobody.
    pub fn lock(&self) {
        let mut state = self.state();
        state.locks += 1;
        state.unlocked = None;
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
             restart the storage service, then rotate"
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
            Protection::Tpm => Lock::Tpm(means.tpm.seal(&file_key)?),
        };
        Ok((lock, Unlocked { keyring, file_key }))
    }

    /// Writes the file, and only then works with what is in it.
    fn write(&self, means: &Means, asked: Asked, lock: &Lock, unlocked: Unlocked) -> Result<(), Problem> {
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

impl State {
    fn public(&self) -> Option<&Public> {
        match (&self.unlocked, &self.stored) {
            (Some(unlocked), _) => Some(unlocked.keyring.public()),
            (None, Stored::Keys(envelope)) => Some(&envelope.public),
            (None, _) => None,
        }
    }

    fn envelope(&self) -> Result<Arc<Envelope>, Problem> {
        match &self.stored {
            Stored::Keys(envelope) => Ok(envelope.clone()),
            _ => Err(self.why_not()),
        }
    }

    /// Why the keys cannot be used.
    fn why_not(&self) -> Problem {
        match (&self.stored, &self.trouble) {
            (Stored::Nothing, _) => {
                Problem::new(Word::None, "this node has no keys yet: create some, or restore a backup")
            }
            (Stored::Unusable(problem), _) | (_, Some(problem)) => problem.clone(),
            (Stored::Keys(_), None) => Problem::new(Word::Locked, "unlock the keys first"),
        }
    }

    /// Keys that are here and may still be used one day. What is from a newer version is as good as any.
    fn has_usable_keys(&self) -> bool {
        let gone = |problem: &Problem| matches!(problem.word(), Word::Damaged | Word::ProtectionGone);
        match &self.stored {
            Stored::Nothing => false,
            Stored::Unusable(problem) => !gone(problem),
            Stored::Keys(_) => self.unlocked.is_some() || !self.trouble.as_ref().is_some_and(gone),
        }
    }

    /// Takes what was unlocked, unless it was locked since that was asked for.
    fn install(&mut self, asked: Asked, unlocked: Unlocked) -> Result<(), Problem> {
        if self.locks != asked.0 {
            return Err(Problem::new(Word::Locked, "the keys were locked meanwhile"));
        }
        self.unlocked = Some(Arc::new(unlocked));
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

#[cfg(test)]
mod tests;
