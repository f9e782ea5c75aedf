//! A store's life: opening, closing, and a new index while it lives.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;

use vat::fault;

use super::commit::TOUCHED_LIMIT;
use super::error::{Outcome, StoreError};
use super::files::Files;
use super::index::{Index, Ready};
use super::keys::Keys;
use super::log::{Broken, Draft, Log};
use super::marker;
use super::node::Node;
use super::open::{self, Doubt, Opened};
use super::segments::Segments;
use super::shared::{Options, SEGMENT_BYTES, Shared};

/// Held for as long as the store is open.
const LOCK: &str = "lock";

/// What the clones of a store have in common, and what ends with the last.
pub(crate) struct Open {
    pub(crate) shared: Arc<Shared>,
    /// Kept open, because it is used most.
    pub(crate) root: Node,
    compaction: Option<(SyncSender<()>, JoinHandle<()>)>,
}

pub(crate) fn open(files: Arc<dyn Files>, keys: Arc<dyn Keys>, mut options: Options) -> Outcome<(Open, Opened)> {
    options.segment_bytes = options.segment_bytes.min(SEGMENT_BYTES);
    let lock = files.lock(LOCK)?.ok_or_else(|| StoreError::Held(format!("the file `{LOCK}`")))?;
    let ready = open::open(&files, keys.as_ref(), &options)?;
    let shared = Arc::new_cyclic(|me: &Weak<Shared>| Shared {
        store_id: ready.root.store,
        options,
        keys,
        segments: Segments::new(files, ready.segments),
        own: ready.log.keys.clone(),
        root_item: Mutex::new(ready.root.item.clone()),
        root: ready.root,
        log: Mutex::new(ready.log),
        index: RwLock::new(Some(ready.index)),
        doubt: RwLock::new(ready.doubt),
        nodes: Mutex::default(),
        rotations: AtomicU64::new(0),
        closed_nodes: Mutex::default(),
        reservations: Mutex::default(),
        committing: Mutex::default(),
        committed: Condvar::new(),
        compacting: Mutex::new(()),
        compaction_trouble: Mutex::default(),
        closing: AtomicBool::new(false),
        note: ready.note,
        abandoned: AtomicBool::new(false),
        me: me.clone(),
        lock: Mutex::new(Some(lock)),
    });
    if let Some(losses) = ready.losses {
        shared.write_down(&losses);
    }
    if shared.lock_log().sequence == 0 {
        shared.begin()?;
    } else if !shared.root.current {
        // What fails now is done at the next start.
        let _ = shared.seal_root_anew();
    }
    {
        let mut log = shared.lock_log();
        // A full disk or a failing one is no reason not to read what is there.
        let _ = shared.remove_orphans(&mut log);
    }
    shared.clear_left();
    let _ = shared.release_below(&[super::index::KEPT]);
    let compaction = shared.options.compacts.then(|| start_compaction(&shared)).flatten();
    let root = shared.root();
    Ok((Open { shared, root, compaction }, ready.opened))
}

/// The thread that compacts when it is woken. It holds the store only while it works.
fn start_compaction(shared: &Arc<Shared>) -> Option<(SyncSender<()>, JoinHandle<()>)> {
    let (wake, woken) = sync_channel(1);
    let shared = Arc::downgrade(shared);
    let work = move || {
        while woken.recv().is_ok() {
            let Some(shared) = shared.upgrade() else { break };
            // What fails is tried again after the next commit, and shows in the status until then.
            let failed = shared.compact(false).err().map(|error| format!("room cannot be given back now: {error}"));
            *shared.compaction_trouble.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        }
    };
    std::thread::Builder::new().name("compaction".into()).spawn(work).ok().map(|thread| (wake, thread))
}

