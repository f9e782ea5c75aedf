//! Searches the text of the files in the one folder that it was granted: see `--help`.
#![forbid(unsafe_code)]

mod arguments;
mod failure;
mod globs;
mod lines;
mod output;
mod pattern;
mod report;
mod search;
#[cfg(test)]
mod tests;

use arguments::{Command, HELP, Options};
use failure::Failure;
use sdk::{Folder, ask};
use search::{Search, Tally};
use std::io::{Write, stderr, stdout};

/// Something matched.
const EXIT_MATCH: u8 = 0;
/// Nothing did.
const EXIT_NO_MATCH: u8 = 1;
/// The command line, a file or the output was wrong.
const EXIT_ERROR: u8 = 2;
/// The folder was refused or taken back.
const EXIT_CUT: u8 = sdk::EXIT_CUT;

fn main() -> std::process::ExitCode {
    sdk::run(app(sdk::arguments()))
}

async fn app(arguments: Vec<String>) -> u8 {
    match arguments::parse(arguments) {
        Ok(Command::Search(options)) => search(options, stdout(), stderr()).await,
        Ok(Command::Help) => {
            print!("{HELP}");
            EXIT_MATCH
        }
        Ok(Command::Version) => {
            println!("search {}", env!("CARGO_PKG_VERSION"));
            EXIT_MATCH
        }
        Err(error) => {
            eprintln!("search: {error}\nTry: search --help");
            EXIT_ERROR
        }
    }
}

/// Searches, and says on `errors` what was wrong.
async fn search(options: Options, output: impl Write, mut errors: impl Write) -> u8 {
    match attempt(options, output, &mut errors).await {
        Ok(tally) if tally.errors > 0 => EXIT_ERROR,
        Ok(tally) if tally.matches > 0 => EXIT_MATCH,
        Ok(_) => EXIT_NO_MATCH,
        Err(failure) => {
            // where nobody reads it, the exit code still tells
            let _ = writeln!(errors, "search: {failure}");
            failure.exit_code()
        }
    }
}

async fn attempt(options: Options, output: impl Write, errors: impl Write) -> Result<Tally, Failure> {
    // what is wrong with the command line is said before anybody is asked for anything
    let search = Search::new(options, output, errors).map_err(Failure::Usage)?;
    let request = ask::<Folder>("folder", "to search the text of its files");
    let folder = request.hint("the folder to search in").read().await.map_err(Failure::NoFolder)?;
    let (tally, result) = search.run(&folder).await;
    match result {
        Ok(()) => Ok(tally),
        Err(stop) => Err(Failure::Stopped(stop, tally)),
    }
}
