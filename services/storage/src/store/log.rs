//! The end of the log: writing frames there, and what the next commit has to name.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use vat::fault;

use super::commit::{Listed, TOUCHED_LIMIT};
use super::error::{Outcome, StoreError};
use super::files::StoreFile;
use super::format::{
    FRAME_HEAD_BYTES, FrameHead, Hash, Id, Item, ItemHead, ItemKind, PAYLOAD_LIMIT_BYTES, SEGMENT_HEAD_BYTES,
    SegmentHead, file_name, items, payload_hash,
};
use super::keys::OwnKeys;
use super::scan::Expected;
use super::seal::Sealer;
use super::segments::{Segment, Segments};

/// A commit names what was written in so many bytes before it, even if an earlier one did: a damaged block of this size
/// may hold a commit and what it names.
pub(crate) const OVERLAP_BYTES: u64 = 16 << 10;

/// Memory that is kept between writes: for one of 1 MiB, which is what the interface allows.
const SPARE_BYTES: usize = 2 << 20;

/// What a stream of writes leaves behind is brought to the disk in pieces of so many bytes, while it goes on: large enough that a
/// disk is not kept from what others want of it for small ones, a sixteenth of a segment.
const FLUSH_BYTES: u64 = 4 << 20;

/// Files with bytes that may not be on the disk are held open, at most so many: 1 GiB that no commit was made for.
pub(crate) const DIRTY_FILES: usize = 16;

/// At most so many changes are remembered for the summary of a segment: 3 MB as a list, and with those of the next commit
/// below the limit of a frame.
pub(crate) const KEPT_LIMIT: usize = 1 << 16;

/// At most so many changes are remembered at all, where no commit can be made for long because the keys are locked. What is older
/// is named by no commit then: where it is damaged, all that was written before counts as damaged.
const TOUCHED_MOST: usize = KEPT_LIMIT + TOUCHED_LIMIT;
/// Of one change in the list of a commit: sequence, beginning of the chain, node, entry, version.
const TOUCHED_BYTES: usize = 8 + 8 + 16 + 16 + 8;
/// Of one segment in that list, at 16,384 segments, which are 1 TiB: number, begin and end, each a sequence and a chain.
const SEGMENTS_BYTES: usize = 16_384 * (8 + 2 * (8 + 32));
const _: () =
    assert!(TOUCHED_MOST * TOUCHED_BYTES + SEGMENTS_BYTES < PAYLOAD_LIMIT_BYTES, "a commit fits into a frame");

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

    /// The same in the memory of the last frame that the log wrote.
    pub(crate) fn for_log(log: &mut Log, capacity: usize) -> Self {
        let mut bytes = std::mem::take(&mut log.spare);
        bytes.clear();
        bytes.reserve(capacity + FRAME_HEAD_BYTES);
        bytes.resize(FRAME_HEAD_BYTES, 0);
        Self { bytes, sequence: log.sequence + 1 }
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

/// The first bytes of a chain: by these a commit tells one frame from another of the same sequence. Nobody chooses what is in a
/// frame's chain, so 2^64 of them would have to be tried.
pub(crate) type ChainStart = [u8; 8];

/// Those of a chain.
pub(crate) fn start_of(chain: &Hash) -> ChainStart {
    let mut start = ChainStart::default();
    start.copy_from_slice(&chain[..size_of::<ChainStart>()]);
    start
}

/// One node, or one entry of a directory, that one frame changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) sequence: u64,
    /// The beginning of the chain after that frame.
    pub(crate) chain: ChainStart,
    pub(crate) node: Id,
    /// The hash of the entry's name; zeros: the node itself.
    pub(crate) entry: [u8; 16],
    /// That the node has then; 0: as before.
    pub(crate) version: u64,
}

