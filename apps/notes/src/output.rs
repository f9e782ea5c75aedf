//! What is printed: lists, lines that were found, versions.

use crate::date;
use crate::failure::Failure;
use crate::history;
use crate::notebook::{Notebook, read, title};
use crate::{EXIT_DONE, EXIT_NONE};
use sdk::ErrorKind;
use std::io::Write;

/// All notes: when each was changed, its name, and its title.
pub(crate) async fn list(notebook: &Notebook, output: &mut impl Write) -> Result<u8, Failure> {
    let notes = notebook.list().await?;
    let width = notes.iter().map(|note| note.name.chars().count()).max().unwrap_or(0);
    for note in &notes {
        let changed = date::show(note.metadata.modified());
        let content = match read(&notebook.directory, &note.name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => continue, // removed meanwhile
            content => content?,
        };
        let title = title(&content, &note.name);
        writeln!(output, "{changed}  {:width$}  {title}", note.name).map_err(Failure::Output)?;
    }
    Ok(if notes.is_empty() { EXIT_NONE } else { EXIT_DONE })
}

/// The notes that have all words, with the lines that have any of them.
pub(crate) async fn find(notebook: &Notebook, words: &[String], output: &mut impl Write) -> Result<u8, Failure> {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let mut is_found = false;
    for note in notebook.list().await? {
        let content = match read(&notebook.directory, &note.name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => continue, // removed meanwhile
            content => content?,
        };
        let text = String::from_utf8_lossy(&content);
        let lower = text.to_lowercase();
        if !words.iter().all(|word| lower.contains(word.as_str())) {
            continue;
        }
        is_found = true;
        for (number, line) in (1..).zip(text.lines()) {
            let lower = line.to_lowercase();
            if words.iter().any(|word| lower.contains(word.as_str())) {
                writeln!(output, "{}:{number}:{line}", note.name).map_err(Failure::Output)?;
            }
        }
    }
    Ok(if is_found { EXIT_DONE } else { EXIT_NONE })
}

/// The versions of a note, the latest first.
pub(crate) async fn history(notebook: &Notebook, name: &str, output: &mut impl Write) -> Result<u8, Failure> {
    let versions = history::versions(notebook, name).await?;
    if versions.is_empty() {
        return Err(Failure::NoNote { name: name.to_owned(), at: None });
    }
    for version in versions.iter().rev() {
        let (number, at) = (version.snapshot.id(), date::show(version.snapshot.at()));
        match version.size_bytes {
            Some(bytes) => writeln!(output, "{number:>6}  {at}  {bytes:>8} bytes"),
            None => writeln!(output, "{number:>6}  {at}  removed"),
        }
        .map_err(Failure::Output)?;
    }
    Ok(EXIT_DONE)
}
