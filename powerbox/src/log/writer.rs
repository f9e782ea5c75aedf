//! The thread that writes and syncs. What comes while it syncs is written together at its next turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use tokio::sync::watch;

use super::files::{Files, LogFile};
use super::{LogError, SYNCED};

/// Room that is kept for records that take something away (revocations, ends), so that a full disk never stands in
/// their way: an end of 10,000 grants takes 80 kB.
pub const RESERVE_BYTES: u64 = 256 * 1024;
/// How much is set aside beyond the end at a time.
const AHEAD_BYTES: u64 = 1024 * 1024;
/// At most so many bytes go in one write.
const BATCH_LIMIT_BYTES: usize = 1024 * 1024;

/// How far the log has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Every record up to this position is on the disk.
    Position(u64),
    /// Writing failed. What was not reached before may be there or not: only a new start can tell.
    Failed(String),
}

struct Frame {
    position: u64,
    bytes: Vec<u8>,
}

/// The core's side of the thread.
pub(super) struct Writer {
    frames: mpsc::Sender<Frame>,
    reached: watch::Receiver<Reached>,
    room: Arc<AtomicBool>,
    /// For looking whether there is room again.
    file: Arc<dyn LogFile>,
}

impl Writer {
    /// The core's side, and what the thread does.
    pub(super) fn new(
        files: &dyn Files,
        file: Arc<dyn LogFile>,
        position: u64,
        end_offset: u64,
    ) -> Result<(Self, Turns), LogError> {
        let synced = files.open_or_create(SYNCED).map_err(LogError::Io)?;
        let (frames, waiting) = mpsc::channel();
        let (tell, reached) = watch::channel(Reached::Position(position));
        let room = Arc::new(AtomicBool::new(true));
        let mut disk = Disk { file: file.clone(), synced, end_offset, allocated: end_offset, room: room.clone() };
        // What the last life wrote is read back from the cache: make sure of it before anything builds on it.
        disk.sync().map_err(LogError::Io)?;
        disk.allocate();
        Ok((Self { frames, reached, room, file }, Turns { disk, waiting, tell }))
    }

    pub(super) fn append(&self, position: u64, bytes: Vec<u8>) {
        // If the thread is gone, `reached` has said so.
        let _ = self.frames.send(Frame { position, bytes });
    }

    pub(super) fn reached(&self) -> watch::Receiver<Reached> {
        self.reached.clone()
    }

    /// Whether there is room for ordinary records after `end_offset`. Where there was none, this looks again: what is
    /// refused for want of room is not written, so the thread that writes would never find out.
    pub(super) fn has_room(&self, end_offset: u64) -> bool {
        self.room.load(Ordering::Relaxed) || {
            let there = self.file.set_aside(end_offset, AHEAD_BYTES).is_ok();
            self.room.fetch_or(there, Ordering::Relaxed) || there
        }
    }
}

/// What the thread does.
pub(super) struct Turns {
    disk: Disk,
    waiting: mpsc::Receiver<Frame>,
    tell: watch::Sender<Reached>,
}

impl Turns {
    /// On a thread of its own, until the log is dropped or cannot be written.
    pub(super) fn start(mut self) -> Result<(), LogError> {
        let turns = move || while self.turn() {};
        std::thread::Builder::new().name("log".into()).spawn(turns).map(drop).map_err(LogError::Io)
    }

    /// Writes and syncs what waits, of which there is something at last; whether that can be done again.
    pub(super) fn turn(&mut self) -> bool {
        let Ok(first) = self.waiting.recv() else { return false };
        let (mut position, mut batch) = (first.position, first.bytes);
        while batch.len() < BATCH_LIMIT_BYTES
            && let Ok(next) = self.waiting.try_recv()
        {
            position = next.position;
            batch.extend_from_slice(&next.bytes);
        }
        crate::fault::point("log.write");
        if let Err(error) = self.disk.write(&batch) {
            // After a failed sync nobody can say what the disk has: stop here, and let a new start look.
            self.tell.send_replace(Reached::Failed(format!("the log could not be written: {error}")));
            return false;
        }
        crate::fault::point("log.synced");
        self.tell.send_replace(Reached::Position(position));
        true
    }
}

struct Disk {
    file: Arc<dyn LogFile>,
    synced: Arc<dyn LogFile>,
    end_offset: u64,
    /// How far blocks are set aside, beyond the end of the file.
    allocated: u64,
    room: Arc<AtomicBool>,
}

impl Disk {
    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        crate::fault::point_amid("log.torn", || drop(self.file.write_at(self.end_offset, &batch[..batch.len() / 2])));
        self.file.write_at(self.end_offset, batch)?;
        crate::fault::point("log.written");
        self.end_offset += batch.len() as u64;
        self.sync()?;
        self.allocate();
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.file.sync()?;
        // Best effort: an older note is true as well.
        let _ = self.synced.write_at(0, &self.end_offset.to_le_bytes());
        Ok(())
    }

    /// Sets blocks aside beyond the end, and says whether there is room for ordinary records.
    fn allocate(&mut self) {
        if self.allocated < self.end_offset + RESERVE_BYTES * 2 {
            let from = self.allocated.max(self.end_offset);
            match self.file.set_aside(from, AHEAD_BYTES) {
                Ok(()) => self.allocated = from + AHEAD_BYTES,
                Err(rustix::io::Errno::OPNOTSUPP) => self.allocated = u64::MAX,
                Err(_) => {}
            }
        }
        self.room.store(self.allocated >= self.end_offset + RESERVE_BYTES, Ordering::Relaxed);
    }
}
