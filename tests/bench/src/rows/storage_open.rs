//! How long the storage service takes to open its store, and how much memory it has then, by what is in the store: after
//! it was stopped in order, and after it was killed.

use super::Scale;
use crate::memory::private_bytes;
use crate::outcome::{Aim, Outcome, Part};
use crate::sample::Sample;
use crate::storage::alone::{Closed, Keys, Opened};
use crate::storage::{CHUNK_BYTES, bytes, calls};
use capnp::capability::FromClientHook;
use futures::stream::{StreamExt, TryStreamExt};
use schema::filesystem_capnp::directory;
use std::path::Path;

/// What is in a store.
#[derive(Clone, Copy)]
enum Content {
    /// One file of so many MiB.
    Large(u32),
    /// So many small files.
    Small(u32),
}

/// Small ones are as large as a note.
const SMALL_BYTES: usize = 512;
/// Files of one directory.
const FILES_A_DIRECTORY: u32 = 1_000;
/// Files that are being made at any time.
const DEPTH: usize = 64;
/// Of opening each store in each way.
const ROUNDS_QUICK: u32 = 3;
const ROUNDS_FULL: u32 = 7;

impl Content {
    fn of(scale: Scale) -> [Self; 5] {
        let [some, more, small_some, small_more] = match scale {
            Scale::Quick => [16, 64, 2_000, 20_000],
            Scale::Full => [128, 1_024, 100_000, 1_000_000],
        };
        [Self::Small(0), Self::Large(some), Self::Large(more), Self::Small(small_some), Self::Small(small_more)]
    }

    fn name(self) -> String {
        match self {
            Self::Small(0) => "empty".into(),
            Self::Large(mebibytes) => format!("{mebibytes} MiB"),
            Self::Small(files) => format!("{files} files"),
        }
    }

    /// What the first call asks about.
    fn asked(self) -> String {
        match self {
            Self::Small(0) => String::new(),
            Self::Large(_) => "large".into(),
            Self::Small(files) => path(files - 1),
        }
    }

    async fn fill(self, root: &directory::Client) -> Result<(), capnp::Error> {
        match self {
            Self::Large(mebibytes) => {
                let file = calls::create(root, "large").await?;
                calls::put(&file, &bytes(CHUNK_BYTES), mebibytes.into()).await
            }
            Self::Small(files) => {
                let content = bytes(SMALL_BYTES);
                for first in (0..files).step_by(FILES_A_DIRECTORY as usize) {
                    let directory = calls::make_directory(root, &folder(first)).await?;
                    let numbers = first..files.min(first + FILES_A_DIRECTORY);
                    let made = futures::stream::iter(numbers)
                        .map(async |number| calls::create_with(&directory, &number.to_string(), &content).await);
                    made.buffer_unordered(DEPTH).try_collect::<Vec<()>>().await?;
                }
                root.sync_request().send().promise.await.map(drop)
            }
        }
    }
}

fn folder(number: u32) -> String {
    (number / FILES_A_DIRECTORY).to_string()
}

fn path(number: u32) -> String {
    format!("{}/{number}", folder(number))
}

/// Of one store, opened after one kind of end.
#[derive(Default)]
struct Seen {
    milliseconds: Sample,
    bytes: Sample,
}

impl Seen {
    fn add(&mut self, opened: &Opened) -> Result<(), String> {
        self.milliseconds.push(opened.took.as_secs_f64() * 1e3);
        self.bytes.push(private_bytes(opened.pid())? as f64);
        Ok(())
    }
}

/// A store, and what was seen of it.
struct Subject {
    content: Content,
    store: Closed,
    stopped: Seen,
    killed: Seen,
}

impl Subject {
    async fn fill(within: &Path, keys: &mut Keys, content: Content) -> Result<Self, String> {
        let store = Closed::make(within, &content.name())?;
        let opened = store.open(keys, "").await?;
        let filled = content.fill(&opened.root.clone().cast_to()).await;
        filled.map_err(|error| format!("cannot fill the store with {}: {error}", content.name()))?;
        opened.stop().await?;
        Ok(Self { content, store, stopped: Seen::default(), killed: Seen::default() })
    }

    /// Opens it after an orderly end, kills it over a change, opens it again, and ends it in order.
    async fn round(&mut self, keys: &mut Keys, number: u32) -> Result<(), String> {
        let asked = self.content.asked();
        let opened = self.store.open(keys, &asked).await?;
        self.stopped.add(&opened)?;
        let root = opened.root.clone().cast_to();
        let changed = calls::create_with(&root, &format!("change-{number}"), &bytes(SMALL_BYTES)).await;
        changed.map_err(|error| format!("cannot change the store: {error}"))?;
        opened.kill();
        let opened = self.store.open(keys, &asked).await?;
        self.killed.add(&opened)?;
        opened.stop().await
    }
}

/// Opens every store in turns.
pub(super) fn measure(scale: Scale) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    crate::storage::alone::open_to_services(folder.path())?;
    let subjects = vat::native::run(async {
        let mut keys = Keys::make(folder.path()).await?;
        let mut subjects = Vec::new();
        for content in Content::of(scale) {
            subjects.push(Subject::fill(folder.path(), &mut keys, content).await?);
        }
        for number in 0..scale.pick(ROUNDS_QUICK, ROUNDS_FULL) {
            for subject in &mut subjects {
                subject.round(&mut keys, number).await?;
            }
        }
        Ok::<_, String>(subjects)
    });
    let subjects = subjects.map_err(|error| format!("no runtime: {error}"))??;
    Ok(Outcome {
        row: "storage.open".into(),
        aim: Aim::Shown,
        unit: "ms",
        against: "an empty store, stopped in order",
        parts: parts(&subjects),
        note: "start of the process to its first answer, which is about one file; small files have 512 bytes; memory: private, after that answer".into(),
    })
}

fn parts(subjects: &[Subject]) -> Vec<Part> {
    let Some(empty) = subjects.first() else { return Vec::new() };
    let mut parts = Vec::new();
    for subject in subjects {
        for (how, seen) in [("stopped", &subject.stopped), ("killed", &subject.killed)] {
            let name = format!("{}, {how}", subject.content.name());
            parts.push(Part::of_medians(name.clone(), &seen.milliseconds, &empty.stopped.milliseconds));
            parts.push(Part::of_medians(name, &seen.bytes, &empty.stopped.bytes).in_unit("bytes"));
        }
    }
    parts
}
