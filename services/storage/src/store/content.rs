//! What is in files: sectors of 16 KiB, each sealed by itself, and holes. A sector that is neither is damage.

use super::accounts::{Account, innermost};
use super::directory::need_current;
use super::error::{Outcome, StoreError};
use super::format::{ITEM_HEAD_BYTES, Id, ItemHead, ItemKind, part_of};
use super::index::{HOLE, Index, IndexError, Row, SECTOR, key, row_damaged, sector_key, split};
use super::keys::content_key;
use super::log::{Draft, Log};
use super::metadata::Known;
use super::node::{Kind, Node, hex};
use super::seal::{SEAL_BYTES, Sealer};
use super::segments::{is_same, item_of};
use super::shared::{Shared, now_ns};

/// What is sealed in one piece. A change of one byte writes as much, and a sector costs 128 bytes beside: 0.8%.
pub const SECTOR_BYTES: u64 = 16 << 10;
/// The most bytes of one write. The interface allows 1 MiB; a writer that gathers may bring more.
pub const WRITE_LIMIT_BYTES: usize = 8 << 20;
/// The largest file, as of what fits into the signed numbers of file systems.
pub const FILE_LIMIT_BYTES: u64 = i64::MAX as u64 & !(SECTOR_BYTES - 1);
/// Sectors that are looked up at once: 4 MiB.
const RUN_SECTORS: u64 = 256;
/// What is read of the disk at once, with what is around the sectors.
const RUN_BYTES: usize = 1 << 20;

/// Holes of one file that are all looked through by each read: below a third of a millisecond. Only cutting a file adds one, and
/// only where it was longer since the last that begins as early; past this, sectors are emptied instead, if they are few.
const HOLES: usize = 1_024;
/// Sectors that are emptied at once instead of making a hole: 64 KiB, less than many a write.
const EMPTIED: usize = 512;
/// Rows that are counted at once, between which others may write: with as many holes as a file may have, a million
/// comparisons.
const COUNTED_ROWS: usize = 1_000;

/// What a sector is.
enum Found {
    Stored(u64, Row),
    Zeros,
}

/// Sectors that were zeros as of a frame.
pub(crate) struct Hole {
    sectors: std::ops::Range<u64>,
    sequence: u64,
}

/// The end of a hole that has none: whatever is not written later is zeros.
const OPEN_END: u64 = u64::MAX;

impl Hole {
    /// Whether all from a sector on is zeros that was not written since.
    fn goes_on_from(&self, sector: u64) -> bool {
        self.sectors.start <= sector && self.sectors.end == OPEN_END
    }
}

fn holes_of(index: &Index, file: &Id, shows: u64) -> Result<Vec<Hole>, IndexError> {
    let mut holes = Vec::new();
    index.scan(&key(HOLE, &[file]), &[], |whole, value| {
        let (_, sequence) = split(whole).ok_or_else(row_damaged)?;
        let row = Row::decode(value).ok_or_else(row_damaged)?;
        let (begin, length) = super::format::numbers(&row.extra);
        if sequence <= shows {
            holes.push(Hole { sectors: begin..begin.saturating_add(length), sequence });
        }
        Ok(true)
    })?;
    Ok(holes)
}

fn need_file(node: &Node) -> Outcome<()> {
    (node.kind() == Kind::File).then_some(()).ok_or(StoreError::IsDirectory)
}

impl Shared {
    pub(crate) fn read(&self, file: &Node, offset: u64, buffer: &mut [u8]) -> Outcome<usize> {
        need_file(file)?;
        let known = self.known(file)?;
        let length = known.size.saturating_sub(offset).min(buffer.len() as u64);
        let buffer = &mut buffer[..usize::try_from(length).unwrap_or(0)];
        let mut at = offset;
        let end = offset + length;
        while at < end {
            let first = at / SECTOR_BYTES;
            let count = ((end - 1) / SECTOR_BYTES + 1 - first).min(RUN_SECTORS);
            // The metadata was read before: what was written since is newer than what it describes, and as good.
            let found = self.sectors(file, &known, first, count)?;
            let into = &mut buffer[(at - offset) as usize..];
            self.read_sectors(file, &known, first, &found, (at, end), into)?;
            at = ((first + count) * SECTOR_BYTES).min(end);
        }
        Ok(buffer.len())
    }