/// What a frame changed.
pub(crate) fn touched_by(items: &[Item<'_>], sequence: u64, chain: &Hash) -> Vec<Touched> {
    let mut versions: HashMap<Id, u64> = HashMap::new();
    for item in items.iter().filter(|item| item.head.kind == ItemKind::Metadata) {
        let version = versions.entry(item.head.node).or_default();
        *version = item.head.version.max(*version);
    }
    let mut touched: Vec<Touched> = Vec::new();
    for Item { head, .. } in items {
        let version = versions.get(&head.node).copied().unwrap_or(0);
        let whole = Touched { sequence, chain: start_of(chain), node: head.node, entry: [0; 16], version };
        match head.kind {
            ItemKind::Entry | ItemKind::EntryRemoved => touched.push(Touched { entry: head.part, ..whole }),
            ItemKind::Metadata
            | ItemKind::Sector
            | ItemKind::Hole
            | ItemKind::NodeRemoved
            | ItemKind::Orphaned
            | ItemKind::Snapshot
            | ItemKind::SnapshotDropped
            | ItemKind::Losses => touched.push(whole),
            // These are repeated, or are in one frame with what is written by them.
            ItemKind::Root | ItemKind::Account | ItemKind::HomesJoined | ItemKind::Commit => {}
        }
    }
    // A directory whose metadata changed with its entries is not lost with them.
    let with_entries: HashSet<Id> = touched.iter().filter(|one| one.entry != [0; 16]).map(|one| one.node).collect();
    touched.retain(|one| one.entry != [0; 16] || one.version == 0 || !with_entries.contains(&one.node));
    touched.sort_by_key(|one| (one.node, one.entry));
    touched.dedup();
    touched
}

/// The end of the log, at which one writes at a time.
pub(crate) struct Log {
    pub(crate) store: Id,
    pub(crate) keys: OwnKeys,
    pub(crate) segment_bytes: u64,
    /// The segment that is written to; 0: none yet.
    pub(crate) active: u32,
    pub(crate) sequence: u64,
    pub(crate) chain: Hash,
    /// What the next commit names, with how many bytes had been written before each.
    pub(crate) touched: VecDeque<(u64, Touched)>,
    /// Of the frames from this one on, `touched` is complete.
    pub(crate) listed_from: u64,
    /// The last frame before that one which changed anything: its sequence, and the beginning of the chain after it.
    pub(crate) anchor: Option<(u64, ChainStart)>,
    /// The segment whose first commit was made.
    pub(crate) summarised: u32,
    /// What had been written when a commit repeated the item of the root; nothing: the next one has to.
    pub(crate) root_repeated_at: Option<u64>,
    /// Memory that the next frame may use: a stream of writes need not be given fresh pages for each.
    pub(crate) spare: Vec<u8>,
    /// Bytes written since it was opened.
    pub(crate) written: u64,
    /// The last frame that a commit covers.
    pub(crate) committed: u64,
    /// Segments with bytes that may not be on the disk. Their files stay open until they are: who opens a file anew need not
    /// be told that what was written to it before was lost.
    pub(crate) dirty: BTreeMap<u32, Arc<dyn StoreFile>>,
    pub(crate) folder_dirty: bool,
    /// The segments are others than the last commit says.
    pub(crate) list_dirty: bool,
    pub(crate) commits: u64,
    /// Segments that are not there. They are listed on, for they may come back, until a repair does without them.
    pub(crate) missing: Vec<Listed>,
    pub(crate) broken: Option<Broken>,
}

/// Why nothing can be written any more.
pub(crate) enum Broken {
    /// Until the store is opened anew: what the disk has is to be looked at afresh.
    Disk(String),
    /// Until the index is built anew.
    Index(String),
}

impl Broken {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Disk(why) | Self::Index(why) => why,
        }
    }
}

/// What was there before a frame, so that it can be taken back.
pub(crate) struct Undo {
    segment: u32,
    length: u64,
}

impl Log {
    /// Of a store in which nothing was written yet.
    pub(crate) fn begin(store: Id, keys: OwnKeys, segment_bytes: u64) -> Self {
        Self {
            store,
            keys,
            segment_bytes,
            active: 0,
            sequence: 0,
            chain: Expected::BEGIN.chain,
            touched: VecDeque::new(),
            listed_from: 1,
            anchor: None,
            summarised: 0,
            root_repeated_at: None,
            spare: Vec::new(),
            written: 0,
            committed: 0,
            dirty: BTreeMap::new(),
            folder_dirty: true,
            list_dirty: true,
            commits: 0,
            missing: Vec::new(),
            broken: None,
        }
    }

    /// Whether anything may be written.
    pub(crate) fn usable(&self) -> Outcome<()> {
        self.broken.as_ref().map_or(Ok(()), |broken| Err(StoreError::Refusing(broken.why().to_owned())))
    }

    /// Where a frame of so many bytes goes: the segment and the offset. Begins a new segment where it must.
    pub(crate) fn place_for(&mut self, segments: &Segments, bytes: u64) -> Outcome<(u32, u64)> {
        if let Some(active) = segments.get(self.active)
            && active.length >= SEGMENT_HEAD_BYTES as u64
            && (active.length + bytes <= self.segment_bytes || active.length == SEGMENT_HEAD_BYTES as u64)
        {
            return Ok((self.active, active.length));
        }
        self.begin_segment(segments)
    }

