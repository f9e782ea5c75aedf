//! The load of the crash tests: `append FILE DEPTH` adds lines to a file of its folder for as long as it may, DEPTH of
//! them under way at any moment. Every line is as long as every other, so that the file's size tells how many calls
//! were carried out. Whatever restarts, it goes on; once the folder is taken from it, it says how many lines were
//! acknowledged to it, and ends.
//!
//! `append FILE only`: adds one line, then tries everything else on the file and its folder, and says what was allowed;
//! gives the folder back, and says what is left of it.
#![forbid(unsafe_code)]

use futures::stream::{FuturesUnordered, StreamExt};
use sdk::{ErrorKind, Folder, ask};
use std::cell::Cell;
use std::io::Write;
use std::process::ExitCode;

/// What one call adds, 16 bytes: the call's number in this run.
fn line(number: u64) -> String {
    format!("{number:>15}\n")
}

fn main() -> ExitCode {
    let arguments = sdk::arguments();
    let (Some(file), depth) = (arguments.first().cloned(), arguments.get(1).and_then(|word| word.parse().ok())) else {
        println!("usage: append FILE DEPTH");
        return ExitCode::from(2);
    };
    match (arguments.get(1).map(String::as_str), depth) {
        (Some("only"), _) => sdk::run(only_add(file)),
        (_, depth) => sdk::run(flood(file, depth.unwrap_or(1))),
    }
}

async fn only_add(file: String) -> sdk::Result<()> {
    let folder: Folder = ask("folder", "to add lines to").append().await?;
    let mut entries = folder.entries();
    let created = folder.create(&file).await?;
    let tried = [
        ("add", folder.append(&file, line(0)).await),
        ("make a folder", folder.make_folder("made").await.map(drop)),
        ("list", entries.next().await.map(drop)),
        ("look", folder.metadata(&file).await.map(drop)),
        ("read", folder.read(&file).await.map(drop)),
        ("read what is open", created.read_at(0, 1).await.map(drop)),
        ("write over", created.write_at(0, "x").await),
        ("truncate", created.truncate(0).await),
        ("rename", folder.rename(&file, "renamed").await),
        ("remove", folder.remove(&file).await),
    ];
    for (what, outcome) in tried {
        println!("{what}: {}", outcome.map_or_else(|error| format!("{:?}", error.kind()), |()| "done".to_owned()));
    }
    sdk::release("folder").await?;
    let after = [folder.append(&file, line(1)).await.err(), created.append(line(2)).await.err()];
    println!("given back: {:?}", after.map(|error| error.map(|error| error.kind())));
    Ok(())
}

async fn flood(file: String, depth: usize) -> sdk::Result<()> {
    let folder: Folder = ask("folder", "to add lines to").append().await?;
    let acknowledged = Cell::new(0);
    loop {
        let Err(error) = add(&folder, &file, depth, &acknowledged).await else { continue };
        // what serves the folder was restarted, or went away for a while: whether the calls under way were carried out
        // is not known, and the next ones go on
        if !matches!(error.kind(), ErrorKind::Disconnected | ErrorKind::Unavailable) {
            println!("acknowledged {}", acknowledged.get());
            return Err(error);
        }
    }
}

/// Adds lines until one cannot be added.
async fn add(folder: &Folder, file: &str, depth: usize, acknowledged: &Cell<u64>) -> sdk::Result<()> {
    let file = folder.create(file).await?;
    let mut under_way = FuturesUnordered::new();
    for number in 0.. {
        if under_way.len() >= depth
            && let Some(answered) = under_way.next().await
        {
            answered?;
            if acknowledged.replace(acknowledged.get() + 1) == 0 {
                println!("begun");
                // nobody reads it any more: then nobody misses it
                let _ = std::io::stdout().flush();
            }
        }
        let file = &file;
        under_way.push(async move { file.append(line(number)).await });
    }
    Ok(())
}
