//! What there is, for the node's operators.

use std::sync::PoisonError;

use super::error::Outcome;
use super::format::Take;
use super::index::{ACCOUNT, COUNT, Row, SEGMENT, SNAPSHOT, key, row_damaged};
use super::shared::Shared;

/// What the store has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Why it cannot be used, or not fully; empty: it can.
    pub trouble: String,
    /// Files on the disk.
    pub segments: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Of these, what something uses.
    pub live_bytes: u64,
    /// Files that are stored.
    pub files: u64,
    /// Directories, the root among them.
    pub directories: u64,
    /// Of all directories.
    pub snapshots: u64,
    /// Since it was made.
    pub commits: u64,
    /// What commits are signed with; nothing while the keys cannot say.
    pub public_key: Option<[u8; 32]>,
    /// Whose bytes are stored.
    pub accounts: Vec<AccountStatus>,
}

/// What one grant stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// Whose.
    pub grant: u64,
    /// Bytes.
    pub used_bytes: u64,
    /// Bytes that were set aside and not used yet.
    pub reserved_bytes: u64,
}

impl Shared {
    pub(crate) fn status(&self) -> Status {
        let mut status = Status::default();
        if let Err(error) = self.fill_status(&mut status) {
            status.trouble = error.to_string();
        }
        status
    }

    fn fill_status(&self, status: &mut Status) -> Outcome<()> {
        status.public_key = self.keys.public_key().ok();
        let compaction = self.compaction_trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.trouble = compaction.unwrap_or_default();
        {
            let log = self.lock_log();
            status.commits = log.commits;
            if let Some(broken) = &log.broken {
                broken.why().clone_into(&mut status.trouble);
            }
        }
        let doubt = self.doubt.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, why)) = &doubt.all_until {
            status.trouble.clone_from(why);
        }
        drop(doubt);
        let segments = self.segments.all();
        status.segments = segments.len() as u64;
        status.bytes = segments.values().map(|segment| segment.length).sum();
        let reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_index(|index| {
            let number = |value: &[u8]| Take(value).u64().ok_or_else(row_damaged);
            index.scan(&[SEGMENT], &[], |_, value| {
                status.live_bytes += number(value)?;
                Ok(true)
            })?;
            status.files = index.number(&key(COUNT, &[&[0]]))?;
            status.directories = index.number(&key(COUNT, &[&[1]]))?;
            index.scan(&[SNAPSHOT], &[], |_, value| {
                status.snapshots += u64::from(!Row::decode(value).ok_or_else(row_damaged)?.gone);
                Ok(true)
            })?;
            index.scan(&[ACCOUNT], &[], |key, value| {
                let grant = Take(&key[1..]).array().map(u64::from_be_bytes).ok_or_else(row_damaged)?;
                let reserved_bytes = reservations.of_account(grant);
                status.accounts.push(AccountStatus { grant, used_bytes: number(value)?, reserved_bytes });
                Ok(true)
            })
        })
    }
}
