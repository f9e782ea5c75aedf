//! The thread that writes and syncs. What comes while it syncs is written together at its next turn.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use rustix::fs::FallocateFlags;
use tokio::sync::watch;

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
    spare: File,
}

impl Writer {
    pub(super) fn start(file: File, folder: &Path, position: u64, end_offset: u64) -> Result<Self, LogError> {
        let synced =
            File::options().write(true).create(true).truncate(false).open(folder.join(SYNCED)).map_err(LogError::Io)?;
        let (frames, waiting) = mpsc::channel();
        let (tell, reached) = watch::channel(Reached::Position(position));
        let room = Arc::new(AtomicBool::new(true));
        let spare = file.try_clone().map_err(LogError::Io)?;
        let mut disk = Disk { file, synced, end_offset, allocated: end_offset, room: room.clone() };
        // What the last life wrote is read back from the cache: make sure of it before anything builds on it.
        disk.sync().map_err(LogError::Io)?;
        disk.allocate();
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || run(&mut disk, &waiting, &tell))
            .map_err(LogError::Io)?;
        Ok(Self { frames, reached, room, spare })
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
            let there = set_aside(&self.spare, end_offset).is_ok();
            self.room.fetch_or(there, Ordering::Relaxed) || there
        }
    }
}

fn run(disk: &mut Disk, waiting: &mpsc::Receiver<Frame>, tell: &watch::Sender<Reached>) {
    while let Ok(first) = waiting.recv() {
        let (mut position, mut batch) = (first.position, first.bytes);
        while batch.len() < BATCH_LIMIT_BYTES
            && let Ok(next) = waiting.try_recv()
        {
            position = next.position;
            batch.extend_from_slice(&next.bytes);
        }
        crate::fault::point("log.write");
        if let Err(error) = disk.write(&batch) {
            // After a failed sync nobody can say what the disk has: stop here, and let a new start look.
            tell.send_replace(Reached::Failed(format!("the log could not be written: {error}")));
            return;
        }
        crate::fault::point("log.synced");
        tell.send_replace(Reached::Position(position));
    }
}

struct Disk {
    file: File,
    synced: File,
    end_offset: u64,
    /// How far blocks are set aside, beyond the end of the file.
    allocated: u64,
    room: Arc<AtomicBool>,
}

impl Disk {
    fn write(&mut self, batch: &[u8]) -> std::io::Result<()> {
        crate::fault::point_amid("log.torn", || {
            drop(self.file.write_all_at(&batch[..batch.len() / 2], self.end_offset))
        });
        self.file.write_all_at(batch, self.end_offset)?;
        crate::fault::point("log.written");
        self.end_offset += batch.len() as u64;
        self.sync()?;
        self.allocate();
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.file.sync_data()?;
        // Best effort: an older note is true as well.
        let _ = self.synced.write_all_at(&self.end_offset.to_le_bytes(), 0);
        Ok(())
    }

    /// Sets blocks aside beyond the end, and says whether there is room for ordinary records.
    fn allocate(&mut self) {
        if self.allocated < self.end_offset + RESERVE_BYTES * 2 {
            let from = self.allocated.max(self.end_offset);
            match set_aside(&self.file, from) {
                Ok(()) => self.allocated = from + AHEAD_BYTES,
                Err(rustix::io::Errno::OPNOTSUPP) => self.allocated = u64::MAX,
                Err(_) => {}
            }
        }
        self.room.store(self.allocated >= self.end_offset + RESERVE_BYTES, Ordering::Relaxed);
    }
}

/// Sets blocks aside from an offset on.
fn set_aside(file: &File, from: u64) -> rustix::io::Result<()> {
    rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, AHEAD_BYTES)
}
