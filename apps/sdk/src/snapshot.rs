//! Snapshots of directories of the store.

use crate::error::Result;
use crate::stored::StoredDirectory;
use schema::storage_capnp::snapshot;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime};

/// That a directory was kept as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    id: u64,
    label: String,
    at_ms: u64,
}

impl Snapshot {
    pub(crate) fn read_from(reader: snapshot::Reader<'_>) -> capnp::Result<Snapshot> {
        let label = String::from_utf8_lossy(reader.get_label()?.as_bytes()).into_owned();
        Ok(Snapshot { id: reader.get_id(), label, at_ms: reader.get_at_ms() })
    }

    /// Its number, for [`StoredDirectory::open_snapshot`]. Later ones have greater numbers.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What whoever made it wrote on it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// When it was made.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.at_ms)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// The snapshots of a directory, one after the other, the latest first: see [`StoredDirectory::snapshots`].
///
/// One that is made meanwhile does not show.
#[must_use = "nothing is asked before `next`"]
pub struct Snapshots {
    directory: StoredDirectory,
    page: VecDeque<Snapshot>,
    /// Those older than this are to come; 0: all.
    before: u64,
    end: bool,
}

impl Snapshots {
    pub(crate) fn new(directory: StoredDirectory) -> Snapshots {
        Snapshots { directory, page: VecDeque::new(), before: 0, end: false }
    }

    /// The next one; nothing when there are no more.
    ///
    /// # Errors
    /// [`ErrorKind::NotPermitted`](crate::ErrorKind::NotPermitted) where the grant does not allow to read.
    pub async fn next(&mut self) -> Result<Option<Snapshot>> {
        if self.page.is_empty() && !self.end {
            self.page = self.directory.snapshots_before(self.before).await?.into();
            // what does not get older is never the end of it
            let last = self.page.back().map(Snapshot::id).filter(|last| self.before == 0 || *last < self.before);
            self.before = last.unwrap_or(0);
            self.end = self.before == 0;
        }
        Ok(self.page.pop_front())
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Snapshots").field("before", &self.before).finish_non_exhaustive()
    }
}
