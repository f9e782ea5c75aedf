//! The app of the benchmarks. Its first argument says what it does:
//!
//! - `hello`: prints a word and ends. It never touches its door, so that plain `wasmtime run` can run it too.
//! - `idle`: prints a word and waits for its standard input to end; likewise.
//! - `rest`: prints a word and waits at its door, as an app does that has nothing to do.
//! - `hold`: asks for its folder, prints a word, and waits at its door.
//! - `calls`: takes orders from its standard input, a line each, and answers each with a line of nanoseconds:
//!   `each N`, the time between one call's arrival at the service and the next, N times; `deep N D`, the time in which N
//!   calls arrived of which D were always under way. The service's answers carry the time, for an app's own clock is coarse.
#![forbid(unsafe_code)]

use futures::stream::{FuturesUnordered, StreamExt};
use sdk::{Folder, ask};
use std::io::Write;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

fn main() -> ExitCode {
    let arguments = sdk::arguments();
    match arguments.first().map(String::as_str) {
        Some("hello") => {
            say("hello");
            ExitCode::SUCCESS
        }
        Some("idle") => {
            say("idle");
            std::io::stdin().lines().for_each(drop);
            ExitCode::SUCCESS
        }
        Some("rest") => {
            say("rest");
            sdk::run(sdk::stopping())
        }
        Some("hold") => sdk::run(hold()),
        Some("calls") => sdk::run(calls()),
        _ => {
            say("usage: bench hello | idle | rest | hold | calls");
            ExitCode::from(2)
        }
    }
}

/// A line that goes out at once.
fn say(line: &str) {
    println!("{line}");
    // nobody reads it any more: then nobody misses it
    let _ = std::io::stdout().flush();
}

async fn hold() -> sdk::Result<()> {
    let _held: Folder = ask("folder", "to be called").read().await?;
    say("hold");
    sdk::stopping().await;
    Ok(())
}

async fn calls() -> sdk::Result<()> {
    let folder: Folder = ask("folder", "to be called").read().await?;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(0);
        match words.first() {
            Some(&"each") => {
                let gaps: Vec<String> = each(&folder, number(1)).await?.iter().map(u64::to_string).collect();
                say(&gaps.join(" "));
            }
            Some(&"deep") => say(&deep(&folder, number(1), number(2)).await?.to_string()),
            _ => say("?"),
        }
    }
    Ok(())
}

/// When the service took the call, by its own clock.
async fn call(folder: &Folder) -> sdk::Result<u64> {
    let moment = folder.metadata("").await?.modified();
    Ok(moment.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0)))
}

async fn each(folder: &Folder, count: u64) -> sdk::Result<Vec<u64>> {
    let mut before = call(folder).await?;
    let mut gaps = Vec::new();
    for _ in 0..count {
        let now = call(folder).await?;
        gaps.push(now.saturating_sub(before));
        before = now;
    }
    Ok(gaps)
}

async fn deep(folder: &Folder, count: u64, depth: u64) -> sdk::Result<u64> {
    let mut running = FuturesUnordered::new();
    let (mut first, mut last) = (u64::MAX, 0);
    for begun in 0..count {
        if begun >= depth
            && let Some(answered) = running.next().await
        {
            let moment = answered?;
            (first, last) = (first.min(moment), last.max(moment));
        }
        running.push(call(folder));
    }
    while let Some(answered) = running.next().await {
        let moment = answered?;
        (first, last) = (first.min(moment), last.max(moment));
    }
    Ok(last.saturating_sub(first))
}
