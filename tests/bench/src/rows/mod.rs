//! The rows. Each measures a subject and its baseline in turns, in one run, and says what it found.

mod cold_start;
mod cut_holds;
mod guarded_call;
mod guest_call;
mod idle_memory;
mod many_links;
mod neighbour;
mod revoke;
mod storage_metadata;
mod storage_open;
mod storage_random;
mod storage_stream;

use crate::outcome::Outcome;
use crate::wasmtime;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Each row under ten seconds; those of the store, which is filled first, under half a minute.
    Quick,
    Full,
}

impl Scale {
    /// One of two counts.
    pub(crate) fn pick(self, quick: u32, full: u32) -> u32 {
        if self == Self::Quick { quick } else { full }
    }

    /// Rounds for one of so many parts of a row: as many as wanted, or fewer on a machine where they take too long.
    pub(crate) fn rounds(self, quick: u32, full: u32, parts: usize) -> impl Iterator<Item = u32> {
        let whole = if self == Self::Quick { QUICK_ROW } else { FULL_ROW };
        let deadline = Instant::now() + whole / u32::try_from(parts.max(1)).unwrap_or(1);
        let in_time = move |round: &u32| *round < ROUNDS_AT_LEAST || Instant::now() < deadline;
        (0..self.pick(quick, full)).take_while(in_time)
    }
}

/// What a quick row may take, without what it takes to set up and to finish a round.
const QUICK_ROW: Duration = Duration::from_secs(6);
const FULL_ROW: Duration = Duration::from_secs(90);
/// Fewer are no measurement.
const ROUNDS_AT_LEAST: u32 = 2;

/// What a row needs where apps are measured: their packages, and the sandbox and the compiler, which a stage has too.
const GUESTS: &str = "guests";

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The programs that it is measured against, beside this one, and [`GUESTS`].
    pub(crate) needs: &'static [&'static str],
    pub(crate) measure: fn(Scale) -> Result<Outcome, String>,
}

/// Every row, in the order in which they run.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "guarded-call.latency",
        about: "native client to service, every caveat on, one call at a time",
        needs: &[],
        measure: guarded_call::latency,
    },
    Row { name: "guarded-call.rate", about: "the same, 64 deep", needs: &[], measure: guarded_call::rate },
    Row {
        name: "guest-call.latency",
        about: "guest to service, against a native client, one call at a time",
        needs: &[GUESTS],
        measure: guest_call::latency,
    },
    Row { name: "guest-call.rate", about: "the same, 64 deep", needs: &[GUESTS], measure: guest_call::rate },
    Row {
        name: "cold-start",
        about: "an installed app's start to its first output",
        needs: &[GUESTS, wasmtime::RELEASED, wasmtime::LEAN],
        measure: cold_start::measure,
    },
    Row {
        name: "revoke.10",
        about: "revoke until cut, and until quiet, with 10 open links",
        needs: &[GUESTS],
        measure: revoke::with_10,
    },
    Row {
        name: "revoke.1000",
        about: "the same with 1,000 open links over 100 holders",
        needs: &[GUESTS],
        measure: revoke::with_1_000,
    },
    Row {
        name: "revoke.10000",
        about: "the same with 10,000 open links over 100 holders",
        needs: &[GUESTS],
        measure: revoke::with_10_000,
    },
    Row {
        name: "idle-memory.app",
        about: "memory of the whole node for each idle app",
        needs: &[GUESTS, wasmtime::RELEASED],
        measure: idle_memory::app,
    },
    Row { name: "idle-memory.node", about: "memory of an idle node", needs: &[], measure: idle_memory::node },
    Row {
        name: "idle-memory.link",
        about: "private memory of a service for each idle link",
        needs: &[],
        measure: idle_memory::link,
    },
    Row {
        name: "neighbour",
        about: "an app's slowest hundredth of calls while another app floods the same service",
        needs: &[],
        measure: neighbour::measure,
    },
    Row {
        name: "many-links.cpu",
        about: "processor time of a service a call, random over 5,000 links",
        needs: &[],
        measure: many_links::measure,
    },
    Row {
        name: "storage.put",
        about: "a large file streamed into the store, to disk",
        needs: &[],
        measure: storage_stream::put,
    },
    Row { name: "storage.get", about: "the same streamed back", needs: &[], measure: storage_stream::get },
    Row {
        name: "storage.random-read",
        about: "4 KiB at random places of a file in the store",
        needs: &[],
        measure: storage_random::read,
    },
    Row {
        name: "storage.random-write",
        about: "the same written, with and without a sync after each",
        needs: &[],
        measure: storage_random::write,
    },
    Row {
        name: "storage.metadata",
        about: "files made, looked at, renamed and removed in the store",
        needs: &[],
        measure: storage_metadata::measure,
    },
    Row {
        name: "storage.open",
        about: "the storage service's start to its first answer, by what is in the store",
        needs: &[],
        measure: storage_open::measure,
    },
    Row {
        name: "cut-holds",
        about: "calls that started although their link had been cut",
        needs: &[],
        measure: cut_holds::measure,
    },
];

/// The rows whose name is one of the words, or else begins with it; all of them without words.
pub(crate) fn selected(words: &[String]) -> Result<Vec<&'static Row>, String> {
    let matches = |row: &Row, word: &String| {
        if ROWS.iter().any(|row| row.name == word) { row.name == word } else { row.name.starts_with(word.as_str()) }
    };
    if let Some(word) = words.iter().find(|word| !ROWS.iter().any(|row| matches(row, word))) {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("no row begins with `{word}`; there are {}", names.join(", ")));
    }
    Ok(ROWS.iter().filter(|row| words.is_empty() || words.iter().any(|word| matches(row, word))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_picked_by_prefix() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            selected(&words).map(|rows| rows.iter().map(|row| row.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), ROWS.len());
        assert_eq!(names(&["guarded-call"]).unwrap(), ["guarded-call.latency", "guarded-call.rate"]);
        assert_eq!(names(&["neighbour", "many"]).unwrap(), ["neighbour", "many-links.cpu"]);
        assert_eq!(names(&["revoke.10"]).unwrap(), ["revoke.10"], "a whole name means that row only");
        assert!(names(&["no-such-row"]).is_err());
        let store = selected(&["storage".into()]).unwrap();
        assert!(store.len() == 6 && store.iter().all(|row| row.needs.is_empty()), "the store needs a node only");
    }
}