    /// Begins a new segment: its number, and where its first frame goes.
    pub(crate) fn begin_segment(&mut self, segments: &Segments) -> Outcome<(u32, u64)> {
        self.sync_some()?;
        let number = self.active.checked_add(1).ok_or(StoreError::TooLarge)?;
        let head = SegmentHead { store: self.store, number, first_sequence: self.sequence + 1, chain: self.chain };
        let name = file_name(number);
        let file = segments.files.create(&name)?;
        fault::point("segment.made");
        if let Err(error) = file.write_at(0, &head.encode(&self.keys)) {
            if segments.files.remove(&name).is_err() {
                self.broken = Some(Broken::Disk(format!("{name} could neither be written nor removed")));
            }
            return Err(error.into());
        }
        fault::point("segment.begun");
        let length = SEGMENT_HEAD_BYTES as u64;
        let end = Expected::at_begin_of(&head);
        segments.change(|known| known.insert(number, Segment { head, length, end }));
        segments.keep_open(number, file.clone());
        self.active = number;
        self.dirty.insert(number, file);
        self.folder_dirty = true;
        self.list_dirty = true;
        Ok((number, length))
    }

    /// Where no commit is made for long, because the keys are locked, the disk is made sure of all the same, lest too many
    /// files be open.
    fn sync_some(&mut self) -> Outcome<()> {
        while self.dirty.len() >= DIRTY_FILES
            && let Some((number, file)) = self.dirty.pop_first()
        {
            if let Err(error) = file.sync() {
                let why = format!("the disk could not be made sure of: {}: {error}", file_name(number));
                self.broken = Some(Broken::Disk(why.clone()));
                return Err(StoreError::Refusing(why));
            }
        }
        Ok(())
    }

    /// The head of a draft is filled in; returns the chain after it.
    pub(crate) fn finish(&self, draft: &mut Draft) -> Outcome<Hash> {
        let payload = draft.payload();
        if payload.len() > PAYLOAD_LIMIT_BYTES {
            return Err(StoreError::TooLarge);
        }
        let length = u32::try_from(payload.len()).map_err(|_| StoreError::TooLarge)?;
        let payload = payload_hash(payload);
        let (head, chain) =
            FrameHead { length, sequence: draft.sequence, before: self.chain, payload }.encode(&self.keys);
        draft.bytes[..FRAME_HEAD_BYTES].copy_from_slice(&head);
        Ok(chain)
    }

    /// Writes a finished frame. What fails is taken back.
    pub(crate) fn write(&mut self, segments: &Segments, place: (u32, u64), draft: &Draft) -> Outcome<Undo> {
        let undo = Undo { segment: place.0, length: place.1 };
        let file = self.file(segments, place.0)?;
        self.dirty.insert(place.0, file.clone());
        fault::point("frame.write");
        fault::point_amid("frame.torn", || {
            let _ = file.write_at(place.1, &draft.bytes[..draft.bytes.len() / 2]);
        });
        if let Err(error) = file.write_at(place.1, &draft.bytes) {
            self.take_back(segments, &undo);
            return Err(error.into());
        }
        let (before, after) = (place.1 / FLUSH_BYTES, (place.1 + draft.whole_bytes()) / FLUSH_BYTES);
        if before < after {
            file.begin_sync(before * FLUSH_BYTES, (after - before) * FLUSH_BYTES);
        }
        Ok(undo)
    }

    fn file(&self, segments: &Segments, number: u32) -> io::Result<Arc<dyn StoreFile>> {
        self.dirty.get(&number).map_or_else(|| segments.file(number), |file| Ok(file.clone()))
    }

    /// Cuts off what was written since.
    pub(crate) fn take_back(&mut self, segments: &Segments, undo: &Undo) {
        self.reach(segments, undo.segment, undo.length);
        let cut = self.file(segments, undo.segment).and_then(|file| file.set_length(undo.length));
        if cut.is_err() {
            let why = format!("{} could not be cut back after a failed write", file_name(undo.segment));
            self.broken = Some(Broken::Disk(why));
        }
    }

    /// A segment is so long from now on.
    pub(crate) fn reach(&self, segments: &Segments, number: u32, length: u64) {
        segments.change(|known| {
            known.entry(number).and_modify(|segment| segment.length = length);
        });
    }

