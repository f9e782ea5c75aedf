//! The store, as soon as it can be used: that takes its keys, which another process has and a person unlocks.
//!
//! The service starts without them. Whoever needs the store then has it opened, so that it works once the keys are there, with
//! nothing to restart.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use files::problem::{Problem, Word};
use tokio::sync::Notify;

use super::problem::problem;
use super::trouble::Troubles;
use crate::store::{Finding, Opened, Store, StoreError};

/// Opens the store. It may wait for the disk.
pub type Opening = Box<dyn Fn() -> Result<(Store, Opened), StoreError> + Send + Sync>;

/// The store of this process, or the way to it.
#[derive(Clone)]
pub struct Vault(Arc<Shared>);

struct Shared {
    opening: Opening,
    troubles: Troubles,
    progress: Mutex<Progress>,
    tried: Condvar,
    refusing: Notify,
}

enum Progress {
    /// Why it could not be used at the last try.
    Failed(Problem),
    /// One thread tries. All others that come wait for what it finds.
    Trying,
    Open(Store),
    /// It was let go of, for good.
    Closed,
}

impl Vault {
    /// Nothing is opened before it is needed.
    #[must_use]
    pub fn new(opening: Opening, troubles: Troubles) -> Vault {
        let progress = Progress::Failed(Problem::new(Word::Locked, "nothing has needed the store yet"));
        let progress = Mutex::new(progress);
        Vault(Arc::new(Shared { opening, troubles, progress, tried: Condvar::new(), refusing: Notify::new() }))
    }

    /// The store. Opens it where that was not done; it blocks.
    ///
    /// # Errors
    /// It cannot be used now: `locked` where that is for want of keys.
    pub fn store(&self) -> Result<Store, Problem> {
        let shared = &*self.0;
        let mut progress = shared.lock();
        if matches!(*progress, Progress::Trying) {
            progress = shared.tried(progress);
            // It was tried since this call came, so the answer is this call's too.
            if let Progress::Failed(problem) = &*progress {
                return Err(problem.clone());
            }
        }
        match &*progress {
            Progress::Open(store) => return Ok(store.clone()),
            Progress::Closed => return Err(Problem::new(Word::Io, "this service is stopping")),
            Progress::Failed(_) | Progress::Trying => {}
        }
        *progress = Progress::Trying;
        drop(progress);
        let mut tried = Tried { shared, now: None };
        let result = (shared.opening)();
        tried.now = Some(match &result {
            Ok((store, _)) => Progress::Open(store.clone()),
            Err(error) => Progress::Failed(problem(error)),
        });
        drop(tried);
        let (store, opened) = result.map_err(|error| self.failed(&error))?;
        self.tell_opened(&opened);
        Ok(store)
    }

    /// Lets go of the store, in order where nobody else uses it. It blocks, and the keys should still answer.
    pub fn close(&self) {
        let mut progress = self.0.tried(self.0.lock());
        let before = std::mem::replace(&mut *progress, Progress::Closed);
        drop(progress);
        drop(before);
    }

    /// What an error of the store is for callers. People are told of what is theirs to act on.
    pub(super) fn failed(&self, error: &StoreError) -> Problem {
        let problem = problem(error);
        if matches!(problem.word(), Word::Damaged | Word::Io) {
            self.tell(&problem.to_string());
        }
        if matches!(error, StoreError::Refusing(_)) {
            self.0.refusing.notify_one();
        }
        problem
    }

    /// A repair found that something is lost, and will not find it again.
    pub(super) fn lost(&self, finding: &Finding) {
        let Finding { place, what, done, .. } = finding;
        self.tell(&format!("lost, found by a repair: {place}: {what} ({done})"));
    }

    /// Waits until the store takes no more writes before it is opened anew: what is on the disk is then to be looked at
    /// afresh. It cannot be here, where its files are open.
    pub async fn refusing(&self) {
        self.0.refusing.notified().await;
    }

    fn tell_opened(&self, opened: &Opened) {
        if let Some(why) = &opened.rebuilt {
            self.tell(&format!("its index was built anew: {why}"));
        }
        if let Some(what) = &opened.cut_off {
            self.tell(&format!("what had not reached the disk when it stopped was cut off: {what}"));
        }
        for damage in &opened.damage {
            self.tell(&format!("damaged: {damage}"));
        }
    }

    fn tell(&self, text: &str) {
        self.0.troubles.tell(&format!("the store: {text}"));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        // It is whole whoever panicked.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of a try that is under way.
    fn tried<'a>(&self, progress: MutexGuard<'a, Progress>) -> MutexGuard<'a, Progress> {
        let waited = self.tried.wait_while(progress, |progress| matches!(progress, Progress::Trying));
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what came of a try, also where that was a panic.
struct Tried<'a> {
    shared: &'a Shared,
    now: Option<Progress>,
}

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        let fault =
            || Progress::Failed(Problem::new(Word::Io, "the store could not be opened by a fault of this service"));
        *self.shared.lock() = self.now.take().unwrap_or_else(fault);
        self.shared.tried.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::serve::troubles;
    use crate::store::KeysError;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A vault whose opening fails in that way, and how often it was tried.
    fn vault(fail: fn() -> StoreError) -> (Vault, Arc<AtomicUsize>, tokio::sync::mpsc::Receiver<String>) {
        let (troubles, told) = troubles();
        let tries = Arc::<AtomicUsize>::default();
        let counted = tries.clone();
        let opening = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(fail())
        };
        (Vault::new(Box::new(opening), troubles), tries, told)
    }

    #[test]
    fn each_call_tries_anew_and_people_hear_only_what_is_theirs_to_act_on() {
        let (locked, tries, mut told) = vault(|| StoreError::Keys(KeysError::Locked));
        for _ in 0..3 {
            assert_eq!(locked.store().err().map(|problem| problem.word()), Some(Word::Locked));
        }
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        assert!(told.try_recv().is_err());
        let (damaged, _, mut told) = vault(|| StoreError::Damaged("segment 3 at 77".to_owned()));
        for _ in 0..3 {
            assert_eq!(damaged.store().err().map(|problem| problem.word()), Some(Word::Damaged));
        }
        assert!(told.try_recv().is_ok_and(|text| text.contains("segment 3 at 77")));
        assert!(told.try_recv().is_err(), "once is enough");
    }

    #[test]
    fn a_fault_while_it_is_opened_fails_that_call_and_no_later_one() {
        let (vault, tries, _told) = vault(|| panic!("a fault, on purpose"));
        for turn in 1..3 {
            let same = vault.clone();
            assert!(std::thread::spawn(move || same.store().map(drop)).join().is_err());
            assert_eq!(tries.load(Ordering::Relaxed), turn);
        }
    }

    #[test]
    fn what_is_closed_is_not_opened_again() {
        let (vault, tries, _told) = vault(|| StoreError::Keys(KeysError::Locked));
        vault.close();
        assert_eq!(vault.store().err().map(|problem| problem.word()), Some(Word::Io));
        assert_eq!(tries.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn all_who_come_at_once_are_answered() {
        let (vault, tries, _told) = vault(|| StoreError::Keys(KeysError::Locked));
        let calls: Vec<_> = (0..32)
            .map(|_| {
                std::thread::spawn({
                    let vault = vault.clone();
                    move || vault.store().err().map(|problem| problem.word())
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), Some(Word::Locked));
        }
        assert!((1..=32).contains(&tries.load(Ordering::Relaxed)));
    }
}
