//! The segments that there are, and reading items out of them. Few of their files are open at a time.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::error::{Outcome, StoreError};
use super::files::{Files, StoreFile};
use super::format::{ITEM_HEAD_BYTES, ItemHead, SegmentHead, file_name};
use super::index::{Place, check_of};
use super::scan::{Expected, SEGMENT_LIMIT_BYTES};

/// How often a read that failed is tried again, for disks and cables have bad moments.
const READ_RETRIES: usize = 2;
/// Files of segments that are held open to read from, of 1,024 descriptors that a process commonly has: a disk of 1 TB has
/// 16,384 segments. Those that may have bytes which are not on the disk are held by the log beside, at most
/// [`DIRTY_FILES`](super::log::DIRTY_FILES), and as many while a commit makes sure of them.
pub(crate) const OPEN_FILES: usize = 64;

/// One segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) head: SegmentHead,
    pub(crate) length: u64,
    /// What comes after its last frame so far; where some of it is damaged or missing, what came there when it was written.
    pub(crate) end: Expected,
}

/// All segments that there are.
pub(crate) struct Segments {
    pub(crate) files: Arc<dyn Files>,
    known: RwLock<BTreeMap<u32, Segment>>,
    /// Those used last are at the end.
    open: Mutex<VecDeque<(u32, Arc<dyn StoreFile>)>>,
}

/// Where the files of segments go that are of no use. A person may remove them.
pub(crate) const LOST: &str = "lost";

/// Moves files of segments there, beside what is there already; the names that they have then.
pub(crate) fn move_to_lost(files: &dyn Files, numbers: &[u32]) -> io::Result<Vec<String>> {
    let mut kept = Vec::with_capacity(numbers.len());
    if numbers.is_empty() {
        return Ok(kept);
    }
    let mut taken = names_in_lost(files)?;
    for number in numbers {
        let name = free_name(&mut taken, *number);
        files.rename(&file_name(*number), &name)?;
        kept.push(name);
    }
    files.sync_folder(LOST)?;
    files.sync_folder("segments")?;
    Ok(kept)
}

/// Copies the end of a segment's file there; the name that the copy has.
pub(crate) fn copy_to_lost(files: &dyn Files, number: u32, from: u64) -> io::Result<String> {
    let kept = free_name(&mut names_in_lost(files)?, number);
    let copied = copy_end(files, number, from, &kept);
    if copied.is_err() {
        let _ = files.remove(&kept);
    }
    files.sync_folder(LOST)?;
    copied.map(|()| kept)
}

fn copy_end(files: &dyn Files, number: u32, begin: u64, to: &str) -> io::Result<()> {
    let (from, into) = (files.open(&file_name(number))?, files.create(to)?);
    let mut piece = vec![0; COPY_BYTES];
    let mut done = 0;
    loop {
        let got = read(from.as_ref(), begin + done, &mut piece)?;
        if got == 0 {
            return into.sync();
        }
        // What is beyond was not written by this program, and may have no end.
        if begin + done >= SEGMENT_LIMIT_BYTES {
            return into.sync();
        }
        into.write_at(done, &piece[..got])?;
        done += got as u64;
    }
}

/// The names that are taken there.
fn names_in_lost(files: &dyn Files) -> io::Result<HashSet<String>> {
    files.make_folder(LOST)?;
    files.sync_folder("")?;
    Ok(files.list(LOST)?.into_iter().collect())
}

/// A name there that nothing has, which is taken then.
fn free_name(taken: &mut HashSet<String>, number: u32) -> String {
    let name = |count: usize| match count {
        0 => format!("{number:08}.seg"),
        _ => format!("{number:08}.seg.{count}"),
    };
    // One of so many is free.
    let free = (0..=taken.len()).map(name).find(|name| !taken.contains(name)).unwrap_or_default();
    let path = format!("{LOST}/{free}");
    taken.insert(free);
    path
}

/// A file is copied in pieces of so many bytes.
const COPY_BYTES: usize = 1 << 20;

/// Who reads so much at once is likely to read on: eight sectors, half of what a stream asks for at a time.
const STREAM_BYTES: usize = 128 << 10;

