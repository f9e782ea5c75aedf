//! The versions of one note: the snapshots are gone through, and those count where the note is another than before.

use crate::failure::Failure;
use crate::name::file;
use crate::notebook::{Notebook, read};
use sdk::{ErrorKind, Snapshot, StoredDirectory};
use std::time::SystemTime;

/// One version of a note.
pub(crate) struct Version {
    /// The first snapshot that has it.
    pub(crate) snapshot: Snapshot,
    /// How large it is; nothing: the note was removed.
    pub(crate) size_bytes: Option<u64>,
}

/// The note in one snapshot.
struct Seen {
    /// What tells without reading that it is the same.
    mark: (u64, u64, SystemTime),
    content: Vec<u8>,
}

/// The versions of a note, the earliest first.
pub(crate) async fn versions(notebook: &Notebook, name: &str) -> Result<Vec<Version>, Failure> {
    let (mut listed, mut snapshots) = (notebook.directory.snapshots(), vec![]);
    while let Some(snapshot) = listed.next().await? {
        snapshots.push(snapshot);
    }
    let (mut versions, mut before): (Vec<Version>, Option<Seen>) = (vec![], None);
    for snapshot in snapshots.into_iter().rev() {
        let directory = match notebook.directory.open_snapshot(snapshot.id()).await {
            Err(error) if error.kind() == ErrorKind::UnknownSnapshot => continue, // dropped meanwhile
            opened => opened?,
        };
        let now = look(&directory, name, before.as_ref()).await?;
        let is_another = match (&before, &now) {
            (Some(before), Some(now)) => before.content != now.content,
            (None, None) => false,
            _ => true,
        };
        if is_another {
            let size_bytes = now.as_ref().map(|seen| seen.content.len() as u64);
            versions.push(Version { snapshot, size_bytes });
        }
        before = now;
    }
    Ok(versions)
}

/// The note in this directory. It is read only where it may be another than before.
async fn look(directory: &StoredDirectory, name: &str, before: Option<&Seen>) -> Result<Option<Seen>, Failure> {
    let metadata = match directory.metadata(file(name)).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    let mark = (metadata.identity(), metadata.size(), metadata.modified());
    let content = match before.filter(|before| before.mark == mark) {
        Some(before) => before.content.clone(),
        None => read(directory, name).await?,
    };
    Ok(Some(Seen { mark, content }))
}
