//! What was used: totals for each grant, from what services report. Figures, not decisions: they are written to a log of
//! their own now and then, and a crash may lose the last seconds of them.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use capnp::message::{Builder, ReaderOptions};
use schema::log_capnp::used;
use vat::bounds::METERED_METHODS_LIMIT;
use vat::meter::{MethodUsage, OTHER_METHODS};

use crate::state::State;

/// Where the usage log is, in the powerbox's folder.
const FOLDER: &str = "usage";
/// A file is closed at this size, and a new one begins with the totals of all grants that are still listed.
const FILE_LIMIT_BYTES: u64 = 8 << 20;
/// What is read of a file: eight times the limit, which those totals have room in at 4 KiB for a grant whose holder called
/// every method there is, and 4,096 ended grants beside as many that are not.
const READ_LIMIT_BYTES: u64 = 8 * FILE_LIMIT_BYTES;
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
    /// Calls that a caveat forbade: they did not start, and are none of `calls`.
    pub refused: u64,
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

impl LinkTotals {
    /// Adds what the link used since its last report.
    pub fn add(&mut self, more: Totals) {
        self.calls = self.calls.saturating_add(more.calls);
        self.bytes = self.bytes.saturating_add(more.bytes_in).saturating_add(more.bytes_out);
    }
}

/// All that is kept of one grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Used {
    totals: Totals,
    methods: Vec<MethodUsage>,
}

impl Used {
    /// Servers meter so many methods of a link apart; what more there is of all links together is counted with the others.
    fn add_method(&mut self, more: &MethodUsage) {
        let is_known = |method| move |known: &&mut MethodUsage| known.method == method;
        if let Some(known) = self.methods.iter_mut().find(is_known(more.method)) {
            known.add(more);
        } else if self.methods.len() < METERED_METHODS_LIMIT {
            self.methods.push(*more);
        } else if let Some(others) = self.methods.iter_mut().find(is_known(OTHER_METHODS)) {
            others.add(more);
        } else {
            self.methods.push(MethodUsage { method: OTHER_METHODS, ..*more });
        }
    }
}

/// The totals and their log.
#[derive(Debug)]
pub struct UsageLog {
    folder: PathBuf,
    file: Option<File>,
    bytes: u64,
    /// What the file began with: the totals of all grants at that time.
    begun_bytes: u64,
    used: HashMap<u64, Used>,
    changed: BTreeSet<u64>,
}