impl Segments {
    pub(crate) fn new(files: Arc<dyn Files>, known: BTreeMap<u32, Segment>) -> Self {
        Self { files, known: RwLock::new(known), open: Mutex::default() }
    }

    pub(crate) fn get(&self, number: u32) -> Option<Segment> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// How long a segment is, if it is there.
    pub(crate) fn length(&self, number: u32) -> Option<u64> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&number).map(|segment| segment.length)
    }

    pub(crate) fn all(&self) -> BTreeMap<u32, Segment> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of all together, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().map(|segment| segment.length).sum()
    }

    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut BTreeMap<u32, Segment>) -> T) -> T {
        act(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file of a segment.
    pub(crate) fn file(&self, number: u32) -> io::Result<Arc<dyn StoreFile>> {
        if let Some(file) = self.opened(number) {
            return Ok(file);
        }
        let file = self.files.open(&file_name(number))?;
        self.keep_open(number, file.clone());
        Ok(file)
    }

    fn opened(&self, number: u32) -> Option<Arc<dyn StoreFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().rposition(|(open, _)| *open == number)?;
        if at + 1 < open.len()
            && let Some(used) = open.remove(at)
        {
            open.push_back(used);
        }
        open.back().map(|(_, file)| file.clone())
    }

    /// A file is held open until others are used more.
    pub(crate) fn keep_open(&self, number: u32, file: Arc<dyn StoreFile>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(open, _)| *open != number);
        open.push_back((number, file));
        if open.len() > OPEN_FILES {
            open.pop_front();
        }
    }

    /// A segment is there no more.
    pub(crate) fn forget(&self, number: u32) {
        self.change(|known| known.remove(&number));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(open, _)| *open != number);
    }

    /// The bytes from a place on, which end before the segment does. Nothing where they do not.
    pub(crate) fn bytes_at(&self, number: u32, offset: u64, length: usize) -> Outcome<Option<Vec<u8>>> {
        // The length is from the index, which may be wrong; the segment's is not.
        if self.length(number).is_none_or(|end| offset.saturating_add(length as u64) > end) {
            return Ok(None);
        }
        let file = match self.file(number) {
            // It was given up this moment: what was in it is somewhere else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = vec![0; length];
        if length >= STREAM_BYTES {
            file.begin_read(offset + length as u64, 2 * length as u64);
        }
        let got = read(file.as_ref(), offset, &mut bytes)?;
        Ok((got == length).then_some(bytes))
    }

    /// The item at a place: its head, and its bytes with the head. Nothing where there is no item of that length; damaged where it
    /// is another.
    pub(crate) fn item(&self, place: Place) -> Outcome<Option<(ItemHead, Vec<u8>)>> {
        if (place.length as usize) < ITEM_HEAD_BYTES {
            return Ok(None);
        }
        let bytes = self.bytes_at(place.segment, u64::from(place.offset), place.length as usize)?;
        let Some((head, bytes)) = bytes.and_then(|bytes| item_of(place, &bytes).map(|head| (head, bytes))) else {
            return Ok(None);
        };
        if !is_same(place, &bytes) {
            let (segment, offset) = (place.segment, place.offset);
            let what = format!("what is in segment {segment} at {offset} is not what was written there");
            return Err(StoreError::Damaged(what));
        }
        Ok(Some((head, bytes)))
    }
}

/// The head of the item that these bytes are, if they are as long as the one of that place.
pub(crate) fn item_of(place: Place, bytes: &[u8]) -> Option<ItemHead> {
    ItemHead::decode(bytes).filter(|head| head.whole_bytes() == place.length && bytes.len() == place.length as usize)
}

/// Whether it is the very item that was written there, and not one of another time with the same head.
pub(crate) fn is_same(place: Place, bytes: &[u8]) -> bool {
    bytes.get(ITEM_HEAD_BYTES..).is_some_and(|body| check_of(body) == place.check)
}

/// Reads, and tries again where that fails.
pub(crate) fn read(file: &dyn StoreFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut tries = 0;
    loop {
        match file.read_at(offset, buffer) {
            Ok(got) => return Ok(got),
            Err(error) if tries == READ_RETRIES => return Err(error),
            Err(_) => tries += 1,
        }
    }
}
