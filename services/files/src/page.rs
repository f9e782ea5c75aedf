//! Pages of a directory, and how large they get.

use schema::filesystem_capnp::directory;

use crate::limits::{ENTRY_OVERHEAD_BYTES, PAGE_LIMIT_BYTES, PAGE_LIMIT_ENTRIES};
use crate::metadata::Metadata;

/// Part of a directory.
#[derive(Debug, Default)]
pub struct Page {
    /// In the tree's own order.
    pub entries: Vec<Entry>,
    /// Where the next page begins.
    pub cursor: u64,
    /// Whether there is nothing after this page.
    pub end: bool,
    bytes: usize,
}

/// A name in a directory, and what has it.
#[derive(Debug)]
pub struct Entry {
    /// Without NUL and '/'; any other bytes.
    pub name: Vec<u8>,
    /// Of the entry itself: links are not followed.
    pub metadata: Metadata,
}

/// How many entries a page has at most where a caller asked for so many; 0: as many as a page may have.
#[must_use]
pub fn limit(asked: usize) -> usize {
    if asked == 0 { PAGE_LIMIT_ENTRIES } else { asked.min(PAGE_LIMIT_ENTRIES) }
}

impl Page {
    /// An empty page that begins at the cursor.
    #[must_use]
    pub fn at(cursor: u64) -> Page {
        Page { cursor, ..Page::default() }
    }

    /// Whether it has so many entries, or as many bytes as a page may have.
    #[must_use]
    pub fn is_full(&self, limit: usize) -> bool {
        self.entries.len() >= limit || self.bytes >= PAGE_LIMIT_BYTES
    }

    /// Puts one more entry in.
    pub fn push(&mut self, entry: Entry) {
        self.bytes += entry.name.len() + ENTRY_OVERHEAD_BYTES;
        self.entries.push(entry);
    }

    /// Into a message.
    pub fn write_to(&self, mut results: directory::list_results::Builder<'_>) {
        results.set_cursor(self.cursor);
        results.set_end(self.end);
        // A page has at most a thousand entries.
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut entries = results.init_entries(count);
        for (number, entry) in (0..count).zip(&self.entries) {
            let mut builder = entries.reborrow().get(number);
            builder.set_name(&entry.name);
            entry.metadata.write_to(builder.init_metadata());
        }
    }
}
