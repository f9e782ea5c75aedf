//! Keeps notes in the one directory of the store that it was granted: see `--help`.
#![forbid(unsafe_code)]

mod arguments;
mod date;
mod failure;
mod history;
mod name;
mod notebook;
mod output;
#[cfg(test)]
mod tests;

use arguments::{Command, HELP, Text};
use failure::Failure;
use notebook::{NOTE_LIMIT_BYTES, Notebook};
use sdk::{StoredDirectory, ask};
use std::io::{Read, Write, stderr, stdin, stdout};

/// It was done.
const EXIT_DONE: u8 = 0;
/// Nothing was found.
const EXIT_NONE: u8 = 1;
/// The command line, a note or the output was wrong.
const EXIT_ERROR: u8 = 2;
/// The directory was refused or taken back.
const EXIT_CUT: u8 = sdk::EXIT_CUT;

fn main() -> std::process::ExitCode {
    sdk::run(app(sdk::arguments()))
}

async fn app(arguments: Vec<String>) -> u8 {
    run(arguments, stdin(), stdout(), stderr()).await
}

/// Does what the command line says, and says on `errors` what was wrong.
async fn run(arguments: Vec<String>, input: impl Read, mut output: impl Write, mut errors: impl Write) -> u8 {
    let result = match arguments::parse(arguments) {
        Ok(command) => attempt(command, input, &mut output).await,
        Err(error) => Err(Failure::Usage(error)),
    };
    let code = result.unwrap_or_else(|failure| {
        // where nobody reads it, the exit code still tells
        let _ = writeln!(errors, "notes: {failure}");
        failure.exit_code()
    });
    // what was done stays done where nobody reads of it, but that is not all that was asked for
    output.flush().map_or(EXIT_ERROR.max(code), |()| code)
}

async fn attempt(command: Command, input: impl Read, output: &mut impl Write) -> Result<u8, Failure> {
    // what is wrong with the command line or the input is said before anybody is asked for anything
    match command {
        Command::Help => output.write_all(HELP.as_bytes()).map_err(Failure::Output)?,
        Command::Version => writeln!(output, "notes {}", env!("CARGO_PKG_VERSION")).map_err(Failure::Output)?,
        Command::Add { title, text } => {
            let (name, text) = (name::from_title(&title)?, read_text(text, input)?);
            let snapshot = open().await?.add(&name, &title, &text).await?;
            writeln!(output, "{name}: kept as version {}", snapshot.id()).map_err(Failure::Output)?;
        }
        Command::Edit { name, text } => {
            let (name, text) = (name::from_title(&name)?, read_text(text, input)?);
            match open().await?.edit(&name, &text).await? {
                Some(snapshot) => writeln!(output, "{name}: kept as version {}", snapshot.id()),
                None => writeln!(output, "{name}: nothing changed"),
            }
            .map_err(Failure::Output)?;
        }
        Command::Remove { name } => {
            let name = name::from_title(&name)?;
            let snapshot = open().await?.remove(&name).await?;
            let before = snapshot.id();
            writeln!(output, "{name}: removed. 'notes history {name}' shows what it was (removed in version {before})")
                .map_err(Failure::Output)?;
        }
        Command::Show { name, at } => {
            let name = name::from_title(&name)?;
            let content = open().await?.show(&name, at).await?;
            output.write_all(&content).map_err(Failure::Output)?;
        }
        Command::List => return output::list(&open().await?, output).await,
        Command::Find { words } => return output::find(&open().await?, &words, output).await,
        Command::History { name } => return output::history(&open().await?, &name::from_title(&name)?, output).await,
    }
    Ok(EXIT_DONE)
}

async fn open() -> Result<Notebook, Failure> {
    let request = ask::<StoredDirectory>("notes", "to keep your notes in");
    let directory = request.hint("the directory that your notes are kept in").write().await;
    directory.map(Notebook::new).map_err(Failure::NoDirectory)
}

/// The text that was given, or that stands on the input.
fn read_text(text: Text, input: impl Read) -> Result<String, Failure> {
    let text = match text {
        Text::Given(text) => text,
        Text::Input => {
            let mut bytes = vec![];
            // one byte more shows that there is too much
            let limit = NOTE_LIMIT_BYTES as u64 + 1;
            input.take(limit).read_to_end(&mut bytes).map_err(Failure::Input)?;
            String::from_utf8(bytes).map_err(|_| Failure::NotText)?
        }
    };
    if text.len() > NOTE_LIMIT_BYTES { Err(Failure::TooLong) } else { Ok(text) }
}
