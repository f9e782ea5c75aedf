//! The segments: reading items out of them, and writing frames at their end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use vat::fault;

use super::error::{Outcome, StoreError};
use super::files::{Files, StoreFile};
use super::format::{
    FRAME_HEAD_BYTES, FrameHead, Hash, ITEM_HEAD_BYTES, Id, Item, ItemHead, ItemKind, PAYLOAD_LIMIT_BYTES,
    SEGMENT_HEAD_BYTES, SegmentHead, file_name, items, payload_hash,
};
use super::index::Place;
use super::seal::Sealer;

/// How often a read that failed is tried again, for disks and cables have bad moments.
const READ_RETRIES: usize = 2;
/// A commit names what was written in so many bytes before it, even if an earlier one did: a damaged block of this size
/// may hold a commit and what it names.
pub(crate) const OVERLAP_BYTES: u64 = 16 << 10;

/// At most so many changes are remembered for the summary of a segment: 3 MB as a list, and with those of the next commit
/// below the limit of a frame.
const KEPT_LIMIT: usize = 1 << 16;

/// One segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) file: Arc<dyn StoreFile>,
    pub(crate) head: SegmentHead,
    pub(crate) length: u64,
    /// After its last frame so far.
    pub(crate) chain: Hash,
}

/// All segments that there are.
pub(crate) struct Segments {
    pub(crate) files: Arc<dyn Files>,
    open: RwLock<BTreeMap<u32, Segment>>,
}

impl Segments {
    pub(crate) fn new(files: Arc<dyn Files>, open: BTreeMap<u32, Segment>) -> Self {
        Self { files, open: RwLock::new(open) }
    }

