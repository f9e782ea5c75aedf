//! What all clones of a store share, and the one way in which anything is written.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use vat::fault;

use super::accounts::Reservations;
use super::error::{Outcome, StoreError};
use super::files::StoreFile;
use super::format::{FRAME_HEAD_BYTES, Id, ItemHead, items};
use super::index::{Index, IndexError, Place, Transaction, apply};
use super::keys::{Keys, NodeKeys, OwnKeys};
use super::log::{Broken, Draft, Log};
use super::node::OpenNodes;
use super::open::Doubt;
use super::root::Root;
use super::segments::Segments;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the index, which is made if it is not there.
    pub index: PathBuf,
    /// How long a segment gets, at most [`SEGMENT_BYTES`]. Compaction works on whole segments, and needs as much room beside the store.
    pub segment_bytes: u64,
    /// Whether segments are compacted by themselves.
    pub compacts: bool,
}

/// A segment is long enough that a disk of 1 TB has 16,384 of them, and short enough that it is copied within a second
/// and that opening it, which reads one or two of them, is not felt.
pub const SEGMENT_BYTES: u64 = 64 << 20;

impl Options {
    /// With the index in this folder, and all else as usual.
    #[must_use]
    pub fn new(index: PathBuf) -> Self {
        Self { index, segment_bytes: SEGMENT_BYTES, compacts: true }
    }
}

/// How often something is done again because a key was exchanged meanwhile: an exchange takes less than a millisecond, and
/// an operation rarely meets two; on a busy machine, in the midst of the exchange of a whole tree, it may meet one each time for a while.
const EXCHANGE_TRIES: usize = 1_000;

/// Who waits for a commit, and what the last one reached.
#[derive(Default)]
pub(crate) struct Committing {
    pub(crate) busy: bool,
    pub(crate) round: u64,
    pub(crate) done: u64,
}

pub(crate) struct Shared {
    pub(crate) store_id: Id,
    pub(crate) options: Options,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) segments: Segments,
    /// Taken before the index, if both are. Who has it is the only one who writes.
    pub(crate) log: Mutex<Log>,
    pub(crate) index: RwLock<Option<Index>>,
    pub(crate) doubt: RwLock<Doubt>,
    pub(crate) nodes: Mutex<OpenNodes>,
    pub(crate) own: OwnKeys,
    pub(crate) root: Root,
    /// The item of the root that was sealed last.
    pub(crate) root_item: Mutex<Vec<u8>>,
    /// Counts when the exchange of a node's key begins, and again when it is done: odd while it is under way.
    pub(crate) rotations: AtomicU64,
    pub(crate) closed_nodes: Mutex<Vec<(Id, Id)>>,
    pub(crate) reservations: Mutex<Reservations>,
    pub(crate) committing: Mutex<Committing>,
    pub(crate) committed: Condvar,
    /// One at a time gives up segments.
    pub(crate) compacting: Mutex<()>,
    /// Why that failed the last time.
    pub(crate) compaction_trouble: Mutex<Option<String>>,
    /// The store is being closed: what goes on by itself ends.
    pub(crate) closing: AtomicBool,
    pub(crate) note: Arc<dyn StoreFile>,
    /// Set when this is not to be closed in order, as if the process had been killed.
    pub(crate) abandoned: AtomicBool,
    pub(crate) me: Weak<Shared>,
    /// Given back when it is closed.
    pub(crate) lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