    /// The frame counts from now on.
    pub(crate) fn advance(&mut self, segments: &Segments, place: (u32, u64), draft: &Draft, chain: Hash) {
        self.written += draft.whole_bytes();
        self.sequence = draft.sequence;
        self.chain = chain;
        segments.change(|known| {
            if let Some(segment) = known.get_mut(&place.0) {
                segment.length = place.1 + draft.whole_bytes();
                segment.end = Expected { sequence: draft.sequence + 1, chain };
            }
        });
        if let Some(items) = items(draft.payload()) {
            let touched = touched_by(&items, draft.sequence, &chain);
            self.touched.extend(touched.into_iter().map(|touched| (self.written, touched)));
            self.bound_touched();
        }
    }

    /// Forgets what is more than a commit can name.
    pub(crate) fn bound_touched(&mut self) {
        while self.touched.len() > TOUCHED_MOST {
            self.forget_oldest();
        }
    }

    /// What was lost before a frame nobody can list.
    pub(crate) fn list_from(&mut self, sequence: u64) {
        while self.touched.front().is_some_and(|(_, touched)| touched.sequence < sequence) {
            self.forget_oldest();
        }
        self.listed_from = self.listed_from.max(sequence);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, touched)) = self.touched.pop_front() {
            self.listed_from = touched.sequence + 1;
            self.anchor = Some((touched.sequence, touched.chain));
        }
    }

    /// A frame was written, and its memory is free.
    pub(crate) fn recycle(&mut self, draft: Draft) {
        if draft.bytes.capacity() <= SPARE_BYTES {
            self.spare = draft.bytes;
        }
    }

    /// What the next commit names: what was written since the last, and over the overlap before; all of the segment before,
    /// if it is the first in this one, so that a segment may be lost whole. From which frame on that is complete, and the last
    /// frame before that changed anything.
    pub(crate) fn list_touched(&self) -> (u64, Option<(u64, ChainStart)>, Vec<Touched>) {
        if self.summarised != self.active {
            return (self.listed_from, self.anchor, self.touched.iter().map(|(_, touched)| *touched).collect());
        }
        let is_old = |(written, touched): &(u64, Touched)| {
            touched.sequence <= self.committed && *written + OVERLAP_BYTES < self.written
        };
        let begin = self.touched.iter().position(|one| !is_old(one)).unwrap_or(self.touched.len());
        let before = begin.checked_sub(1).and_then(|at| self.touched.get(at));
        let from = before.map_or(self.listed_from, |(_, touched)| touched.sequence + 1).min(self.committed + 1);
        let from = from.max(self.listed_from);
        let begin = self.touched.partition_point(|(_, touched)| touched.sequence < from);
        let anchor = begin.checked_sub(1).and_then(|before| self.touched.get(before));
        let anchor = anchor.map_or(self.anchor, |(_, touched)| Some((touched.sequence, touched.chain)));
        (from, anchor, self.touched.range(begin..).map(|(_, touched)| *touched).collect())
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
            self.forget_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::commit::Commit;
    use super::super::index::Sum;
    use super::super::keys::Secret;
    use super::*;

    #[test]
    fn whatever_was_written_while_no_commit_could_be_made_one_fits_into_a_frame() {
        let change = |sequence| Touched { sequence, chain: [3; 8], node: [1; 16], entry: [0; 16], version: sequence };
        let mut log = Log::begin([0; 16], OwnKeys::derive(&Secret::default()), 1 << 20);
        log.touched = (1..=300_000).map(|sequence| (0, change(sequence))).collect();
        log.bound_touched();
        let (listed_from, anchor, touched) = log.list_touched();
        assert_eq!(touched.first().map(|one| one.sequence), Some(listed_from), "complete from there on");
        assert_eq!(anchor, Some((listed_from - 1, [3; 8])));
        assert_eq!(listed_from, 300_001 - TOUCHED_MOST as u64);
        let listed = |number| Listed { number, begin: Expected::BEGIN, end: Some(Expected::BEGIN) };
        let commit = Commit {
            sequence: 300_000,
            chain: [0; 32],
            public_key: [0; 32],
            signature: [0; 64],
            versions: Sum::default(),
            commits: 1,
            listed_from,
            anchor,
            touched,
            segments: Some((0..16_384).map(listed).collect()),
        };
        let encoded = commit.encode();
        assert!(encoded.len() < PAYLOAD_LIMIT_BYTES);
        assert_eq!(Commit::decode(&encoded), Some(commit));
    }
}
