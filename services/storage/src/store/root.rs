//! The root: the directory that everything is in, whose key the keys service seals. Without that one item nothing of the store
//! can be read, so it is there more than once: commits repeat it, as it is.

use std::sync::PoisonError;

use super::error::{KeysError, Outcome, StoreError};
use super::format::{ITEM_HEAD_BYTES, Id, ItemHead, ItemKind, SEGMENT_HEAD_BYTES, Take, items};
use super::index::{ROOT, key};
use super::keys::NodeKeys;
use super::log::{Draft, Log};
use super::node::{Kind, Node};
use super::scan::{Expected, FoundSegment, scan};
use super::seal::no_randomness;
use super::shared::Shared;

/// What binds the root's sealed key, with the store's id.
const ROOT_CONTEXT: &[u8] = b"latchkey store root v1 ";
/// After so many bytes a commit repeats the root's item: what a disk loses at once is mostly less, and the item with 300 bytes
/// is a hundredth of it.
const REPEAT_BYTES: u64 = 32 << 10;
/// Different items of the root that are tried: one is written each time that the keys which seal it are exchanged.
const TRIED_LIMIT: usize = 1_000;

impl Shared {
    pub(crate) fn root(&self) -> Outcome<Node> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(root.clone());
        }
        let context = [ROOT_CONTEXT, &self.store_id].concat();
        let node = if self.lock_log().sequence == 0 { self.make_root(&context)? } else { self.open_root(&context)? };
        *root = Some(node.clone());
        Ok(node)
    }

    fn open_root(&self, context: &[u8]) -> Outcome<Node> {
        let row = self.read_index(|index| index.newest(&key(ROOT, &[]), u64::MAX))?;
        let item = match &row {
            Some((sequence, row)) => {
                // The keys service does not know the head, so that nothing but the index says whether it was changed.
                let is_it = |head: &ItemHead| (head.sequence, head.node, head.home) == (*sequence, row.home, row.home);
                self.segments.item(row.place)?.filter(|(head, _)| is_it(head)).map(|(_, bytes)| bytes)
            }
            None => None,
        };
        let tried = match &item {
            Some(item) => self.try_root(item, context),
            None => Err(missing()),
        };
        let (node, current) = match tried {
            Err(StoreError::Damaged(_) | StoreError::Keys(KeysError::Damaged)) => self.open_another_root(context)?,
            tried => {
                let (node, current) = tried?;
                self.keep_root_item(item.unwrap_or_default());
                (node, current)
            }
        };
        if !current {
            // What fails now is done at the next start.
            let _ = self.seal_root_anew(&node, context);
        }
        Ok(node)
    }

    /// The root of an item; and whether the key that sealed it is the one that seals now.
    fn try_root(&self, item: &[u8], context: &[u8]) -> Outcome<(Node, bool)> {
        let head = ItemHead::decode(item).filter(|head| head.kind == ItemKind::Root).ok_or_else(missing)?;
        let (secret, current) = self.keys.unseal_root(&item[ITEM_HEAD_BYTES..], context)?;
        let keys = decode(&secret).ok_or_else(|| StoreError::Damaged("the key of the root is none".into()))?;
        Ok((self.open_node((head.node, Kind::Directory, Id::default()), keys, None), current))
    }

    /// Looks for the root in all that is stored, the newest first, and has it repeated.
    fn open_another_root(&self, context: &[u8]) -> Outcome<(Node, bool)> {
        let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
        for (number, segment) in self.segments.all() {
            let start = Expected { sequence: segment.head.first_sequence, chain: segment.head.chain };
            let segment = FoundSegment { number, length: segment.length, head: Some(segment.head) };
            let files = self.segments.files.as_ref();
            scan(files, &segment, SEGMENT_HEAD_BYTES as u64, start, &mut Vec::new(), |frame| {
                for item in items(frame.payload).into_iter().flatten().filter(|item| item.head.kind == ItemKind::Root) {
                    let bytes = [&item.head.encode()[..], item.body].concat();
                    if found.len() < TRIED_LIMIT && found.iter().all(|(_, known)| *known != bytes) {
                        found.push((item.head.sequence, bytes));
                    }
                }
                Ok(())
            })?;
        }
        found.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
        for (_, item) in found {
            match self.try_root(&item, context) {
                Err(StoreError::Damaged(_) | StoreError::Keys(KeysError::Damaged)) => {}
                Err(error) => return Err(error),
                Ok(opened) => {
                    self.keep_root_item(item);
                    // Best effort: the next commit does it.
                    let _ = self.commit_segments();
                    return Ok(opened);
                }
            }
        }
        Err(missing())
    }

    fn make_root(&self, context: &[u8]) -> Outcome<Node> {
        let mut id = Id::default();
        getrandom::fill(&mut id).map_err(no_randomness)?;
        let keys = NodeKeys::random().map_err(no_randomness)?;
        let node = self.open_node((id, Kind::Directory, Id::default()), keys.clone(), None);
        let item = {
            let mut log = self.lock_log();
            let mut draft = Draft::new(log.sequence + 1, 1_024);
            self.push_root(&mut draft, &node, context)?;
            let item = draft.payload().to_vec();
            let mut known = Self::new_known(Kind::Directory, id, Id::default());
            self.push_metadata(&mut draft, &id, &mut known, &keys, 0)?;
            self.write_frame(&mut log, draft)?;
            item
        };
        self.keep_root_item(item);
        self.sync()?;
        Ok(node)
    }

    /// The keys service has another key now. Only when what that key sealed is on the disk, and was opened once, may it forget
    /// the key before.
    fn seal_root_anew(&self, node: &Node, context: &[u8]) -> Outcome<()> {
        let item = {
            let mut log = self.lock_log();
            let mut draft = Draft::new(log.sequence + 1, 512);
            self.push_root(&mut draft, node, context)?;
            let item = draft.payload().to_vec();
            self.write_frame(&mut log, draft)?;
            item
        };
        self.keep_root_item(item.clone());
        self.sync()?;
        self.keys.unseal_root(&item[ITEM_HEAD_BYTES..], context)?;
        Ok(())
    }

    fn push_root(&self, draft: &mut Draft, root: &Node, context: &[u8]) -> Outcome<()> {
        let keys = root.keys();
        let mut secret = zeroize::Zeroizing::new(Vec::with_capacity(68));
        secret.extend_from_slice(&keys.generation.to_le_bytes());
        secret.extend_from_slice(keys.key.as_slice());
        secret.extend_from_slice(keys.names.as_slice());
        let sealed = self.keys.seal_root(&secret, context)?;
        let mut head = ItemHead::new(ItemKind::Root, root.id(), root.id(), draft.sequence);
        head.generation = keys.generation;
        draft.push(head, &sealed)
    }

    /// This item was just sealed, or opened: it is good, and the next commit repeats it.
    fn keep_root_item(&self, item: Vec<u8>) {
        *self.root_item.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
        self.lock_log().root_repeated_at = None;
    }

    /// Adds the root's item to a commit, if it is time. Never one that was not seen to be good.
    pub(crate) fn repeat_root(&self, log: &mut Log, draft: &mut Draft) {
        if log.root_repeated_at.is_some_and(|at| log.written < at + REPEAT_BYTES) {
            return;
        }
        if let Some(item) = &*self.root_item.lock().unwrap_or_else(PoisonError::into_inner) {
            draft.push_whole(item);
            log.root_repeated_at = Some(log.written);
        }
    }
}

fn missing() -> StoreError {
    StoreError::Damaged("the key of the root is missing".into())
}

fn decode(secret: &[u8]) -> Option<NodeKeys> {
    let mut take = Take(secret);
    let (generation, key, names) = (take.u32()?, take.array()?, take.array()?);
    take.end()?;
    Some(NodeKeys { generation, key: zeroize::Zeroizing::new(key), names: zeroize::Zeroizing::new(names) })
}
