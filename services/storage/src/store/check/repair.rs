//! What a repair changes. Each is an operation like any other: one frame, with the log to itself.

use super::super::content::push_hole;
use super::super::directory::Link;
use super::super::error::{Outcome, StoreError};
use super::super::format::{Id, ItemHead, ItemKind};
use super::super::index::{NODE, key};
use super::super::log::Draft;
use super::super::node::Node;
use super::super::open::Doubt;
use super::super::shared::{Shared, now_ns};
use super::tree::done;
use super::{Report, Severity};

const REMOVED: &str = "it was removed";

impl Shared {
    pub(super) fn set_doubt(&self, doubt: Doubt) {
        *self.doubt.write().unwrap_or_else(std::sync::PoisonError::into_inner) = doubt;
    }

    /// Whether nothing says what a node is, not even that it was removed.
    pub(super) fn has_no_row(&self, id: &Id) -> Outcome<bool> {
        Ok(self.read_index(|index| index.newest(&key(NODE, &[id]), u64::MAX))?.is_none())
    }

    /// A directory whose metadata does not open is given new.
    pub(super) fn repair_directory(&self, directory: &Node, name: &str, report: &mut Report<'_>) -> Outcome<()> {
        let keys = directory.keys();
        let key_of = |generation| (generation == keys.generation).then(|| keys.key.clone());
        let found = self.as_it_is(|| self.known_at(&directory.id(), u64::MAX, key_of));
        let why = match found {
            Ok(_) => return Ok(()),
            Err(StoreError::Damaged(why)) => why,
            Err(StoreError::NotFound) if self.has_no_row(&directory.id())? => "its metadata was lost".to_owned(),
            Err(StoreError::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        let done = done(self.renew_directory(directory))?;
        report.found(Severity::Lost, name.to_owned(), why, done);
        Ok(())
    }

    fn renew_directory(&self, directory: &Node) -> Outcome<&'static str> {
        let mut log = self.lock_log();
        let mut known = if self.has_no_row(&directory.id())? {
            self.known_without_row(&directory.id(), directory.0.home)?
        } else {
            self.known_without_body(directory)?
        };
        let mut draft = Draft::new(log.sequence + 1, 512);
        self.touch_directory(&mut draft, directory, &mut known)?;
        self.write_frame(&mut log, draft)?;
        Ok("its time is that of this repair, and what was written under keys that it had before is lost")
    }

    /// An entry that does not open is taken away.
    pub(super) fn remove_entry(&self, directory: &Node, hash: &[u8; 16]) -> Outcome<&'static str> {
        let mut log = self.lock_log();
        let mut known = self.known(directory)?;
        let mut draft = Draft::new(log.sequence + 1, 512);
        let head = ItemHead::new(ItemKind::EntryRemoved, directory.id(), known.home, draft.sequence);
        draft.push(head.with_part(*hash), &[])?;
        self.touch_directory(&mut draft, directory, &mut known)?;
        self.write_frame(&mut log, draft)?;
        Ok("the name was removed; what it led to cannot be reached any more")
    }

    /// A file of which nothing says what it is goes, with its name.
    pub(super) fn remove_lost(&self, directory: &Node, link: &Link) -> Outcome<&'static str> {
        {
            let mut log = self.lock_log();
            if self.link(directory, &link.name)?.child != link.child {
                return Ok(REMOVED);
            }
            let mut known = self.known(directory)?;
            let mut draft = Draft::new(log.sequence + 1, 512);
            self.push_unlink(&mut draft, directory, known.home, &link.name)?;
            draft.push(ItemHead::new(ItemKind::NodeRemoved, link.child, link.home, draft.sequence), &[])?;
            self.touch_directory(&mut draft, directory, &mut known)?;
            self.write_frame(&mut log, draft)?;
        }
        self.clear_left();
        Ok(REMOVED)
    }

    /// A sector that does not open is zeros from now on.
    pub(super) fn clear_sector(&self, file: &Node, number: u64) -> Outcome<()> {
        let mut log = self.lock_log();
        let mut known = self.known(file)?;
        let mut draft = Draft::new(log.sequence + 1, 512);
        let account = known.account;
        push_hole(&mut draft, file, &known, (number, 1), account)?;
        known.modified_ns = now_ns();
        self.push_metadata(&mut draft, &file.id(), &mut known, &file.keys(), account)?;
        self.write_frame(&mut log, draft)
    }
}
