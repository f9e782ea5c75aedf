//! The notes in their directory, and how they change: each change is written beside, takes its place at once, and is on
//! the disk and in a snapshot before it is answered.

use crate::failure::Failure;
use crate::name::{self, file, unfinished};
use sdk::{ErrorKind, Metadata, Rights, Snapshot, StoredDirectory};

/// The longest note: what one piece of a link carries, and more than a person writes.
pub(crate) const NOTE_LIMIT_BYTES: usize = 1 << 20;

/// With its title, which the text comes after.
const FILE_LIMIT_BYTES: usize = NOTE_LIMIT_BYTES + (64 << 10);

/// What the labels of our own snapshots begin with. Those that a person made are left alone.
const LABEL: &str = "notes: ";

/// So many of our own snapshots are kept: a directory has at most 1,000, and a hundred are left for those of people.
const SNAPSHOTS_KEPT: usize = 900;

/// The notes.
pub(crate) struct Notebook {
    pub(crate) directory: StoredDirectory,
}

/// One note in a list.
pub(crate) struct Note {
    pub(crate) name: String,
    pub(crate) metadata: Metadata,
}

impl Notebook {
    pub(crate) fn new(directory: StoredDirectory) -> Notebook {
        Notebook { directory }
    }

    /// Makes a note.
    pub(crate) async fn add(&self, name: &str, title: &str, text: &str) -> Result<Snapshot, Failure> {
        // told before anything is written; the renaming below decides
        if self.directory.exists(file(name)).await? {
            return Err(Failure::Exists(name.to_owned()));
        }
        self.write_beside(name, &content(title, text)).await?;
        let placed = self.directory.rename(unfinished(name), file(name)).await;
        if placed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Exists) {
            return Err(Failure::Exists(name.to_owned()));
        }
        placed?;
        self.keep("add", name).await
    }

    /// Gives a note another text. Nothing is made where it has that text already.
    pub(crate) async fn edit(&self, name: &str, text: &str) -> Result<Option<Snapshot>, Failure> {
        let before = self.show(name, None).await?;
        let after = content(title(&before, name), text);
        if after.as_bytes() == before {
            return Ok(None);
        }
        self.write_beside(name, &after).await?;
        self.directory.replace(unfinished(name), file(name)).await?;
        self.keep("edit", name).await.map(Some)
    }

    /// Removes a note. Its versions stay.
    pub(crate) async fn remove(&self, name: &str) -> Result<Snapshot, Failure> {
        let removed = self.directory.remove(file(name)).await;
        if removed.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Err(Failure::NoNote { name: name.to_owned(), at: None });
        }
        removed?;
        self.keep("remove", name).await
    }

    /// A note's content, as it is or as it was in a version.
    pub(crate) async fn show(&self, name: &str, at: Option<u64>) -> Result<Vec<u8>, Failure> {
        let directory = match at {
            None => self.directory.clone(),
            Some(version) => match self.directory.open_snapshot(version).await {
                Err(error) if error.kind() == ErrorKind::UnknownSnapshot => return Err(Failure::NoVersion(version)),
                opened => opened?,
            },
        };
        match read(&directory, name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::NoNote { name: name.to_owned(), at }),
            content => Ok(content?),
        }
    }

    /// All notes by name.
    pub(crate) async fn list(&self) -> Result<Vec<Note>, Failure> {
        let (mut entries, mut notes) = (self.directory.entries(), vec![]);
        while let Some(entry) = entries.next().await? {
            if let Some(name) = name::from_file(entry.name_bytes()).filter(|_| entry.is_file()) {
                notes.push(Note { name: name.to_owned(), metadata: *entry.metadata() });
            }
        }
        notes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(notes)
    }

    /// Writes the whole content beside the note. What a run before left there is written over.
    async fn write_beside(&self, name: &str, content: &str) -> Result<(), Failure> {
        let beside = unfinished(name);
        let written = async {
            self.directory.write(&beside, content).await?;
            self.directory.open_with(&beside, Rights::ALL).await?.sync().await
        };
        let written = written.await;
        if written.is_err() {
            // Where this fails too the next try writes over it.
            let _ = self.directory.remove(&beside).await;
        }
        Ok(written?)
    }

    /// Has what was done last on the disk and in a version.
    async fn keep(&self, what: &str, name: &str) -> Result<Snapshot, Failure> {
        let kept = self.sync_and_snapshot(&format!("{LABEL}{what} {name}")).await;
        kept.map_err(|error| Failure::NotKept { name: name.to_owned(), error })
    }

    async fn sync_and_snapshot(&self, label: &str) -> sdk::Result<Snapshot> {
        self.directory.sync().await?;
        // before the snapshot, so that there is always room for one more
        self.forget_the_oldest().await?;
        self.directory.snapshot(label).await
    }

    async fn forget_the_oldest(&self) -> sdk::Result<()> {
        let (mut snapshots, mut ours) = (self.directory.snapshots(), 0);
        while let Some(snapshot) = snapshots.next().await? {
            ours += usize::from(snapshot.label().starts_with(LABEL));
            if ours >= SNAPSHOTS_KEPT && snapshot.label().starts_with(LABEL) {
                self.directory.drop_snapshot(snapshot.id()).await?;
            }
        }
        Ok(())
    }
}

/// What a note's file has.
pub(crate) async fn read(directory: &StoredDirectory, name: &str) -> sdk::Result<Vec<u8>> {
    directory.stream(file(name)).collect(FILE_LIMIT_BYTES).await
}

/// The title, an empty line, the text.
fn content(title: &str, text: &str) -> String {
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end();
    if text.is_empty() { format!("{title}\n") } else { format!("{title}\n\n{text}\n") }
}

/// The title of a note that has this content.
pub(crate) fn title<'a>(content: &'a [u8], name: &'a str) -> &'a str {
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).ok().map(str::trim).filter(|title| !title.is_empty()).unwrap_or(name)
}
