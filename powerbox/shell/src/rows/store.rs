//! `latch fsck` and `latch store`.

use schema::storage_capnp::{account, finding, status};
use serde::Serialize;

use super::text;
use crate::failure::Outcome;
use crate::text::escape;
use crate::text::words::hex;

/// Something that a check found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StoreFinding {
    /// `note`, `repaired` or `lost`.
    pub(crate) severity: &'static str,
    /// Such as `segment 12 at 4096`.
    #[serde(rename = "where")]
    pub(crate) place: String,
    pub(crate) what: String,
    /// What was done about it; empty: nothing.
    pub(crate) done: String,
}

impl StoreFinding {
    pub(crate) fn read(reader: finding::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            severity: match reader.get_severity()? {
                finding::Severity::Note => "note",
                finding::Severity::Repaired => "repaired",
                finding::Severity::Lost => "lost",
            },
            place: text(reader.get_where())?,
            what: text(reader.get_what())?,
            done: text(reader.get_done())?,
        })
    }

    /// For people, escaped.
    pub(crate) fn lines(&self) -> String {
        let done = if self.done.is_empty() { String::new() } else { format!("\n  {}", escape::line(&self.done)) };
        format!("{}: {}: {}{done}\n", self.severity, escape::line(&self.place), escape::line(&self.what))
    }
}

/// The store.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StoreStatus {
    pub(crate) unlocked: bool,
    /// Why it cannot be used; empty: it can.
    pub(crate) trouble: String,
    pub(crate) segments: u64,
    /// On the disk.
    pub(crate) bytes: u64,
    /// Of these, what something uses.
    pub(crate) live_bytes: u64,
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) snapshots: u64,
    pub(crate) commits: u64,
    /// What commits and capabilities are signed with.
    pub(crate) public_key: String,
    /// Its hash, by which others elsewhere know the store; null: the keys are locked.
    pub(crate) root: Option<String>,
    pub(crate) accounts: Vec<StoreAccount>,
}

impl StoreStatus {
    pub(crate) fn read(reader: status::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            unlocked: reader.get_unlocked(),
            trouble: text(reader.get_trouble())?,
            segments: reader.get_segments(),
            bytes: reader.get_bytes(),
            live_bytes: reader.get_live_bytes(),
            files: reader.get_files(),
            directories: reader.get_directories(),
            snapshots: reader.get_snapshots(),
            commits: reader.get_commits(),
            public_key: hex(reader.get_public_key()?),
            root: principal(reader.get_public_key()?),
            accounts: reader.get_accounts()?.iter().map(StoreAccount::read).collect(),
        })
    }
}

fn principal(public_key: &[u8]) -> Option<String> {
    Some(caps::PublicKey(public_key.try_into().ok()?).principal().to_string())
}

/// What one grant stores.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StoreAccount {
    pub(crate) grant: u64,
    /// `INSTANCE:LABEL`; null: the grant is not known any more.
    pub(crate) holder: Option<String>,
    /// What it was granted; null: as above.
    pub(crate) offer: Option<String>,
    /// A person's own use, which ended with their command.
    pub(crate) by_hand: bool,
    pub(crate) used_bytes: u64,
    pub(crate) reserved_bytes: u64,
}

impl StoreAccount {
    fn read(reader: account::Reader<'_>) -> Self {
        Self {
            grant: reader.get_grant(),
            holder: None,
            offer: None,
            by_hand: false,
            used_bytes: reader.get_used_bytes(),
            reserved_bytes: reader.get_reserved_bytes(),
        }
    }
}

#[cfg(test)]
impl StoreStatus {
    /// For tests: what these grants keep in it.
    pub(crate) fn example(grants: &[u64]) -> Self {
        let account = |&grant| StoreAccount {
            grant,
            holder: None,
            offer: None,
            by_hand: false,
            used_bytes: 2048,
            reserved_bytes: 0,
        };
        Self {
            unlocked: true,
            trouble: String::new(),
            segments: 1,
            bytes: 4096,
            live_bytes: 3072,
            files: 2,
            directories: 1,
            snapshots: 0,
            commits: 9,
            public_key: "00".into(),
            root: Some("aa".into()),
            accounts: grants.iter().map(account).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_and_what_was_done_and_steers_nothing() {
        let mut finding = StoreFinding {
            severity: "lost",
            place: "/notes/\u{1b}[2Ja".into(),
            what: "a sector does not open".into(),
            done: String::new(),
        };
        assert_eq!(finding.lines(), "lost: /notes/\\x1b[2Ja: a sector does not open\n");
        finding.done = "set aside".into();
        assert!(finding.lines().ends_with("does not open\n  set aside\n"));
    }
}