    /// What some sectors of a file are, all of which are inside it.
    fn sectors(&self, file: &Node, known: &Known, first: u64, count: u64) -> Outcome<Vec<Found>> {
        let (id, shows) = (file.id(), file.shows());
        let mut rows: Vec<Option<(u64, Row)>> = vec![None; usize::try_from(count).unwrap_or(0)];
        let mut holes = Vec::new();
        self.read_index(|index| {
            index.scan(&key(SECTOR, &[&id]), &sector_key(&id, first), |whole, value| {
                let (key, sequence) = split(whole).ok_or_else(row_damaged)?;
                let sector = key[17..].try_into().map(u64::from_be_bytes).map_err(|_| row_damaged())?;
                let Some(slot) = sector.checked_sub(first).and_then(|at| rows.get_mut(at as usize)) else {
                    return Ok(false);
                };
                if sequence <= shows && slot.is_none() {
                    *slot = Some((sequence, Row::decode(value).ok_or_else(row_damaged)?));
                }
                Ok(true)
            })?;
            holes = holes_of(index, &id, shows)?;
            Ok(())
        })?;
        let mut found = Vec::with_capacity(rows.len());
        for (sector, row) in (first..).zip(rows) {
            let written = row.as_ref().map(|(sequence, _)| *sequence);
            let hole = holes.iter().filter(|hole| hole.sectors.contains(&sector)).map(|hole| hole.sequence).max();
            if let Some(changed) = written.max(hole) {
                // Its file may be written since, and this sector have been, too, in a frame that is lost.
                self.refuse_older(changed)?;
            }
            found.push(match row {
                Some((sequence, row)) if hole <= written => Found::Stored(sequence, row),
                _ if hole.is_some() => Found::Zeros,
                _ if sector >= known.size.div_ceil(SECTOR_BYTES) => Found::Zeros,
                _ => {
                    let what = format!("sector {sector} of file {} is missing", hex(&id));
                    return Err(StoreError::Damaged(what));
                }
            });
        }
        Ok(found)
    }

    /// Sees to it that what is beyond the end of a file, from a sector on, is zeros once the end is further on. One hole does that
    /// for all that the file will ever be.
    fn need_zeros(&self, draft: &mut Draft, file: &Node, known: &Known, from: u64, account: u64) -> Outcome<()> {
        if self.holes(file)?.iter().any(|hole| hole.goes_on_from(from)) {
            return Ok(());
        }
        push_hole(draft, file, known, (from, OPEN_END - from), account)
    }

    /// Where a file has many holes already: the sectors from one on that are stored, if they are few, and all others there are
    /// zeros.
    fn to_be_emptied(&self, file: &Node, from: u64) -> Outcome<Option<Vec<u64>>> {
        let holes = self.holes(file)?;
        if holes.len() < HOLES || !holes.iter().any(|hole| hole.goes_on_from(from)) {
            return Ok(None);
        }
        let mut stored = Vec::new();
        let mut last = None;
        self.read_index(|index| {
            index.scan(&key(SECTOR, &[&file.id()]), &sector_key(&file.id(), from), |whole, _| {
                let (key, sequence) = split(whole).ok_or_else(row_damaged)?;
                let number = key[17..].try_into().map(u64::from_be_bytes).map_err(|_| row_damaged())?;
                // The newest comes first. What a snapshot alone still shows is zeros already.
                if last != Some(number)
                    && !holes.iter().any(|hole| hole.sequence > sequence && hole.sectors.contains(&number))
                {
                    stored.push(number);
                }
                last = Some(number);
                Ok(stored.len() <= EMPTIED)
            })
        })?;
        Ok((stored.len() <= EMPTIED).then_some(stored))
    }

