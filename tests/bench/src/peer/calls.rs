//! A client's calls and their times.

use super::order::Load;
use futures::stream::{FuturesUnordered, StreamExt};
use schema::filesystem_capnp::directory;
use std::time::Instant;

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of so many.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }
}

/// What a load took.
pub(crate) enum Took {
    Each(Vec<u64>),
    All(u64),
}

/// One call: small in both directions.
pub(crate) async fn call(object: &directory::Client) -> Result<(), capnp::Error> {
    let response = object.stat_request().send().promise.await?;
    let size = response.get()?.get_metadata()?.get_size();
    if size == u64::MAX { Err(capnp::Error::failed("not what was served".into())) } else { Ok(()) }
}

/// Calls as the load says.
pub(crate) async fn run(load: Load, objects: &[directory::Client], numbers: &mut Numbers) -> Result<Took, String> {
    match load {
        Load::OneAtATime { calls } => {
            let picked = (0..calls).map(|_| &objects[numbers.below(objects.len())]);
            one_at_a_time(picked).await
        }
        Load::EachOnce => one_at_a_time(objects.iter()).await,
        Load::Deep { calls, depth } => deep(calls, depth, objects, numbers).await,
    }
    .map_err(|error| format!("a call failed: {error}"))
}

async fn one_at_a_time<'a>(objects: impl Iterator<Item = &'a directory::Client>) -> Result<Took, capnp::Error> {
    let mut each = Vec::new();
    for object in objects {
        let start = Instant::now();
        call(object).await?;
        each.push(start.elapsed().as_nanos() as u64);
    }
    Ok(Took::Each(each))
}

async fn deep(
    calls: u32,
    depth: u32,
    objects: &[directory::Client],
    numbers: &mut Numbers,
) -> Result<Took, capnp::Error> {
    let start = Instant::now();
    let mut running = FuturesUnordered::new();
    for begun in 0..calls {
        if begun >= depth {
            running.next().await.transpose()?;
        }
        running.push(call(&objects[numbers.below(objects.len())]));
    }
    while running.next().await.transpose()?.is_some() {}
    Ok(Took::All(start.elapsed().as_nanos() as u64))
}

/// Calls until a call fails: the link has ended.
pub(crate) async fn flood(depth: u32, objects: Vec<directory::Client>) {
    let mut numbers = Numbers::new(u64::from(depth));
    let mut running = FuturesUnordered::new();
    for _ in 0..depth {
        running.push(call(&objects[numbers.below(objects.len())]));
    }
    while let Some(Ok(())) = running.next().await {
        running.push(call(&objects[numbers.below(objects.len())]));
    }
}