    pub(crate) fn get(&self, number: u32) -> Option<Segment> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    pub(crate) fn all(&self) -> BTreeMap<u32, Segment> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut BTreeMap<u32, Segment>) -> T) -> T {
        act(&mut self.open.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The item at a place: its head, and its bytes with the head. Nothing where there is no item of that length.
    pub(crate) fn item(&self, place: Place) -> Outcome<Option<(ItemHead, Vec<u8>)>> {
        let Some(segment) = self.get(place.segment) else { return Ok(None) };
        let offset = u64::from(place.offset);
        // The length is from the index, which may be wrong; the file's is not.
        if offset + u64::from(place.length) > segment.length || (place.length as usize) < ITEM_HEAD_BYTES {
            return Ok(None);
        }
        let mut bytes = vec![0; place.length as usize];
        if read(segment.file.as_ref(), offset, &mut bytes)? < bytes.len() {
            return Ok(None);
        }
        let head = ItemHead::decode(&bytes).filter(|head| head.whole_bytes() == place.length);
        Ok(head.map(|head| (head, bytes)))
    }
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

/// A frame in the making.
pub(crate) struct Draft {
    /// With room for its head.
    bytes: Vec<u8>,
    pub(crate) sequence: u64,
}

impl Draft {
    pub(crate) fn new(sequence: u64, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + FRAME_HEAD_BYTES);
        bytes.resize(FRAME_HEAD_BYTES, 0);
        Self { bytes, sequence }
    }

    /// Adds an item whose body is clear.
    pub(crate) fn push(&mut self, mut head: ItemHead, body: &[u8]) -> Outcome<()> {
        head.length = u32::try_from(body.len()).map_err(|_| StoreError::TooLarge)?;
        self.bytes.extend_from_slice(&head.encode());
        self.bytes.extend_from_slice(body);
        Ok(())
    }

    /// Adds an item with its head as it is.
    pub(crate) fn push_whole(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
    }

    /// Adds an item whose body is sealed.
    pub(crate) fn seal(&mut self, sealer: &Sealer, mut head: ItemHead, plain: &[&[u8]]) -> Outcome<()> {
        sealer.seal(&mut head, plain, &mut self.bytes)
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[FRAME_HEAD_BYTES..]
    }

    pub(crate) fn whole_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// One node, or one entry of a directory, that one frame changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) sequence: u64,
    pub(crate) node: Id,
    /// The hash of the entry's name; zeros: the node itself.
    pub(crate) entry: [u8; 16],
    /// That the node has then; 0: as before.
    pub(crate) version: u64,
}

/// What a frame changed.
pub(crate) fn touched_by(items: &[Item<'_>], sequence: u64) -> Vec<Touched> {
    let version_of = |node: &Id| {
        let is_it = |item: &&Item<'_>| item.head.kind == ItemKind::Metadata && item.head.node == *node;
        items.iter().find(is_it).map_or(0, |item| item.head.version)
    };
    let mut touched: Vec<Touched> = Vec::new();
    for Item { head, .. } in items {
        let whole = Touched { sequence, node: head.node, entry: [0; 16], version: head.version };
        match head.kind {
            ItemKind::Entry | ItemKind::EntryRemoved => {
                // In a frame that copies there is no metadata to go with it.
                let version = if head.sequence == sequence { version_of(&head.node) } else { 0 };
                touched.push(Touched { entry: head.part, version, ..whole });
            }
            ItemKind::Metadata | ItemKind::Sector | ItemKind::Hole | ItemKind::NodeRemoved | ItemKind::Orphaned => {
                let version = if head.sequence == sequence { version_of(&head.node) } else { 0 };
                touched.push(Touched { version, ..whole });
            }
            _ => {}
        }
    }
    // A directory whose metadata changed with its entries is not lost with them.
    let with_entries: Vec<Id> = touched.iter().filter(|one| one.entry != [0; 16]).map(|one| one.node).collect();
    touched.retain(|one| one.entry != [0; 16] || one.version == 0 || !with_entries.contains(&one.node));
    touched.sort_by_key(|one| (one.node, one.entry));
    touched.dedup();
    touched
}

/// The end of the log, at which one writes at a time.
pub(crate) struct Log {
    pub(crate) store: Id,
    pub(crate) segment_bytes: u64,
    /// The segment that is written to; 0: none yet.
    pub(crate) active: u32,
    pub(crate) sequence: u64,
    pub(crate) chain: Hash,
    /// What the next commit names, with how many bytes had been written before each.
    pub(crate) touched: VecDeque<(u64, Touched)>,
    /// Of the frames from this one on, `touched` is complete.
    pub(crate) listed_from: u64,
    /// The segment whose first commit was made.
    pub(crate) summarised: u32,
    /// Bytes written since it was opened.
    pub(crate) written: u64,
    /// The last frame that a commit covers.
    pub(crate) committed: u64,
    /// Segments with bytes that may not be on the disk.
    pub(crate) dirty: BTreeSet<u32>,
    pub(crate) folder_dirty: bool,
    /// The segments are others than the last commit says.
    pub(crate) list_dirty: bool,
    pub(crate) commits: u64,
    /// Why nothing can be written any more.
    pub(crate) broken: Option<String>,
}

/// What was there before a frame, so that it can be taken back.
pub(crate) struct Undo {
    segment: u32,
    length: u64,
}

impl Log {
    /// Whether anything may be written.
    pub(crate) fn usable(&self) -> Outcome<()> {
        self.broken.as_ref().map_or(Ok(()), |why| Err(StoreError::Refusing(why.clone())))
    }

    /// Where a frame of so many bytes goes: the segment and the offset. Begins a new segment where it must.
    pub(crate) fn place_for(&mut self, segments: &Segments, bytes: u64) -> Outcome<(u32, u64)> {
        if let Some(active) = segments.get(self.active)
            && (active.length + bytes <= self.segment_bytes || active.length == SEGMENT_HEAD_BYTES as u64)
        {
            return Ok((self.active, active.length));
        }
        let number = self.active.checked_add(1).ok_or(StoreError::TooLarge)?;
        let head = SegmentHead { store: self.store, number, first_sequence: self.sequence + 1, chain: self.chain };
        let name = file_name(number);
        let file = segments.files.create(&name)?;
        fault::point("segment.made");
        if let Err(error) = file.write_at(0, &head.encode()) {
            if segments.files.remove(&name).is_err() {
                self.broken = Some(format!("{name} could neither be written nor removed"));
            }
            return Err(error.into());
        }
        fault::point("segment.begun");
        let length = SEGMENT_HEAD_BYTES as u64;
        segments.change(|open| open.insert(number, Segment { file, head, length, chain: self.chain }));
        self.active = number;
        self.dirty.insert(number);
        self.folder_dirty = true;
        self.list_dirty = true;
        Ok((number, length))
    }

    /// The head of a draft is filled in; returns the chain after it.
    pub(crate) fn finish(&self, draft: &mut Draft) -> Outcome<Hash> {
        let payload = draft.payload();
        if payload.len() > PAYLOAD_LIMIT_BYTES {
            return Err(StoreError::TooLarge);
        }
        let length = u32::try_from(payload.len()).map_err(|_| StoreError::TooLarge)?;
        let payload = payload_hash(payload);
        let (head, chain) = FrameHead { length, sequence: draft.sequence, before: self.chain, payload }.encode();
        draft.bytes[..FRAME_HEAD_BYTES].copy_from_slice(&head);
        Ok(chain)
    }

    /// Writes a finished frame. What fails is taken back.
    pub(crate) fn write(&mut self, segments: &Segments, place: (u32, u64), draft: &Draft) -> Outcome<Undo> {
        let undo = Undo { segment: place.0, length: place.1 };
        let segment = segments.get(place.0).ok_or(StoreError::Io(io::ErrorKind::NotFound.into()))?;
        self.dirty.insert(place.0);
        fault::point("frame.write");
        fault::point_amid("frame.torn", || {
            let _ = segment.file.write_at(place.1, &draft.bytes[..draft.bytes.len() / 2]);
        });
        if let Err(error) = segment.file.write_at(place.1, &draft.bytes) {
            self.take_back(segments, &undo);
            return Err(error.into());
        }
        Ok(undo)
    }

    /// Cuts off what was written since.
    pub(crate) fn take_back(&mut self, segments: &Segments, undo: &Undo) {
        let cut = segments.get(undo.segment).map(|segment| segment.file.set_length(undo.length));
        if !matches!(cut, Some(Ok(()))) {
            self.broken = Some(format!("{} could not be cut back after a failed write", file_name(undo.segment)));
        }
    }

    /// The frame counts from now on.
    pub(crate) fn advance(&mut self, segments: &Segments, place: (u32, u64), draft: &Draft, chain: Hash) {
        self.written += draft.whole_bytes();
        self.sequence = draft.sequence;
        self.chain = chain;
        segments.change(|open| {
            if let Some(segment) = open.get_mut(&place.0) {
                segment.length = place.1 + draft.whole_bytes();
                segment.chain = chain;
            }
        });
        if let Some(items) = items(draft.payload()) {
            let touched = touched_by(&items, draft.sequence);
            self.touched.extend(touched.into_iter().map(|touched| (self.written, touched)));
        }
    }

    /// What the next commit names: what was written since the last, and over the overlap before; all of the segment before,
    /// if it is the first in this one, so that a segment may be lost whole. And from which frame on that is complete.
    pub(crate) fn list_touched(&self) -> (u64, Vec<Touched>) {
        if self.summarised != self.active {
            return (self.listed_from, self.touched.iter().map(|(_, touched)| *touched).collect());
        }
        let is_old = |(written, touched): &(u64, Touched)| {
            touched.sequence <= self.committed && *written + OVERLAP_BYTES < self.written
        };
        let begin = self.touched.iter().position(|one| !is_old(one)).unwrap_or(self.touched.len());
        let before = begin.checked_sub(1).and_then(|at| self.touched.get(at));
        let from = before.map_or(self.listed_from, |(_, touched)| touched.sequence + 1).min(self.committed + 1);
        let listed = self.touched.iter().map(|(_, touched)| *touched).filter(|touched| touched.sequence >= from);
        (from.max(self.listed_from), listed.collect())
    }

    /// How many changes no commit names yet.
    pub(crate) fn unnamed(&self) -> usize {
        self.touched.len() - self.touched.partition_point(|(_, touched)| touched.sequence <= self.committed)
    }

    /// Forgets what was before the segment before, and what is more than a commit can name.
    pub(crate) fn forget_touched(&mut self, segments: &Segments) {
        let before = self.active.checked_sub(1).and_then(|before| segments.get(before));
        let keep_from = before.map_or(0, |segment| segment.head.first_sequence);
        while let Some((_, touched)) = self.touched.front()
            && touched.sequence <= self.committed
            && (touched.sequence < keep_from || self.touched.len() > KEPT_LIMIT)
        {
            self.listed_from = touched.sequence + 1;
            self.touched.pop_front();
        }
    }
}