impl Open {
    pub(crate) fn wake_compaction(&self) {
        if let Some((wake, _)) = &self.compaction {
            // Full: it is woken already.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if let Some((wake, thread)) = self.compaction.take() {
            drop(wake);
            // It may be that very thread, if it was the last to hold the store; a panic of it was told already.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
        self.shared.close();
        *self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Shared {
    /// Does something that writes, with the log to itself.
    pub(crate) fn writing<T>(&self, mut act: impl FnMut(&Self, &mut Log) -> Outcome<T>) -> Outcome<T> {
        let (outcome, full) = {
            let outcome = self.with_sound_index(|| {
                let mut log: MutexGuard<'_, Log> = self.lock_log();
                log.usable()?;
                self.remove_closed(&mut log);
                act(self, &mut log)
            });
            (outcome, self.lock_log().unnamed() >= TOUCHED_LIMIT)
        };
        self.clear_left();
        if full {
            // Who wrote learns of a failure when they sync; it lasts.
            let _ = self.sync();
        }
        outcome
    }

    /// Takes away what removals and holes left, a piece at a time, so that others go on meanwhile. What fails is gone on with by
    /// the next who writes, or when the store is opened again.
    pub(crate) fn clear_left(&self) {
        while matches!(self.read_index(|index| Ok(index.has_left)), Ok(true)) {
            let _log = self.lock_log();
            let done = match self.read_index(Index::next_piece) {
                Ok(Some(ready)) => self.commit_index(ready).is_err(),
                Ok(None) => {
                    let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
                    index.iter_mut().for_each(|index| index.has_left = false);
                    true
                }
                Err(_) => true,
            };
            if done || self.is_abandoned() {
                break;
            }
        }
    }

    /// Exchanges the index without a frame: what it keeps for snapshots.
    pub(crate) fn commit_index(&self, ready: Ready) -> Outcome<()> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let index = index.as_mut().ok_or_else(|| StoreError::Index("it is closed".into()))?;
        Ok(index.commit(ready)?)
    }

    /// Builds the index anew, while everybody waits.
    pub(crate) fn rebuild_index(&self) -> Outcome<()> {
        let mut log = self.lock_log();
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first, because two cannot have its folder.
        drop(index.take());
        let open::Built { index: built, doubt, is_written, .. } = open::rebuild(&self.segments, &self.options, &log)?;
        if matches!(log.broken, Some(Broken::Index(_))) {
            log.broken = None;
        }
        if built.position.sequence != log.sequence {
            log.broken = Some(Broken::Disk("the end of the segments cannot be read".to_owned()));
        }
        // First, because whoever reads with the new index is to know what of it is in doubt.
        *self.doubt.write().unwrap_or_else(PoisonError::into_inner) = doubt.clone();
        *index = Some(built);
        drop((index, log));
        if !is_written {
            self.write_down(&doubt);
        }
        Ok(())
    }

    /// What was found to be lost is written down before anything else, because the next commits do not name what is missing, and what
    /// named the changes may be given up.
    fn write_down(&self, losses: &Doubt) {
        let written = self.write_losses(losses).and_then(|()| self.sync());
        let judged = written.and_then(|()| {
            // The note of before may be of frames that are lost.
            self.note.sync()?;
            let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
            Ok(index.as_mut().map_or(Ok(()), |index| index.set_judged(true))?)
        });
        // Without keys it is in the log all the same, and the next commit makes sure of it; until then the index does not count.
        if let Err(error) =
            judged.or_else(|error| if matches!(error, StoreError::Keys(_)) { Ok(()) } else { Err(error) })
        {
            let why = format!("what was lost could not be written down, and is to be before anything else: {error}");
            self.lock_log().broken.get_or_insert(Broken::Disk(why));
        }
    }

    /// What is lost, in the place of what was before.
    pub(crate) fn write_losses(&self, losses: &Doubt) -> Outcome<()> {
        let mut log = self.lock_log();
        let mut draft = Draft::new(log.sequence + 1, 512);
        losses.write(&mut draft, &self.store_id, &self.own)?;
        self.write_frame(&mut log, draft)
    }

    /// Commits, and leaves the index so that it can be trusted.
    fn close(&self) {
        if self.is_abandoned() {
            drop(self.index.write().unwrap_or_else(PoisonError::into_inner).take());
            return;
        }
        self.remove_closed(&mut self.lock_log());
        let committed = self.sync().is_ok();
        fault::point("close.committed");
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner).take();
        let flushed = index.as_mut().is_some_and(|index| index.write_down().and_then(|()| index.flush()).is_ok());
        drop(index);
        fault::point("close.flushed");
        if committed && flushed {
            // Without it the index is read through at the next start.
            let _ = self
                .note
                .sync()
                .and_then(|()| marker::leave(self.segments.files.as_ref(), &self.options.index, &self.own));
        }
    }
}