    /// How many bytes of a file are in sectors that are stored: of all, or, where that is more, at least `enough`. What a hole lies
    /// over is not there, though a snapshot or a piece that is left may still have its row.
    pub(crate) fn stored_bytes(&self, file: &Node, enough: u64) -> Outcome<u64> {
        need_file(file)?;
        let holes = self.holes(file)?;
        let (mut stored, mut last, mut from) = (0, None, Some(Vec::new()));
        while let Some(begin) = from.take() {
            let mut looked_at = 0;
            self.read_index(|index| {
                index.scan(&key(SECTOR, &[&file.id()]), &begin, |whole, _| {
                    if looked_at == COUNTED_ROWS {
                        from = Some(whole.to_vec());
                        return Ok(false);
                    }
                    looked_at += 1;
                    let (key, sequence) = split(whole).ok_or_else(row_damaged)?;
                    let number = key[17..].try_into().map(u64::from_be_bytes).map_err(|_| row_damaged())?;
                    if sequence <= file.shows() && last != Some(number) {
                        last = Some(number);
                        let over = |hole: &Hole| hole.sequence > sequence && hole.sectors.contains(&number);
                        stored += if holes.iter().any(over) { 0 } else { SECTOR_BYTES };
                    }
                    Ok(stored < enough)
                })
            })?;
        }
        Ok(stored)
    }

    /// The holes of a file.
    pub(crate) fn holes(&self, file: &Node) -> Outcome<Vec<Hole>> {
        self.read_index(|index| holes_of(index, &file.id(), file.shows()))
    }

    /// The first sector from one on that is not of a hole, which may be larger than any disk. One of which nothing is there
    /// counts: it has to be looked at.
    pub(crate) fn next_stored(&self, file: &Node, holes: &[Hole], mut sector: u64) -> Outcome<u64> {
        let id = file.id();
        while let Some(end) =
            holes.iter().filter(|hole| hole.sectors.contains(&sector)).map(|hole| hole.sectors.end).max()
        {
            let mut until = end;
            self.read_index(|index| {
                index.scan(&key(SECTOR, &[&id]), &sector_key(&id, sector), |whole, _| {
                    let number = whole.get(17..25).and_then(|bytes| bytes.try_into().ok()).ok_or_else(row_damaged)?;
                    until = until.min(u64::from_be_bytes(number));
                    Ok(false)
                })
            })?;
            if until == sector {
                break;
            }
            sector = until;
        }
        Ok(sector)
    }

    /// Copies the part of some sectors that lies between two offsets to where the first of them is wanted. Sectors that lie
    /// side by side on the disk, as one write leaves them, are read at once.
    fn read_sectors(
        &self,
        file: &Node,
        known: &Known,
        first: u64,
        found: &[Found],
        (at, end): (u64, u64),
        buffer: &mut [u8],
    ) -> Outcome<()> {
        let mut sealers = Sealers { shared: self, file, known, last: None };
        let mut index = 0;
        while index < found.len() {
            let run = adjacent(&found[index..]);
            let bytes = match &found[index] {
                Found::Zeros => Vec::new(),
                Found::Stored(_, row) => {
                    let bytes = self.segments.bytes_at(row.place.segment, u64::from(row.place.offset), run.bytes)?;
                    bytes.ok_or_else(wrong_place)?
                }
            };
            let mut rest = bytes;
            let mut pieces = rest.as_mut_slice();
            for (number, found) in (first + index as u64..).zip(&found[index..index + run.sectors]) {
                let begin = (number * SECTOR_BYTES).max(at);
                let until = ((number + 1) * SECTOR_BYTES).min(end);
                let into = &mut buffer[(begin - at) as usize..(until - at) as usize];
                let Found::Stored(sequence, row) = found else {
                    into.fill(0);
                    continue;
                };
                let (piece, after) = pieces.split_at_mut(row.place.length as usize);
                pieces = after;
                let plain = sealers.open(number, *sequence, row, piece)?;
                let within = (begin - number * SECTOR_BYTES) as usize;
                let there = plain.get(within..).unwrap_or(&[]);
                let (there, beyond) = (&there[..there.len().min(into.len())], there.len());
                into[..there.len()].copy_from_slice(there);
                if beyond < into.len() {
                    into[beyond..].fill(0);
                }
            }
            index += run.sectors;
        }
        Ok(())
    }

