//! Making, looking at, renaming and removing files in the store; against the folder service with the same calls.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::place::{Placement, SLEEP_NOTE};
use crate::sample::Sample;
use crate::storage::{Scene, calls};
use futures::stream::{StreamExt, TryStreamExt};
use schema::filesystem_capnp::directory;
use std::time::Instant;

/// Files of a round.
const FILES: u32 = 200;
/// Calls on their way where there is more than one.
const DEPTH: usize = 16;

/// What is done with each file in turn.
#[derive(Clone, Copy)]
enum Act {
    Create,
    Stat,
    Rename,
    Remove,
}

const ACTS: [(Act, &str); 4] =
    [(Act::Create, "create"), (Act::Stat, "stat"), (Act::Rename, "rename"), (Act::Remove, "remove")];

impl Act {
    async fn on(self, at: &directory::Client, number: u32) -> Result<(), capnp::Error> {
        let (name, other) = (format!("file-{number}"), format!("moved-{number}"));
        match self {
            Act::Create => calls::create(at, &name).await.map(drop),
            Act::Stat => calls::stat(at, &name).await.map(drop),
            Act::Rename => calls::rename(at, &name, &other).await,
            Act::Remove => calls::remove(at, &other).await,
        }
    }

    /// Does it with every file, so many at once; calls a second.
    async fn round(self, at: &directory::Client, depth: usize) -> Result<f64, String> {
        let start = Instant::now();
        let calls = futures::stream::iter(0..FILES).map(|number| self.on(at, number));
        let done = calls.buffer_unordered(depth).try_collect::<Vec<()>>().await;
        done.map_err(|error| format!("a call failed: {error}"))?;
        Ok(f64::from(FILES) / start.elapsed().as_secs_f64())
    }
}

/// Calls a second, one at a time and several at once.
pub(super) fn measure(scale: Scale) -> Result<Outcome, String> {
    let parts = vat::native::run(async {
        let scene = Scene::start().await?;
        let _awake = scene.place(Placement::busy()?.pop().ok_or("no core to run on")?)?;
        let depths = [1, DEPTH];
        let mut parts = Vec::new();
        for depth in depths {
            let mut rates: [(Sample, Sample); ACTS.len()] = Default::default();
            for _ in scale.rounds(8, 40, depths.len()) {
                for ((act, _), (store, folder)) in ACTS.into_iter().zip(&mut rates) {
                    store.push(act.round(&scene.stored.object, depth).await?);
                    folder.push(act.round(&scene.folder.object, depth).await?);
                }
            }
            for ((_, name), (store, folder)) in ACTS.into_iter().zip(&rates) {
                let name = if depth == 1 { name.to_owned() } else { format!("{name}, {depth} at once") };
                parts.push(Part::of_rates(name, store, folder));
            }
        }
        Ok::<_, String>(parts)
    });
    Ok(Outcome {
        row: "storage.metadata".into(),
        aim: Aim::Shown,
        unit: "calls/s",
        against: "the folder service with the same calls",
        parts: parts.map_err(|error| format!("no runtime: {error}"))??,
        note: format!("{FILES} files in one directory, nothing is synced by either; {SLEEP_NOTE}"),
    })
}
