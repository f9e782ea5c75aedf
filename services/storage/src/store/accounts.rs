//! Whose bytes are whose, and whether there is room for more. All of it happens with the log locked, so that no two
//! writers are promised the same byte.

use std::collections::BTreeMap;
use std::sync::{PoisonError, Weak};

use super::error::{Outcome, Shortage, StoreError};
use super::format::{FRAME_HEAD_BYTES, ItemHead, ItemKind, numbers, part_of};
use super::index::{ACCOUNT, PARENT, key};
use super::log::{Draft, Log};
use super::shared::Shared;

/// What is stored counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The grant; not 0.
    pub grant: u64,
    /// How much it may store; `u64::MAX`: as much as there is room for.
    pub quota_bytes: u64,
}

/// What there is to write with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of the innermost account, or of the whole store where there is none.
    pub used_bytes: u64,
    /// 0: none.
    pub quota_bytes: u64,
    /// What can be written now, at least.
    pub free_bytes: u64,
}

/// Disk room that ordinary writes leave, so that removals, commits and compaction still go on a full disk. The largest
/// of them is a commit with all that it can name (9 MiB, and as a rule a few kB) beside a batch that compaction copies (1 MiB); sled's
/// index has none of what a commit names.
pub const MARGIN_BYTES: u64 = 16 << 20;

/// Room that was set aside. What was not used is given back when it is dropped.
pub struct Reservation {
    shared: Weak<Shared>,
    id: u64,
}

#[derive(Clone, Debug)]
struct Reserved {
    accounts: Vec<Account>,
    left: u64,
}

/// What is set aside.
#[derive(Default)]
pub(crate) struct Reservations {
    next: u64,
    all: BTreeMap<u64, Reserved>,
}

impl Reservations {
    /// What others than these have set aside, of an account or of the disk.
    fn of_others(&self, mine: Option<u64>, account: Option<u64>) -> u64 {
        let counts = |reserved: &&Reserved| {
            reserved.accounts.first().map(|account| account.grant) != mine
                && account.is_none_or(|grant| reserved.accounts.iter().any(|account| account.grant == grant))
        };
        self.all.values().filter(counts).fold(0, |sum, reserved| sum.saturating_add(reserved.left))
    }

    /// Everything that is set aside of an account.
    pub(crate) fn of_account(&self, grant: u64) -> u64 {
        self.of_others(None, Some(grant))
    }

    /// Takes bytes that were written from what the writer set aside.
    fn take(&mut self, mine: Option<u64>, mut bytes: u64) {
        for reserved in self.all.values_mut().filter(|one| one.accounts.first().map(|account| account.grant) == mine) {
            let taken = reserved.left.min(bytes);
            reserved.left -= taken;
            bytes -= taken;
        }
    }
}

impl Reservation {
    /// How much is left of it.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.shared.upgrade().map_or(0, |shared| {
            let reservations = shared.reservations.lock().unwrap_or_else(PoisonError::into_inner);
            reservations.all.get(&self.id).map_or(0, |reserved| reserved.left)
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.reservations.lock().unwrap_or_else(PoisonError::into_inner).all.remove(&self.id);
        }
    }
}

/// The grant that bytes are charged to first.
pub(crate) fn innermost(accounts: &[Account]) -> u64 {
    accounts.first().map_or(0, |account| account.grant)
}

fn no_space(asked_bytes: u64, left_bytes: u64) -> StoreError {
    StoreError::NoSpace(Some(Shortage { asked_bytes, left_bytes }))
}

impl Shared {
    /// Refuses a frame for which there is no room, and adds to it what has to be said of new accounts.
    pub(crate) fn admit(&self, log: &Log, draft: &mut Draft, accounts: &[Account]) -> Outcome<()> {
        self.push_accounts(draft, accounts)?;
        let bytes = draft.whole_bytes();
        self.has_room(log, accounts, bytes)?;
        let mine = accounts.first().map(|account| account.grant);
        let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        reservations.take(mine, bytes);
        Ok(())
    }

