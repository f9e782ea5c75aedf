//! The root: the directory that everything is in. Its keys, and the secret by which the store knows its own hand, are sealed by
//! the keys service. Without them nothing of the store can be read, so they are there more than once: in a file of their own,
//! and as an item in the log, which commits repeat as it is.

use std::collections::VecDeque;
use std::io;
use std::sync::PoisonError;

use super::error::{KeysError, Outcome, StoreError};
use super::files::{Files, replace};
use super::format::{ITEM_HEAD_BYTES, Id, ItemHead, ItemKind, SEGMENT_HEAD_BYTES, Take, items};
use super::keys::{Keys, NodeKeys, OwnKeys, Secret, random_secret};
use super::log::{Draft, Log};
use super::node::{Kind, Node};
use super::scan::{Expected, FoundSegment, scan};
use super::seal::no_randomness;
use super::segments::read;
use super::shared::Shared;

/// The root's item.
pub(crate) const FILE: &str = "root";
/// Longer than any: a head, and a secret of 116 bytes with what sealing adds.
const FILE_LIMIT_BYTES: usize = 4 << 10;
/// What binds the root's sealed keys, with the store's id.
const CONTEXT: &[u8] = b"latchkey store root v1 ";
/// After so many bytes a commit repeats the root's item: what a disk loses at once is mostly less, and the item with 300 bytes
/// is a hundredth of it.
const REPEAT_BYTES: u64 = 32 << 10;
/// Different items of the root that are tried: one is written each time that the keys which seal it are exchanged.
const TRIED_LIMIT: usize = 1_000;

/// The root, opened.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) store: Id,
    pub(crate) id: Id,
    pub(crate) keys: NodeKeys,
    own: Secret,
    /// Its item, as it is on the disk.
    pub(crate) item: Vec<u8>,
    /// Whether the key that sealed it is the one that seals now.
    pub(crate) current: bool,
}

impl Root {
    /// A new one, for a store that is to be.
    pub(crate) fn make(files: &dyn Files, keys: &dyn Keys) -> Outcome<Self> {
        let (mut store, mut id) = (Id::default(), Id::default());
        getrandom::fill(&mut store).map_err(no_randomness)?;
        getrandom::fill(&mut id).map_err(no_randomness)?;
        let own = random_secret().map_err(no_randomness)?;
        let mut root =
            Self { store, id, keys: NodeKeys::random().map_err(no_randomness)?, own, item: Vec::new(), current: true };
        root.item = root.seal(keys, 1)?;
        root.keep(files)?;
        Ok(root)
    }

