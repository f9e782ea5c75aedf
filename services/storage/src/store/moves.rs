//! Renaming and removing.

use std::sync::PoisonError;

use super::accounts::{Account, innermost};
use super::directory::{Link, check_name, need_current, need_directory};
use super::error::{Outcome, StoreError};
use super::format::{Id, ItemHead, ItemKind};
use super::index::{ENTRY, ORPHAN, Row, key, row_damaged, split};
use super::log::{Draft, Log};
use super::node::{Kind, Node, OpenNode};
use super::shared::{Shared, now_ns};

/// How deep directories may lie in one another. Only moving one looks at all around it.
const DEPTH_LIMIT: usize = 1 << 16;

impl Shared {
    /// Adds to a frame that a name is gone.
    pub(crate) fn push_unlink(&self, draft: &mut Draft, directory: &Node, home: Id, name: &[u8]) -> Outcome<()> {
        let hash = directory.keys().name_hash(name);
        let head = ItemHead::new(ItemKind::EntryRemoved, directory.id(), home, draft.sequence);
        draft.push(head.with_part(hash), &[])
    }

    /// Adds to a frame that a node has no name any more: it is gone, or it is as soon as nobody has it open.
    fn push_removal(&self, draft: &mut Draft, link: &Link) -> Outcome<()> {
        let open = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&link.child);
        let is_open = open.is_some();
        // Whoever closed it meanwhile is told by the queue, because the log is locked.
        drop(open);
        let kind = if is_open { ItemKind::Orphaned } else { ItemKind::NodeRemoved };
        draft.push(ItemHead::new(kind, link.child, link.home, draft.sequence), &[])
    }

    fn need_empty(&self, directory: &Id) -> Outcome<()> {
        let mut empty = true;
        self.read_index(|index| {
            let mut last = Vec::new();
            index.scan(&key(ENTRY, &[directory]), &[], |whole, value| {
                let (key, _) = split(whole).ok_or_else(row_damaged)?;
                if key != last {
                    last = key.to_vec();
                    empty = Row::decode(value).ok_or_else(row_damaged)?.gone;
                }
                Ok(empty)
            })
        })?;
        empty.then_some(()).ok_or(StoreError::NotEmpty)
    }

    pub(crate) fn remove(&self, log: &mut Log, directory: &Node, name: &[u8]) -> Outcome<()> {
        need_current(directory)?;
        let link = self.link(directory, name)?;
        if link.kind == Kind::Directory {
            self.need_empty(&link.child)?;
            self.refuse_snapshots(&link.child)?;
        }
        let mut known = self.known(directory)?;
        let mut draft = Draft::new(log.sequence + 1, 1_024);
        self.push_unlink(&mut draft, directory, known.home, name)?;
        self.push_removal(&mut draft, &link)?;
        self.touch_directory(&mut draft, directory, &mut known)?;
        self.write_frame(log, draft)
    }

    pub(crate) fn rename(
        &self,
        log: &mut Log,
        from: (&Node, &[u8]),
        to: (&Node, &[u8]),
        replace: bool,
        accounts: &[Account],
    ) -> Outcome<()> {
        check_name(to.1)?;
        for directory in [from.0, to.0] {
            need_directory(directory)?;
            need_current(directory)?;
            self.refuse_removed(directory)?;
        }
        let mut link = self.link(from.0, from.1)?;
        let same_directory = from.0.id() == to.0.id();
        if same_directory && from.1 == to.1 {
            return Ok(());
        }
        let replaced = match self.link(to.0, to.1) {
            Ok(found) => Some(found),
            Err(StoreError::NotFound) => None,
            Err(error) => return Err(error),
        };
        if let Some(replaced) = &replaced {
            match (replace, link.kind, replaced.kind) {
                (false, ..) => return Err(StoreError::Exists),
                (true, Kind::File, Kind::Directory) => return Err(StoreError::IsDirectory),
                (true, Kind::Directory, Kind::File) => return Err(StoreError::NotDirectory),
                (true, Kind::Directory, Kind::Directory) => {
                    self.need_empty(&replaced.child)?;
                    self.refuse_snapshots(&replaced.child)?;
                }
                (true, Kind::File, Kind::File) => {}
            }
        }
        if link.kind == Kind::Directory {
            self.refuse_below(&link.child, &to.0.id())?;
        }
        let (mut from_known, mut to_known) = (self.known(from.0)?, self.known(to.0)?);
        let account = innermost(accounts);
        let mut draft = Draft::new(log.sequence + 1, 2_048);
        self.push_unlink(&mut draft, from.0, from_known.home, from.1)?;
        if let Some(replaced) = &replaced {
            self.push_removal(&mut draft, replaced)?;
        }
        link.name = to.1.to_vec();
        self.push_link(&mut draft, to.0, to_known.home, &link, account)?;
        if !same_directory {
            // A snapshot of the one home shows what is in the other from now on.
            let to_home = to.0.0.home;
            let joined = self.read_index(|index| Ok(index.retention.are_joined(link.home, to_home)))?;
            if to_home != Id::default() && to_home != link.home && !joined {
                let head = ItemHead::new(ItemKind::HomesJoined, link.home, [0; 16], draft.sequence);
                draft.push(head.with_part(to_home), &[])?;
            }
            match self.child_known(from.0, &link) {
                Ok(mut child) => {
                    child.parent = to.0.id();
                    let account = child.account;
                    self.push_metadata(&mut draft, &link.child, &mut child, &link.keys, account)?;
                }
                // What is damaged can be moved all the same; it is as damaged there.
                Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
            self.touch_directory(&mut draft, to.0, &mut to_known)?;
        }
        from_known.modified_ns = now_ns();
        self.touch_directory(&mut draft, from.0, &mut from_known)?;
        self.admit(log, &mut draft, accounts)?;
        self.write_frame(log, draft)
    }

    /// Refuses a directory that is, or lies in, another.
    fn refuse_below(&self, moved: &Id, directory: &Id) -> Outcome<()> {
        let mut at = *directory;
        for _ in 0..DEPTH_LIMIT {
            if at == *moved {
                return Err(StoreError::BelowItself);
            }
            if at == Id::default() {
                return Ok(());
            }
            at = self.node_row(&at, u64::MAX)?.1.extra;
        }
        Err(StoreError::TooLarge)
    }

    /// The last clone of a node is gone. Called from anywhere, so it must not wait for the log.
    pub(crate) fn closed(&self, node: &OpenNode) {
        let home = if node.home == Id::default() { node.id } else { node.home };
        self.closed_nodes.lock().unwrap_or_else(PoisonError::into_inner).push((node.id, home));
        if let Ok(mut log) = self.log.try_lock() {
            self.remove_closed(&mut log);
        }
    }

    /// Removes what has no name and is not open any more. What cannot be removed now is when the store is opened again.
    pub(crate) fn remove_closed(&self, log: &mut Log) {
        let closed = std::mem::take(&mut *self.closed_nodes.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, home) in closed {
            let orphan = self.read_index(|index| Ok(index.newest(&key(ORPHAN, &[&id]), u64::MAX)?.is_some()));
            // Dropped after the lock is given back, for it may be the last clone.
            let node = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&id);
            let open = node.is_some();
            drop(node);
            if matches!(orphan, Ok(true)) && !open && !self.is_abandoned() {
                let mut draft = Draft::new(log.sequence + 1, 128);
                let head = ItemHead::new(ItemKind::NodeRemoved, id, home, draft.sequence);
                if draft.push(head, &[]).is_ok() {
                    let _ = self.write_frame(log, draft);
                }
            }
        }
    }

    /// Removes what was open without a name when the store was last in use.
    pub(crate) fn remove_orphans(&self, log: &mut Log) -> Outcome<()> {
        let mut orphans = Vec::new();
        self.read_index(|index| {
            index.scan(&[ORPHAN], &[], |whole, value| {
                let (key, _) = split(whole).ok_or_else(row_damaged)?;
                let id: Id = key[1..].try_into().map_err(|_| row_damaged())?;
                orphans.push((id, Row::decode(value).ok_or_else(row_damaged)?.home));
                Ok(true)
            })
        })?;
        for (id, home) in orphans {
            let mut draft = Draft::new(log.sequence + 1, 128);
            draft.push(ItemHead::new(ItemKind::NodeRemoved, id, home, draft.sequence), &[])?;
            self.write_frame(log, draft)?;
        }
        Ok(())
    }
}