    fn push_accounts(&self, draft: &mut Draft, accounts: &[Account]) -> Outcome<()> {
        for pair in accounts.windows(2) {
            let (grant, around) = (pair[0].grant, pair[1].grant);
            let row = self.read_index(|index| index.newest(&key(PARENT, &[&grant.to_be_bytes()]), u64::MAX))?;
            if row.is_none_or(|(_, row)| numbers(&row.extra).1 != around) {
                let head = ItemHead::new(ItemKind::Account, [0; 16], [0; 16], draft.sequence);
                draft.push(head.with_part(part_of(grant, around)), &[])?;
            }
        }
        Ok(())
    }

    fn used(&self, grant: u64) -> Outcome<u64> {
        self.read_index(|index| index.number(&key(ACCOUNT, &[&grant.to_be_bytes()])))
    }

    fn has_room(&self, log: &Log, accounts: &[Account], bytes: u64) -> Outcome<()> {
        let reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = accounts.first().map(|account| account.grant);
        for account in accounts {
            let used = self.used(account.grant)?;
            let others = reservations.of_others(mine, Some(account.grant));
            let taken = used.saturating_add(others);
            if taken.saturating_add(bytes) > account.quota_bytes {
                let (grant, quota_bytes) = (account.grant, account.quota_bytes);
                let left_bytes = quota_bytes.saturating_sub(taken);
                return Err(StoreError::Quota {
                    grant,
                    quota_bytes,
                    short: Shortage { asked_bytes: bytes, left_bytes },
                });
            }
        }
        let others = reservations.of_others(mine, None);
        let free = self.disk_bytes(log)?.saturating_sub(others);
        if bytes > free { Err(no_space(bytes, free)) } else { Ok(()) }
    }

    /// What ordinary writes may take of the disk.
    fn disk_bytes(&self, _log: &Log) -> Outcome<u64> {
        Ok(self.segments.files.free_bytes()?.saturating_sub(MARGIN_BYTES))
    }

    /// Refuses what would take the last of the disk. Compaction may take from the margin, but not all of it.
    pub(crate) fn need_margin(&self, bytes: u64) -> Outcome<()> {
        let free = self.segments.files.free_bytes()?;
        let kept = MARGIN_BYTES / 2;
        if bytes + kept > free { Err(no_space(bytes, free.saturating_sub(kept))) } else { Ok(()) }
    }

    pub(crate) fn reserve(&self, accounts: &[Account], bytes: u64) -> Outcome<Reservation> {
        let log = self.lock_log();
        log.usable()?;
        // What this grant set aside before stays set aside.
        let mine = accounts.first().map(|account| account.grant);
        let before: u64 = {
            let reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
            let own = |one: &&Reserved| one.accounts.first().map(|account| account.grant) == mine;
            reservations.all.values().filter(own).fold(0, |sum, one| sum.saturating_add(one.left))
        };
        self.has_room(&log, accounts, before.saturating_add(bytes))?;
        let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        reservations.next += 1;
        let id = reservations.next;
        reservations.all.insert(id, Reserved { accounts: accounts.to_vec(), left: bytes });
        Ok(Reservation { shared: self.me.clone(), id })
    }

    pub(crate) fn room(&self, accounts: &[Account]) -> Outcome<Room> {
        let log = self.lock_log();
        let reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = accounts.first().map(|account| account.grant);
        let mut free = self.disk_bytes(&log)?.saturating_sub(reservations.of_others(mine, None));
        for account in accounts {
            let taken = self.used(account.grant)?.saturating_add(reservations.of_others(mine, Some(account.grant)));
            free = free.min(account.quota_bytes.saturating_sub(taken));
        }
        let (used_bytes, quota_bytes) = match accounts.first() {
            Some(account) if account.quota_bytes == u64::MAX => (self.used(account.grant)?, 0),
            Some(account) => (self.used(account.grant)?, account.quota_bytes),
            None => (self.segments.bytes(), 0),
        };
        // A write takes more than its bytes: each sector has 128 beside it, a frame its heads.
        let beside = free / 100 + FRAME_HEAD_BYTES as u64 + 1_024;
        Ok(Room { used_bytes, quota_bytes, free_bytes: free.saturating_sub(beside) })
    }
}
