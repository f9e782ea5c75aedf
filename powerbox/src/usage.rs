//! What was used: totals for each grant, from what services report. Figures, not decisions: they are written to a log of
//! their own now and then, and a crash may lose the last seconds of them.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use capnp::message::{Builder, ReaderOptions};
use schema::log_capnp::used;

use crate::state::State;

/// Where the usage log is, in the powerbox's folder.
const FOLDER: &str = "usage";
/// A file is closed at this size, and a new one begins with the totals of all grants that are still listed.
const FILE_LIMIT_BYTES: u64 = 8 << 20;
/// The current file and the one before are kept.
const NAMES: [&str; 2] = ["usage/current", "usage/before"];

/// Totals of one grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that ended.
    pub calls: u64,
    /// Bytes to the server.
    pub bytes_in: u64,
    /// Bytes from the server.
    pub bytes_out: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Reported by an app about itself.
    pub self_reported: bool,
}

/// What one link has used of its lease so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTotals {
    /// Calls.
    pub calls: u64,
    /// Bytes, both ways.
    pub bytes: u64,
}

/// The totals and their log.
#[derive(Debug)]
pub struct UsageLog {
    folder: PathBuf,
    file: Option<File>,
    bytes: u64,
    totals: HashMap<u64, Totals>,
    links: HashMap<u64, LinkTotals>,
    changed: BTreeSet<u64>,
}

impl UsageLog {
    /// Reads what was written before. What cannot be read is left out: these are figures.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let mut totals = HashMap::new();
        let _ = std::fs::create_dir_all(folder.join(FOLDER));
        for name in NAMES.iter().rev() {
            read_into(&folder.join(name), &mut totals);
        }
        let path = folder.join(NAMES[0]);
        let file = File::options().append(true).create(true).open(&path).ok();
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
        Self { folder: folder.to_path_buf(), file, bytes, totals, links: HashMap::new(), changed: BTreeSet::new() }
    }

    /// Adds what one link used since its last report.
    pub fn add(&mut self, grant: u64, link: u64, more: Totals) {
        let totals = self.totals.entry(grant).or_default();
        totals.calls = totals.calls.saturating_add(more.calls);
        totals.bytes_in = totals.bytes_in.saturating_add(more.bytes_in);
        totals.bytes_out = totals.bytes_out.saturating_add(more.bytes_out);
        totals.errors = totals.errors.saturating_add(more.errors);
        totals.self_reported |= more.self_reported;
        let on_link = self.links.entry(link).or_default();
        on_link.calls = on_link.calls.saturating_add(more.calls);
        on_link.bytes = on_link.bytes.saturating_add(more.bytes_in).saturating_add(more.bytes_out);
        self.changed.insert(grant);
    }

    /// A link has made its last report.
    pub fn forget_link(&mut self, link: u64) {
        self.links.remove(&link);
    }

    /// The totals of a grant.
    #[must_use]
    pub fn of(&self, grant: u64) -> Totals {
        self.totals.get(&grant).copied().unwrap_or_default()
    }

    /// What a link has used so far.
    #[must_use]
    pub fn of_link(&self, link: u64) -> LinkTotals {
        self.links.get(&link).copied().unwrap_or_default()
    }

    /// Writes the totals that changed.
    pub fn flush(&mut self, state: &State, now_ms: u64) {
        self.totals.retain(|grant, _| state.grants.get(*grant).is_some());
        let changed = std::mem::take(&mut self.changed);
        if self.bytes > FILE_LIMIT_BYTES {
            self.begin_anew(now_ms);
        } else if !changed.is_empty() {
            let grants: Vec<u64> = changed.into_iter().filter(|grant| self.totals.contains_key(grant)).collect();
            self.write(&grants, now_ms);
        }
    }

    fn begin_anew(&mut self, now_ms: u64) {
        let [current, before] = NAMES.map(|name| self.folder.join(name));
        let _ = std::fs::rename(&current, before);
        self.file = File::options().append(true).create(true).open(&current).ok();
        self.bytes = 0;
        let grants: Vec<u64> = self.totals.keys().copied().collect();
        self.write(&grants, now_ms);
    }

    fn write(&mut self, grants: &[u64], now_ms: u64) {
        let mut bytes = Vec::new();
        for grant in grants {
            let totals = self.of(*grant);
            let mut message = Builder::new_default();
            let mut builder = message.init_root::<used::Builder<'_>>();
            builder.set_at_ms(now_ms);
            builder.set_grant(*grant);
            builder.set_calls(totals.calls);
            builder.set_bytes_in(totals.bytes_in);
            builder.set_bytes_out(totals.bytes_out);
            builder.set_errors(totals.errors);
            builder.set_self_reported(totals.self_reported);
            bytes.extend_from_slice(&capnp::serialize::write_message_to_words(&message));
        }
        if let Some(file) = &mut self.file
            && file.write_all(&bytes).is_ok()
        {
            self.bytes += bytes.len() as u64;
        }
    }
}

/// The totals in a file, up to the first thing in it that is none.
fn read_into(path: &Path, totals: &mut HashMap<u64, Totals>) {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(2 * FILE_LIMIT_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return;
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Ok(message) = capnp::serialize::read_message_from_flat_slice(&mut rest, ReaderOptions::new()) else {
            return;
        };
        let Ok(reader) = message.get_root::<used::Reader<'_>>() else { return };
        totals.insert(
            reader.get_grant(),
            Totals {
                calls: reader.get_calls(),
                bytes_in: reader.get_bytes_in(),
                bytes_out: reader.get_bytes_out(),
                errors: reader.get_errors(),
                self_reported: reader.get_self_reported(),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::life;

    #[test]
    fn totals_survive_and_a_torn_end_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::default();
        for entry in life(3, 100) {
            state.apply(&entry).unwrap();
        }
        let grant = *state.grants.iter().next().unwrap().0;
        let more = Totals { calls: 3, bytes_in: 10, bytes_out: 20, errors: 1, self_reported: false };
        let mut usage = UsageLog::open(folder.path());
        usage.add(grant, 7, more);
        usage.flush(&state, 1);
        usage.add(grant, 7, more);
        assert_eq!(usage.of_link(7), LinkTotals { calls: 6, bytes: 60 });
        usage.flush(&state, 2);
        let total = usage.of(grant);
        assert_eq!(total.calls, 6);
        assert_eq!(UsageLog::open(folder.path()).of(grant), total);
        let path = folder.path().join(NAMES[0]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(UsageLog::open(folder.path()).of(grant), more);
    }
}
