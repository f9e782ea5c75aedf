//! A large file, streamed into the store and back; against the slower of its two parts, sealing and the disk.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::place::Placement;
use crate::sample::Sample;
use crate::storage::{CHUNK_BYTES, Scene, bytes, cache, calls, cipher::Sealed, plain};
use std::time::Instant;

const AGAINST: &str = "the slower of XChaCha20-Poly1305 with BLAKE3 on one core, and a plain file on the same disk";
const NAME: &str = "large";

/// Megabytes of 10^6 bytes a second, of the store and of what it is measured against.
#[derive(Default)]
struct Rates {
    store: Sample,
    cipher: Sample,
    disk: Sample,
    /// Processor time of the storage service and of the client, in milliseconds a MiB.
    service: Sample,
    client: Sample,
}

impl Rates {
    /// What both used for so many chunks.
    fn add_processor_time(&mut self, chunks: u64, before: [u64; 2], after: [u64; 2]) {
        let used = |at: usize| after[at].saturating_sub(before[at]) as f64 / 1e6 / chunks as f64;
        self.service.push(used(0));
        self.client.push(used(1));
    }

    fn processor_time(&self, name: &str) -> String {
        let cipher_ms = CHUNK_BYTES as f64 / 1e3 / self.cipher.p50();
        let (service, client) = (self.service.p50(), self.client.p50());
        format!("{name}: service {service:.2}, client {client:.2}, cipher alone {cipher_ms:.2}")
    }

    /// The store against the slower of the others, and beside it against each.
    fn parts(&self, name: &str) -> Vec<Part> {
        let slower = if self.cipher.p50() < self.disk.p50() { &self.cipher } else { &self.disk };
        vec![
            Part::of_rates(name, &self.store, slower),
            Part::of_rates(format!("{name}, cipher"), &self.store, &self.cipher).aside(),
            Part::of_rates(format!("{name}, disk"), &self.store, &self.disk).aside(),
        ]
    }
}

/// The size of the file, in chunks.
fn chunks(scale: Scale) -> u64 {
    u64::from(scale.pick(256, 1024))
}

/// Megabytes a second of so many chunks.
fn rate(chunks: u64, start: Instant) -> f64 {
    (chunks * CHUNK_BYTES as u64) as f64 / 1e6 / start.elapsed().as_secs_f64()
}

/// Streams in; the sync is inside the timing.
pub(super) fn put(scale: Scale) -> Result<Outcome, String> {
    let found = vat::native::run(async {
        let (scene, mut sealed, chunk) = (Scene::start().await?, Sealed::new()?, bytes(CHUNK_BYTES));
        let (count, path) = (chunks(scale), scene.plain("plain"));
        let (mut parts, mut notes) = (Vec::new(), Vec::new());
        for placement in Placement::busy()?.into_iter().rev() {
            let _awake = scene.place(placement)?;
            let mut rates = Rates::default();
            for _ in scale.rounds(3, 5, 2) {
                let start = Instant::now();
                plain::put(&path, &chunk, count)?;
                rates.disk.push(rate(count, start));
                std::fs::remove_file(&path).map_err(|error| format!("a plain file stays: {error}"))?;

                let failed = |error: capnp::Error| format!("cannot put: {error}");
                let (before, start) = (scene.processor_ns(), Instant::now());
                let file = calls::create(&scene.stored.object, NAME).await.map_err(failed)?;
                calls::put(&file, &chunk, count).await.map_err(failed)?;
                rates.store.push(rate(count, start));
                rates.add_processor_time(count, before, scene.processor_ns());
                drop(file);
                calls::remove(&scene.stored.object, NAME).await.map_err(failed)?;
                scene.tidy().await?;

                let start = Instant::now();
                sealed.put(count)?;
                rates.cipher.push(rate(count, start));
            }
            parts.extend(rates.parts(placement.name()));
            notes.push(rates.processor_time(placement.name()));
        }
        Ok::<_, String>((parts, notes))
    });
    let (parts, notes) = found.map_err(|error| format!("no runtime: {error}"))??;
    Ok(Outcome {
        row: "storage.put".into(),
        aim: Aim::AtLeast(0.8),
        unit: "MB/s",
        against: AGAINST,
        parts,
        note: format!(
            "{} MiB, to disk, in writes of 1 MiB; processor time in ms a MiB: {}",
            chunks(scale),
            notes.join("; ")
        ),
    })
}

/// Streams back, once from the disk and once from what the system has in memory.
pub(super) fn get(scale: Scale) -> Result<Outcome, String> {
    let found = vat::native::run(async {
        let (scene, sealed, chunk) = (Scene::start().await?, Sealed::new()?, bytes(CHUNK_BYTES));
        let (count, path) = (chunks(scale), scene.plain("plain"));
        let length = count * CHUNK_BYTES as u64;
        plain::put(&path, &chunk, count)?;
        let failed = |error: capnp::Error| format!("cannot get: {error}");
        let file = calls::create(&scene.stored.object, NAME).await.map_err(failed)?;
        calls::put(&file, &chunk, count).await.map_err(failed)?;
        calls::compare(&file, &scene.stored.exports, &chunk).await.map_err(failed)?;
        let (mut parts, mut notes, mut shares) = (Vec::new(), Vec::new(), Sample::default());
        for placement in Placement::busy()?.into_iter().rev() {
            let _awake = scene.place(placement)?;
            for from_disk in [true, false] {
                let mut rates = Rates::default();
                for _ in scale.rounds(3, 5, 4) {
                    if from_disk {
                        cache::forget(&path)?;
                        cache::forget(&scene.segments())?;
                    }
                    let start = Instant::now();
                    plain::get(&path, length)?;
                    rates.disk.push(rate(count, start));

                    let read_before = cache::read_from_disk(scene.storage());
                    let (before, start) = (scene.processor_ns(), Instant::now());
                    calls::get(&file, &scene.stored.exports, length).await.map_err(failed)?;
                    rates.store.push(rate(count, start));
                    rates.add_processor_time(count, before, scene.processor_ns());
                    let read_after = cache::read_from_disk(scene.storage());
                    if from_disk && let (Some(before), Some(after)) = (read_before, read_after) {
                        shares.push(after.saturating_sub(before) as f64 * 100.0 / length as f64);
                    }

                    let start = Instant::now();
                    sealed.get(count)?;
                    rates.cipher.push(rate(count, start));
                }
                let source = if from_disk { "from disk" } else { "from memory" };
                let name = format!("{}, {source}", placement.name());
                let found = rates.parts(&name);
                notes.push(rates.processor_time(&name));
                parts.extend(found.into_iter().map(|part| if from_disk { part } else { part.aside() }));
            }
        }
        Ok::<_, String>((parts, notes, shares))
    });
    let (parts, notes, shares) = found.map_err(|error| format!("no runtime: {error}"))??;
    Ok(Outcome {
        row: "storage.get".into(),
        aim: Aim::AtLeast(0.8),
        unit: "MB/s",
        against: AGAINST,
        parts,
        note: format!(
            "{} MiB; from disk: {:.0}% of it was read there; processor time in ms a MiB: {}",
            chunks(scale),
            shares.p50(),
            notes.join("; ")
        ),
    })
}
