//! Blocks of 4 KiB at random places of a file in the store; against a plain file on the same disk, and aside against
//! the folder service with the same calls.

use super::Scale;
use crate::awake::Awake;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::calls::Numbers;
use crate::place::{Placement, SLEEP_NOTE};
use crate::sample::Sample;
use crate::storage::plain::{self, Blocks};
use crate::storage::{BLOCK_BYTES, CHUNK_BYTES, Scene, bytes, cache, calls};
use schema::filesystem_capnp::file;
use std::time::Instant;

const AGAINST: &str = "the same on a plain file of the same disk";
const NAME: &str = "large";
/// Blocks of a round: long against a switch between what is compared.
const CHEAP_BLOCKS: u32 = 500;
/// The same where each block may take the disk its time.
const DEAR_BLOCKS: u32 = 100;

/// The three files, with the same content.
struct Files {
    scene: Scene,
    stored: file::Client,
    served: file::Client,
    plain: Blocks,
    /// Of each, in blocks.
    blocks: usize,
    numbers: Numbers,
    _awake: Option<Awake>,
}

/// Microseconds of each block.
#[derive(Default)]
struct Times {
    store: Sample,
    folder: Sample,
    plain: Sample,
}

/// What is done with a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Read,
    Write,
    WriteAndSync,
}

impl Files {
    async fn start(scale: Scale) -> Result<Self, String> {
        let failed = |error: capnp::Error| format!("cannot put: {error}");
        let chunks = u64::from(scale.pick(128, 1024));
        let (scene, chunk) = (Scene::start().await?, bytes(CHUNK_BYTES));
        let stored = calls::create(&scene.stored.object, NAME).await.map_err(failed)?;
        calls::put(&stored, &chunk, chunks).await.map_err(failed)?;
        let served = calls::create(&scene.folder.object, NAME).await.map_err(failed)?;
        calls::put(&served, &chunk, chunks).await.map_err(failed)?;
        let path = scene.plain("plain");
        plain::put(&path, &chunk, chunks)?;
        // One core where there is no other; else client and service have one each.
        let placement = Placement::busy()?.pop().ok_or("no core to run on")?;
        let awake = scene.place(placement)?;
        let blocks = chunks as usize * (CHUNK_BYTES / BLOCK_BYTES);
        Ok(Self { scene, stored, served, plain: Blocks::open(&path)?, blocks, numbers: Numbers::new(5), _awake: awake })
    }

    /// A round on each of the three, at the same places.
    async fn round(&mut self, act: Act, count: u32, times: &mut Times) -> Result<(), String> {
        let block = bytes(BLOCK_BYTES);
        let offsets: Vec<u64> = (0..count).map(|_| (self.numbers.below(self.blocks) * BLOCK_BYTES) as u64).collect();
        for offset in &offsets {
            let start = Instant::now();
            match act {
                Act::Read => self.plain.read(*offset)?,
                Act::Write => self.plain.write(*offset, &block, false)?,
                Act::WriteAndSync => self.plain.write(*offset, &block, true)?,
            }
            times.plain.push(start.elapsed().as_secs_f64() * 1e6);
        }
        for (file, sample) in [(&self.stored, &mut times.store), (&self.served, &mut times.folder)] {
            for offset in &offsets {
                let start = Instant::now();
                over_link(file, act, *offset, &block).await.map_err(|error| format!("a block failed: {error}"))?;
                sample.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        Ok(())
    }

    fn forget(&self) -> Result<(), String> {
        let (folder, plain) = (self.scene.plain("folder"), self.scene.plain("plain"));
        [self.scene.segments(), folder, plain].iter().try_for_each(|path| cache::forget(path))
    }
}

async fn over_link(file: &file::Client, act: Act, offset: u64, block: &[u8]) -> Result<(), capnp::Error> {
    match act {
        Act::Read => calls::read(file, offset, BLOCK_BYTES).await,
        Act::Write => calls::write(file, offset, block).await,
        Act::WriteAndSync => {
            calls::write(file, offset, block).await?;
            calls::sync(file).await
        }
    }
}

/// The store against a plain file, and aside against the folder service.
fn parts(name: &str, times: &Times) -> [Part; 2] {
    [
        Part::of_medians(name, &times.store, &times.plain),
        Part::of_medians(format!("{name}, folder service"), &times.store, &times.folder).aside(),
    ]
}

/// Reads, of what the system has in memory and of what it has not.
pub(super) fn read(scale: Scale) -> Result<Outcome, String> {
    let parts = vat::native::run(async {
        let mut files = Files::start(scale).await?;
        let (mut from_memory, mut from_disk) = (Times::default(), Times::default());
        for _ in scale.rounds(10, 40, 2) {
            files.round(Act::Read, CHEAP_BLOCKS, &mut from_memory).await?;
        }
        for _ in scale.rounds(10, 40, 2) {
            files.forget()?;
            files.round(Act::Read, DEAR_BLOCKS, &mut from_disk).await?;
        }
        Ok::<_, String>([parts("from memory", &from_memory), parts("from disk", &from_disk)].concat())
    });
    outcome("storage.random-read", parts.map_err(|error| format!("no runtime: {error}"))??)
}

/// Writes, each on its way to the disk when it likes, and each on the disk before the next.
pub(super) fn write(scale: Scale) -> Result<Outcome, String> {
    let parts = vat::native::run(async {
        let mut files = Files::start(scale).await?;
        let (mut lazy, mut synced) = (Times::default(), Times::default());
        for _ in scale.rounds(10, 40, 2) {
            files.round(Act::Write, CHEAP_BLOCKS, &mut lazy).await?;
        }
        for _ in scale.rounds(10, 40, 2) {
            files.round(Act::WriteAndSync, DEAR_BLOCKS, &mut synced).await?;
        }
        Ok::<_, String>([parts("without sync", &lazy), parts("with sync after each", &synced)].concat())
    });
    outcome("storage.random-write", parts.map_err(|error| format!("no runtime: {error}"))??)
}

fn outcome(row: &str, parts: Vec<Part>) -> Result<Outcome, String> {
    Ok(Outcome {
        row: row.into(),
        aim: Aim::Shown,
        unit: "us",
        against: AGAINST,
        parts,
        note: format!("4 KiB, one at a time; {SLEEP_NOTE}"),
    })
}