    /// The bytes of a sector.
    fn sector(&self, file: &Node, known: &Known, number: u64, sequence: u64, row: &Row) -> Outcome<Vec<u8>> {
        let mut sealers = Sealers { shared: self, file, known, last: None };
        let place = row.place;
        let bytes = self.segments.bytes_at(place.segment, u64::from(place.offset), place.length as usize)?;
        let mut bytes = bytes.ok_or_else(wrong_place)?;
        Ok(sealers.open(number, sequence, row, &mut bytes)?.to_vec())
    }

    /// Writes, wholly or not at all. `offset`: nothing means at the end. Returns where.
    pub(crate) fn write(
        &self,
        log: &mut Log,
        file: &Node,
        offset: Option<u64>,
        bytes: &[u8],
        accounts: &[Account],
    ) -> Outcome<u64> {
        need_file(file)?;
        need_current(file)?;
        let mut known = self.known(file)?;
        let offset = offset.unwrap_or(known.size);
        let end = offset.checked_add(bytes.len() as u64).ok_or(StoreError::TooLarge)?;
        if bytes.len() > WRITE_LIMIT_BYTES || end > FILE_LIMIT_BYTES {
            return Err(StoreError::TooLarge);
        }
        if bytes.is_empty() {
            return Ok(offset);
        }
        let (first, last) = (offset / SECTOR_BYTES, (end - 1) / SECTOR_BYTES);
        let count = last - first + 1;
        let whole = bytes.len() + (count as usize + 2) * (ITEM_HEAD_BYTES + SEAL_BYTES) + 2 * SECTOR_BYTES as usize;
        let mut draft = Draft::for_log(log, whole);
        let account = innermost(accounts);
        let before = known.size.div_ceil(SECTOR_BYTES);
        if first > before {
            self.need_zeros(&mut draft, file, &known, before, account)?;
        }
        let keys = file.keys();
        let sealer = Sealer::new(self.store_id, &content_key(&keys.key));
        for number in first..=last {
            let begin = number * SECTOR_BYTES;
            let (from, until) = (begin.max(offset), (begin + SECTOR_BYTES).min(end));
            let new = &bytes[(from - offset) as usize..(until - offset) as usize];
            let mut head = sector_head(file, &known, number, draft.sequence, account);
            head.generation = keys.generation;
            if from == begin && (until >= known.size || until == begin + SECTOR_BYTES) {
                draft.seal(&sealer, head, &[new])?;
                continue;
            }
            let old = self.sector_or_nothing(file, &known, number)?;
            let (within, after) = ((from - begin) as usize, (until - begin) as usize);
            let kept = &old[..old.len().min(within)];
            let zeros = vec![0; within - kept.len()];
            draft.seal(&sealer, head, &[kept, &zeros, new, old.get(after..).unwrap_or(&[])])?;
        }
        known.size = known.size.max(end);
        known.modified_ns = now_ns();
        self.push_metadata(&mut draft, &file.id(), &mut known, &keys, account)?;
        self.admit(log, &mut draft, accounts)?;
        self.write_frame(log, draft)?;
        Ok(offset)
    }

    /// The bytes of a sector; none where it is beyond the end or a hole. What lies beyond the size is not there.
    fn sector_or_nothing(&self, file: &Node, known: &Known, number: u64) -> Outcome<Vec<u8>> {
        if number * SECTOR_BYTES >= known.size {
            return Ok(Vec::new());
        }
        match self.sectors(file, known, number, 1)?.pop() {
            Some(Found::Stored(sequence, row)) => self.sector(file, known, number, sequence, &row),
            _ => Ok(Vec::new()),
        }
    }

