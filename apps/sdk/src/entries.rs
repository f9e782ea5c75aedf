//! What is in a folder.

use crate::error::Result;
use crate::folder::Folder;
use crate::metadata::{Kind, Metadata};
use crate::origin::Origin;
use capnp::capability::Response;
use schema::filesystem_capnp::{directory, entry};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

/// One thing in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    name: Vec<u8>,
    metadata: Metadata,
}

impl Entry {
    fn read_from(reader: entry::Reader<'_>) -> capnp::Result<Entry> {
        Ok(Entry { name: reader.get_name()?.to_vec(), metadata: Metadata::read_from(reader.get_metadata()?) })
    }

    /// Its name, to be shown: what is not UTF-8 in it shows as �.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Its name as it is, to be used in a path.
    #[must_use]
    pub fn name_bytes(&self) -> &[u8] {
        &self.name
    }

    /// What is known of it; of a link itself, not of what it leads to.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.metadata.kind()
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.metadata.is_file()
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.metadata.is_folder()
    }
}

/// One page of a folder's entries.
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) cursor: u64,
    pub(crate) end: bool,
}

impl Page {
    pub(crate) fn read_from(response: &Response<directory::list_results::Owned>) -> capnp::Result<Page> {
        let results = response.get()?;
        let entries = results.get_entries()?.iter().map(Entry::read_from).collect::<capnp::Result<Vec<_>>>()?;
        // an empty page that is not the last would be asked for without end
        let end = results.get_end() || entries.is_empty();
        Ok(Page { entries, cursor: results.get_cursor(), end })
    }
}

/// What is in a folder, one after the other: see [`Folder::entries`].
///
/// It is gone through on the link that it began with: where that is lost the walk fails, and has to begin again.
pub struct Entries {
    folder: Folder,
    reached: Option<(Origin, directory::Client)>,
    page: VecDeque<Entry>,
    cursor: u64,
    end: bool,
}

impl Entries {
    pub(crate) fn new(folder: Folder) -> Entries {
        Entries { folder, reached: None, page: VecDeque::new(), cursor: 0, end: false }
    }

    /// The next one; nothing at the end.
    ///
    /// # Errors
    /// Whatever keeps the folder from being read. It ends there.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        while self.page.is_empty() && !self.end {
            if let Err(error) = self.turn().await {
                self.end = true;
                return Err(error);
            }
        }
        Ok(self.page.pop_front())
    }

    /// All that are left.
    ///
    /// # Errors
    /// Those of [`next`](Entries::next).
    pub async fn all(mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while let Some(entry) = self.next().await? {
            entries.push(entry);
        }
        Ok(entries)
    }

    async fn turn(&mut self) -> Result<()> {
        let (origin, client) = match &self.reached {
            Some(reached) => reached,
            None => self.reached.insert(self.folder.reach().await?),
        };
        let mut request = client.list_request();
        request.get().set_cursor(self.cursor);
        let shown = self.folder.shown(b"");
        let response = origin.settle(request.send().promise, &shown).await?;
        let page = Page::read_from(&response).map_err(origin.malformed(&shown))?;
        self.page = page.entries.into();
        self.cursor = page.cursor;
        self.end = page.end;
        Ok(())
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entries").field("folder", &self.folder).finish_non_exhaustive()
    }
}