    /// The root in its file; nothing where that has none that opens.
    pub(crate) fn kept(files: &dyn Files, keys: &dyn Keys) -> Outcome<Option<Self>> {
        let file = match files.open(FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = vec![0; FILE_LIMIT_BYTES];
        let got = read(file.as_ref(), 0, &mut bytes)?;
        Self::open(keys, &bytes[..got])
    }

    /// Looks for it in all that is stored, the newest first, and puts it into its file. One of another store may be there, too.
    pub(crate) fn search(
        files: &dyn Files,
        keys: &dyn Keys,
        found: &[FoundSegment],
        is_of_store: impl Fn(&Self) -> Outcome<bool>,
    ) -> Outcome<Option<Self>> {
        let mut tried: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        for segment in found {
            let begin = segment.head.as_ref().map_or(Expected::BEGIN, Expected::at_begin_of);
            scan(files, None, segment, SEGMENT_HEAD_BYTES as u64, begin, &mut Vec::new(), |frame| {
                for item in items(frame.payload).into_iter().flatten().filter(|item| item.head.kind == ItemKind::Root) {
                    let bytes = [&item.head.encode()[..], item.body].concat();
                    if bytes.len() <= FILE_LIMIT_BYTES && tried.iter().all(|(_, known)| *known != bytes) {
                        tried.push_back((item.head.sequence, bytes));
                    }
                    // Segments are read in the order in which they were written: the oldest go.
                    if tried.len() > TRIED_LIMIT {
                        tried.pop_front();
                    }
                }
                Ok(())
            })?;
        }
        tried.make_contiguous().sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
        for (_, item) in tried {
            if let Some(root) = Self::open(keys, &item)?
                && is_of_store(&root)?
            {
                // Best effort: it is found here the next time, too.
                let _ = root.keep(files);
                return Ok(Some(root));
            }
        }
        Ok(None)
    }

    /// The root of an item; nothing where it is none of these keys.
    fn open(keys: &dyn Keys, item: &[u8]) -> Outcome<Option<Self>> {
        let Some(head) = ItemHead::decode(item).filter(|head| head.kind == ItemKind::Root) else { return Ok(None) };
        let body = &item[ITEM_HEAD_BYTES..];
        if body.len() != head.length as usize {
            return Ok(None);
        }
        let (secret, current) = match keys.unseal_root(body, &context(&head.part)) {
            Err(KeysError::Damaged) => return Ok(None),
            opened => opened?,
        };
        let parse = || {
            let mut take = Take(&secret);
            let (id, generation) = (take.array()?, take.u32()?);
            let mut secret = || take.array().map(Secret::new);
            let (key, names, own) = (secret()?, secret()?, secret()?);
            take.end()?;
            let keys = NodeKeys { generation, key, names };
            let is_it = (head.node, head.home, head.generation) == (id, id, generation);
            is_it.then(|| Self { store: head.part, id, keys, own, item: item.to_vec(), current })
        };
        Ok(parse())
    }

    /// Its item, as of a frame.
    fn seal(&self, keys: &dyn Keys, sequence: u64) -> Outcome<Vec<u8>> {
        let mut secret = zeroize::Zeroizing::new(Vec::with_capacity(16 + 4 + 3 * 32));
        secret.extend_from_slice(&self.id);
        secret.extend_from_slice(&self.keys.generation.to_le_bytes());
        secret.extend_from_slice(self.keys.key.as_slice());
        secret.extend_from_slice(self.keys.names.as_slice());
        secret.extend_from_slice(self.own.as_slice());
        let sealed = keys.seal_root(&secret, &context(&self.store))?;
        let mut head = ItemHead::new(ItemKind::Root, self.id, self.id, sequence).with_part(self.store);
        head.generation = self.keys.generation;
        head.length = u32::try_from(sealed.len()).map_err(|_| StoreError::TooLarge)?;
        Ok([&head.encode()[..], &sealed].concat())
    }

    fn keep(&self, files: &dyn Files) -> io::Result<()> {
        replace(files, FILE, &self.item)
    }

    /// By which the store knows its own hand.
    pub(crate) fn own_keys(&self) -> OwnKeys {
        OwnKeys::derive(&self.own)
    }
}

fn context(store: &Id) -> Vec<u8> {
    [CONTEXT, store].concat()
}

impl Shared {
    pub(crate) fn root(&self) -> Node {
        self.open_node((self.root.id, Kind::Directory, Id::default()), self.root.keys.clone(), None)
    }

    /// The first frame of the store.
    pub(crate) fn begin(&self) -> Outcome<()> {
        let root = &self.root;
        {
            let mut log = self.lock_log();
            let mut draft = Draft::new(log.sequence + 1, 1_024);
            draft.push_whole(&root.item);
            let mut known = Self::new_known(Kind::Directory, root.id, Id::default());
            self.push_metadata(&mut draft, &root.id, &mut known, &root.keys, 0)?;
            self.write_frame(&mut log, draft)?;
        }
        self.sync()
    }

    /// The keys service has another key now. Only when what that key sealed is on the disk, and was opened once, may it forget
    /// the key before.
    pub(crate) fn seal_root_anew(&self) -> Outcome<()> {
        let root = {
            let mut log = self.lock_log();
            let mut draft = Draft::new(log.sequence + 1, 512);
            let root = Root { item: self.root.seal(self.keys.as_ref(), draft.sequence)?, ..self.root.clone() };
            draft.push_whole(&root.item);
            self.write_frame(&mut log, draft)?;
            root
        };
        self.repeat_from_now_on(root.item.clone());
        self.sync()?;
        // Only now: who opens it tells the keys service that the key before is needed no more.
        root.keep(self.segments.files.as_ref())?;
        self.keys.unseal_root(&root.item[ITEM_HEAD_BYTES..], &context(&root.store))?;
        Ok(())
    }

    /// This item was just sealed, and the next commit repeats it.
    fn repeat_from_now_on(&self, item: Vec<u8>) {
        *self.root_item.lock().unwrap_or_else(PoisonError::into_inner) = item;
        self.lock_log().root_repeated_at = None;
    }

    /// Adds the root's item to a commit, if it is time.
    pub(crate) fn repeat_root(&self, log: &mut Log, draft: &mut Draft) {
        if log.root_repeated_at.is_some_and(|at| log.written < at + REPEAT_BYTES) {
            return;
        }
        draft.push_whole(&self.root_item.lock().unwrap_or_else(PoisonError::into_inner));
        log.root_repeated_at = Some(log.written);
    }
}