impl UsageLog {
    /// Reads what was written before. What cannot be read is left out: these are figures.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let mut used = HashMap::new();
        let _ = std::fs::create_dir_all(folder.join(FOLDER));
        for name in NAMES.iter().rev() {
            read_into(&folder.join(name), &mut used);
        }
        let path = folder.join(NAMES[0]);
        let file = File::options().append(true).create(true).open(&path).ok();
        let bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
        Self { folder: folder.to_path_buf(), file, bytes, begun_bytes: 0, used, changed: BTreeSet::new() }
    }

    /// Adds what one link of a grant used since its last report.
    pub fn add(&mut self, grant: u64, more: Totals, methods: &[MethodUsage]) {
        let used = self.used.entry(grant).or_default();
        methods.iter().for_each(|method| used.add_method(method));
        let totals = &mut used.totals;
        totals.calls = totals.calls.saturating_add(more.calls);
        totals.bytes_in = totals.bytes_in.saturating_add(more.bytes_in);
        totals.bytes_out = totals.bytes_out.saturating_add(more.bytes_out);
        totals.errors = totals.errors.saturating_add(more.errors);
        totals.refused = totals.refused.saturating_add(more.refused);
        totals.self_reported |= more.self_reported;
        self.changed.insert(grant);
    }

    /// The totals of a grant.
    #[must_use]
    pub fn of(&self, grant: u64) -> Totals {
        self.used.get(&grant).map(|used| used.totals).unwrap_or_default()
    }

    /// How each method of a grant was used, as far as they are counted apart.
    #[must_use]
    pub fn methods_of(&self, grant: u64) -> &[MethodUsage] {
        self.used.get(&grant).map_or(&[], |used| &used.methods)
    }

    /// Writes the totals that changed.
    pub fn flush(&mut self, state: &State, now_ms: u64) {
        self.used.retain(|grant, _| state.grants.get(*grant).is_some());
        let changed = std::mem::take(&mut self.changed);
        // Where the totals alone take that much, as much again is written before they are repeated.
        if self.bytes > FILE_LIMIT_BYTES.max(2 * self.begun_bytes) {
            self.begin_anew(now_ms);
        } else if !changed.is_empty() {
            let grants: Vec<u64> = changed.into_iter().filter(|grant| self.used.contains_key(grant)).collect();
            self.write(&grants, now_ms);
        }
    }

    fn begin_anew(&mut self, now_ms: u64) {
        let [current, before] = NAMES.map(|name| self.folder.join(name));
        let _ = std::fs::rename(&current, before);
        self.file = File::options().append(true).create(true).open(&current).ok();
        self.bytes = 0;
        let grants: Vec<u64> = self.used.keys().copied().collect();
        self.write(&grants, now_ms);
        self.begun_bytes = self.bytes;
    }

    fn write(&mut self, grants: &[u64], now_ms: u64) {
        let mut bytes = Vec::new();
        for grant in grants {
            let Some(Used { totals, methods }) = self.used.get(grant) else { continue };
            let mut message = Builder::new_default();
            let mut builder = message.init_root::<used::Builder<'_>>();
            builder.set_at_ms(now_ms);
            builder.set_grant(*grant);
            builder.set_calls(totals.calls);
            builder.set_bytes_in(totals.bytes_in);
            builder.set_bytes_out(totals.bytes_out);
            builder.set_errors(totals.errors);
            builder.set_refused(totals.refused);
            builder.set_self_reported(totals.self_reported);
            // at most METERED_METHODS_LIMIT and one
            let mut list = builder.init_methods(methods.len() as u32);
            for (index, method) in (0..).zip(methods) {
                method.write_to(list.reborrow().get(index));
            }
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
fn read_into(path: &Path, used: &mut HashMap<u64, Used>) {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(READ_LIMIT_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return;
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Ok(message) = capnp::serialize::read_message_from_flat_slice(&mut rest, ReaderOptions::new()) else {
            return;
        };
        let Ok(reader) = message.get_root::<used::Reader<'_>>() else { return };
        let totals = Totals {
            calls: reader.get_calls(),
            bytes_in: reader.get_bytes_in(),
            bytes_out: reader.get_bytes_out(),
            errors: reader.get_errors(),
            refused: reader.get_refused(),
            self_reported: reader.get_self_reported(),
        };
        let methods = reader.get_methods().and_then(|list| list.iter().map(MethodUsage::read_from).collect());
        used.insert(reader.get_grant(), Used { totals, methods: methods.unwrap_or_default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::life;
    use vat::words::Method;

    #[test]
    fn totals_survive_and_a_torn_end_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::default();
        for entry in life(3, 100) {
            state.apply(&entry).unwrap();
        }
        let grant = *state.grants.iter().next().unwrap().0;
        let more = Totals { calls: 3, bytes_in: 10, bytes_out: 20, errors: 1, refused: 2, self_reported: false };
        let method = Method { interface: 7, ordinal: 1 };
        let methods = [MethodUsage { method, calls: 3, errors: 1, latency_p50_ns: 40, latency_p99_ns: 90 }];
        let mut usage = UsageLog::open(folder.path());
        usage.add(grant, more, &methods);
        usage.flush(&state, 1);
        usage.add(grant, more, &[MethodUsage { latency_p50_ns: 50, latency_p99_ns: 60, ..methods[0] }]);
        usage.flush(&state, 2);
        let total = usage.of(grant);
        assert_eq!((total.calls, total.refused), (6, 4));
        let both = [MethodUsage { method, calls: 6, errors: 2, latency_p50_ns: 50, latency_p99_ns: 90 }];
        assert_eq!(usage.methods_of(grant), both);
        let read = UsageLog::open(folder.path());
        assert_eq!((read.of(grant), read.methods_of(grant)), (total, &both[..]));
        let path = folder.path().join(NAMES[0]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5);
        std::fs::write(&path, bytes).unwrap();
        let read = UsageLog::open(folder.path());
        assert_eq!((read.of(grant), read.methods_of(grant)), (more, &methods[..]));
    }

    #[test]
    fn a_server_that_reports_every_method_there_is_does_not_make_the_totals_grow() {
        let folder = tempfile::tempdir().unwrap();
        let mut usage = UsageLog::open(folder.path());
        for ordinal in 0..1_000 {
            let method = Method { interface: 7, ordinal };
            let once = MethodUsage { method, calls: 1, errors: 0, latency_p50_ns: 1, latency_p99_ns: 1 };
            usage.add(1, Totals::default(), &[once]);
        }
        let methods = usage.methods_of(1);
        assert_eq!(methods.len(), METERED_METHODS_LIMIT + 1);
        assert_eq!(methods.iter().map(|method| method.calls).sum::<u64>(), 1_000);
    }
}