    pub(crate) fn truncate(&self, log: &mut Log, file: &Node, size: u64, accounts: &[Account]) -> Outcome<()> {
        need_file(file)?;
        need_current(file)?;
        let mut known = self.known(file)?;
        if size > FILE_LIMIT_BYTES {
            return Err(StoreError::TooLarge);
        }
        let mut draft = Draft::new(log.sequence + 1, 2 * SECTOR_BYTES as usize);
        let account = innermost(accounts);
        let (before, after) = (known.size.div_ceil(SECTOR_BYTES), size.div_ceil(SECTOR_BYTES));
        let keys = file.keys();
        if after > before {
            self.need_zeros(&mut draft, file, &known, before, account)?;
        }
        let sealer = Sealer::new(self.store_id, &content_key(&keys.key));
        let put = |draft: &mut Draft, number: u64, bytes: &[u8]| {
            let mut head = sector_head(file, &known, number, draft.sequence, account);
            head.generation = keys.generation;
            draft.seal(&sealer, head, &[bytes])
        };
        let kept = (size % SECTOR_BYTES) as usize;
        if size < known.size && kept != 0 {
            let old = self.sector_or_nothing(file, &known, after - 1)?;
            put(&mut draft, after - 1, &old[..old.len().min(kept)])?;
        }
        if after < before {
            match self.to_be_emptied(file, after)? {
                Some(sectors) => sectors.into_iter().try_for_each(|number| put(&mut draft, number, &[]))?,
                None => push_hole(&mut draft, file, &known, (after, OPEN_END - after), account)?,
            }
        }
        known.size = size;
        known.modified_ns = now_ns();
        self.push_metadata(&mut draft, &file.id(), &mut known, &keys, account)?;
        self.admit(log, &mut draft, accounts)?;
        self.write_frame(log, draft)
    }
}

/// Sectors that are read at once.
struct Run {
    sectors: usize,
    bytes: usize,
}

/// How many of these, from the first on, lie side by side.
fn adjacent(found: &[Found]) -> Run {
    let Some(Found::Stored(_, first)) = found.first() else { return Run { sectors: 1, bytes: 0 } };
    let mut run = Run { sectors: 1, bytes: first.place.length as usize };
    for next in &found[1..] {
        let Found::Stored(_, next) = next else { break };
        let side_by_side = next.place.segment == first.place.segment
            && u64::from(next.place.offset) == u64::from(first.place.offset) + run.bytes as u64;
        if !side_by_side || run.bytes + next.place.length as usize > RUN_BYTES {
            break;
        }
        run.sectors += 1;
        run.bytes += next.place.length as usize;
    }
    run
}

fn wrong_place() -> StoreError {
    StoreError::Index("it leads to the wrong place".into())
}

/// Opens sectors of a file, of which most are sealed under the same key.
struct Sealers<'a> {
    shared: &'a Shared,
    file: &'a Node,
    known: &'a Known,
    last: Option<(u32, Sealer)>,
}

impl Sealers<'_> {
    /// What a sector holds, opened in place.
    fn open<'b>(&mut self, number: u64, sequence: u64, row: &Row, item: &'b mut [u8]) -> Outcome<&'b [u8]> {
        let id = self.file.id();
        let head = item_of(row.place, item).filter(|head| {
            (head.kind, head.node, head.part, head.sequence) == (ItemKind::Sector, id, part_of(number, 0), sequence)
        });
        let head = head.ok_or_else(wrong_place)?;
        let damaged = || {
            let (segment, offset) = (row.place.segment, row.place.offset);
            let of = hex(&id);
            StoreError::Damaged(format!("sector {number} of file {of} does not open (segment {segment} at {offset})"))
        };
        if !is_same(row.place, item) {
            return Err(damaged());
        }
        if self.last.as_ref().is_none_or(|(generation, _)| *generation != head.generation) {
            let key = self.known.key(&self.file.keys(), head.generation).ok_or_else(damaged)?;
            self.last = Some((head.generation, Sealer::new(self.shared.store_id, &content_key(&key))));
        }
        let (_, sealer) = self.last.as_ref().ok_or_else(damaged)?;
        Ok(sealer.open(&head, &mut item[ITEM_HEAD_BYTES..]).ok_or_else(damaged)?)
    }
}

fn sector_head(file: &Node, known: &Known, number: u64, sequence: u64, account: u64) -> ItemHead {
    let id: Id = file.id();
    let mut head = ItemHead::new(ItemKind::Sector, id, known.home, sequence).with_part(part_of(number, 0));
    head.account = account;
    head
}

/// Adds zeros to a frame: from one sector on, and how many.
pub(crate) fn push_hole(draft: &mut Draft, file: &Node, known: &Known, range: (u64, u64), account: u64) -> Outcome<()> {
    let mut head = ItemHead::new(ItemKind::Hole, file.id(), known.home, draft.sequence);
    head.account = account;
    draft.push(head.with_part(part_of(range.0, range.1)), &[])
}