impl Shared {
    pub(crate) fn lock_log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks into the index.
    pub(crate) fn read_index<T>(&self, look: impl FnOnce(&Index) -> Result<T, IndexError>) -> Outcome<T> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let index = index.as_ref().ok_or_else(|| StoreError::Index("it is closed".into()))?;
        Ok(look(index)?)
    }

    /// Writes a frame and applies it: wholly or not at all.
    pub(crate) fn write_frame(&self, log: &mut Log, mut draft: Draft) -> Outcome<()> {
        log.usable()?;
        let place = log.place_for(&self.segments, draft.whole_bytes())?;
        let chain = log.finish(&mut draft)?;
        let ready = self.read_index(|index| {
            let mut changes = Transaction::new(index);
            let found = items(draft.payload()).ok_or_else(|| IndexError("a frame has no items".into()))?;
            apply(&mut changes, &found, (place.0, place.1 + FRAME_HEAD_BYTES as u64), draft.sequence)?;
            changes.move_to(place, draft.sequence, chain);
            changes.ready()
        })?;
        let undo = log.write(&self.segments, place, &draft)?;
        // Before the index leads there, so that nobody finds a row of what is not.
        log.reach(&self.segments, place.0, place.1 + draft.whole_bytes());
        fault::point("frame.written");
        {
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            let written = index.as_mut().map_or(Err(IndexError("it is closed".into())), |index| index.commit(ready));
            if let Err(error) = written {
                log.take_back(&self.segments, &undo);
                // What sled kept of it is found out when it is opened again.
                log.broken.get_or_insert_with(|| Broken::Index(format!("the index cannot be used: {error}")));
                return Err(error.into());
            }
        }
        fault::point("frame.indexed");
        log.advance(&self.segments, place, &draft, chain);
        log.recycle(draft);
        Ok(())
    }

    /// Does something, and again where what it met as damaged was a node whose key was being exchanged at that moment.
    pub(crate) fn between_exchanges<T>(&self, mut act: impl FnMut() -> Outcome<T>) -> Outcome<T> {
        let mut tries = 0;
        loop {
            let before = self.rotations.load(Ordering::SeqCst);
            let outcome = act();
            let quiet = before.is_multiple_of(2) && self.rotations.load(Ordering::SeqCst) == before;
            if !matches!(outcome, Err(StoreError::Damaged(_))) || quiet || tries == EXCHANGE_TRIES {
                return outcome;
            }
            tries += 1;
            // Who exchanges has the log.
            drop(self.lock_log());
        }
    }

    /// Does something, and once more with a new index if the index was wrong. Who looked just when a segment was given up finds
    /// at the second try where things are now.
    pub(crate) fn with_sound_index<T>(&self, mut act: impl FnMut() -> Outcome<T>) -> Outcome<T> {
        let mut act = || self.between_exchanges(&mut act);
        let again = match act() {
            Err(StoreError::Index(_)) => act(),
            other => return other,
        };
        match again {
            Err(StoreError::Index(_)) => {
                self.rebuild_index()?;
                act()
            }
            other => other,
        }
    }

    /// The item at a place that the index gives, which has to be this one.
    pub(crate) fn item(&self, place: Place, is_it: impl Fn(&ItemHead) -> bool) -> Outcome<(ItemHead, Vec<u8>)> {
        let found = self.segments.item(place)?;
        found.filter(|(head, _)| is_it(head)).ok_or_else(|| StoreError::Index("it leads to the wrong place".into()))
    }

    /// Fails where something of a node was lost.
    pub(crate) fn refuse_damaged(&self, node: &Id, written_at: u64) -> Outcome<()> {
        let doubt = self.doubt.read().unwrap_or_else(PoisonError::into_inner);
        doubt.about(node, written_at).map_or(Ok(()), |what| Err(StoreError::Damaged(what)))
    }

    /// Fails where so much was lost that nothing is served that was written up to some frame, and this was.
    pub(crate) fn refuse_older(&self, written_at: u64) -> Outcome<()> {
        let doubt = self.doubt.read().unwrap_or_else(PoisonError::into_inner);
        doubt.about_all(written_at).map_or(Ok(()), |why| Err(StoreError::Damaged(why.to_owned())))
    }

    pub(crate) fn open_node(
        &self,
        about: (Id, super::node::Kind, Id),
        keys: NodeKeys,
        as_of: Option<u64>,
    ) -> super::node::Node {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).get_or_open(&self.me, about, keys, as_of)
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
