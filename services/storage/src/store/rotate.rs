//! Exchanging keys. Nothing is sealed anew: what was written stays under the key of before, which the node keeps, sealed
//! under its new one; what is written from now on is under the new key.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use super::directory::{Link, need_current};
use super::error::{Outcome, StoreError};
use super::index::{ENTRY, Row, key, row_damaged, split};
use super::keys::{NodeKeys, random_secret};
use super::log::Draft;
use super::node::{Kind, Node};
use super::seal::no_randomness;
use super::shared::Shared;

/// While it lives, a key is being exchanged.
struct Exchanging<'a>(&'a AtomicU64);

impl<'a> Exchanging<'a> {
    fn begin(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Exchanging<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Shared {
    pub(crate) fn rotate(&self, parent: &Node, name: &[u8]) -> Outcome<()> {
        need_current(parent)?;
        let mut waiting = vec![(parent.clone(), name.to_vec())];
        while let Some((parent, name)) = waiting.pop() {
            let exchanged = self.with_sound_index(|| self.rotate_one(&parent, &name));
            match exchanged {
                Ok(directory) => {
                    if let Some(directory) = directory {
                        let names = self.with_sound_index(|| self.names_of(&directory))?;
                        waiting.extend(names.into_iter().map(|name| (directory.clone(), name)));
                    }
                }
                // Moved or removed meanwhile: what is moved is where it had no old key to be found by, or is below a
                // directory that is still to come.
                Err(StoreError::NotFound) if !waiting.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        self.sync()
    }

    /// Exchanges the key of one node; the node if it is a directory.
    pub(crate) fn rotate_one(&self, parent: &Node, name: &[u8]) -> Outcome<Option<Node>> {
        let mut log = self.lock_log();
        let mut link: Link = self.link(parent, name)?;
        let parent_known = self.known(parent)?;
        let mut known = self.child_known(parent, &link)?;
        known.keep_key(&link.keys)?;
        let generation = link.keys.generation.checked_add(1).ok_or(StoreError::TooLarge)?;
        let key = random_secret().map_err(no_randomness)?;
        link.keys = NodeKeys { generation, key, names: link.keys.names.clone() };
        let mut draft = Draft::new(log.sequence + 1, 2_048);
        let (entry_account, account) = (link.account, known.account);
        self.push_link(&mut draft, parent, parent_known.home, &link, entry_account)?;
        self.push_metadata(&mut draft, &link.child, &mut known, &link.keys, account)?;
        let mut parent_known = parent_known;
        self.touch_directory(&mut draft, parent, &mut parent_known)?;
        self.admit(&log, &mut draft, &[])?;
        let _exchanging = Exchanging::begin(&self.rotations);
        let open = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get(&link.child);
        // Who reads at the moment in which the frame counts needs the one key or the other.
        open.iter().for_each(|open| open.expect_keys(Some(link.keys.clone())));
        if let Err(error) = self.write_frame(&mut log, draft) {
            open.iter().for_each(|open| open.expect_keys(None));
            return Err(error);
        }
        // Who has it open goes on with the new key. The log is still locked, so nobody writes with the old one.
        let node = self.node_of(parent, &link);
        node.set_keys(link.keys.clone());
        Ok((link.kind == Kind::Directory).then_some(node))
    }

    /// The names in a directory.
    fn names_of(&self, directory: &Node) -> Outcome<Vec<Vec<u8>>> {
        self.links_of(directory, false)?.into_iter().map(|(_, link)| Ok(link?.name)).collect()
    }

    /// All entries of a directory by the hashes of their names, each as far as it opens.
    pub(crate) fn links_of(&self, directory: &Node, as_it_is: bool) -> Outcome<Vec<([u8; 16], Outcome<Link>)>> {
        let known = self.known(directory)?;
        let mut rows = Vec::new();
        self.read_index(|index| {
            let mut last = None;
            index.scan(&key(ENTRY, &[&directory.id()]), &[], |whole, value| {
                let (key, sequence) = split(whole).ok_or_else(row_damaged)?;
                let hash: [u8; 16] = key[17..].try_into().map_err(|_| row_damaged())?;
                if last != Some(hash) && sequence <= directory.shows() {
                    last = Some(hash);
                    let row = Row::decode(value).ok_or_else(row_damaged)?;
                    if !row.gone {
                        rows.push((hash, sequence, row));
                    }
                }
                Ok(true)
            })
        })?;
        rows.into_iter()
            .map(|(hash, sequence, row)| match self.open_link(directory, &known, &hash, sequence, &row) {
                // The first of them is no reason to build the index anew where it is known to be whole.
                Err(StoreError::Index(why)) if !as_it_is => Err(StoreError::Index(why)),
                Err(StoreError::Index(why)) => Ok((hash, Err(StoreError::Damaged(why)))),
                other => Ok((hash, other)),
            })
            .collect()
    }
}
