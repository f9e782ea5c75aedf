//! What a hole or the end of a node takes away: rows of sectors and of holes, of which there may be millions. They go a piece at
//! a time. What is left to do is a row of the index itself, so that it is gone on with after any stop; until it is done,
//! whoever reads a sector sees that a newer hole covers it.

use super::super::format::{Id, ItemHead, Take};
use super::apply::supersede;
use super::rows::{self, Row};
use super::table::{Index, IndexError, row_damaged};
use super::transaction::{Ready, Transaction};

/// Rows that are taken away at once, between which others may write: some milliseconds, and 16 MiB of a file.
const PIECE_ROWS: usize = 1_000;

/// What is to be taken away.
struct Left {
    node: Id,
    /// What is older than this frame.
    until: u64,
    /// Sectors from one on, up to another.
    range: (u64, u64),
    /// The last row that was looked at; empty: none was.
    done: Vec<u8>,
}

impl Left {
    fn key(&self) -> Vec<u8> {
        rows::key(rows::LEFT, &[&self.node, &self.until.to_be_bytes(), &self.range.0.to_be_bytes()])
    }

    fn encode(&self) -> Vec<u8> {
        [&self.range.1.to_le_bytes()[..], &self.done].concat()
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut take = Take(key.get(1..)?);
        let (node, until) = (take.array()?, u64::from_be_bytes(take.array()?));
        let first = u64::from_be_bytes(take.array()?);
        let mut take = Take(value);
        Some(Self { node, until, range: (first, take.u64()?), done: take.0.to_vec() })
    }
}

/// A node is gone: so is all that it consisted of.
pub(super) fn remove_node(index: &mut Transaction<'_>, node: &Id, until: u64) -> Result<(), IndexError> {
    for (whole, value) in index.all(&rows::key(rows::ORPHAN, &[node]))? {
        let (key, sequence) = rows::split(&whole).ok_or_else(row_damaged)?;
        if sequence < until {
            supersede(index, key, sequence, &Row::decode(&value).ok_or_else(row_damaged)?, until)?;
        }
    }
    go_on(index, Left { node: *node, until, range: (0, u64::MAX), done: Vec::new() })
}

/// A hole was made: the sectors that were there are not, nor are holes within it.
pub(super) fn remove_range(index: &mut Transaction<'_>, head: &ItemHead) -> Result<(), IndexError> {
    let (first, count) = head.numbers();
    let range = (first, first.saturating_add(count));
    go_on(index, Left { node: head.node, until: head.sequence, range, done: Vec::new() })
}

/// Takes away one piece, and notes what is left.
fn go_on(index: &mut Transaction<'_>, mut left: Left) -> Result<(), IndexError> {
    let mut room = PIECE_ROWS;
    for letter in [rows::SECTOR, rows::HOLE] {
        if left.done.first().is_some_and(|done| *done != letter && *done == rows::HOLE) {
            continue;
        }
        let prefix = rows::key(letter, &[&left.node]);
        let same = left.done.first() == Some(&letter);
        let from = if same {
            [&left.done[..], &[0]].concat()
        } else {
            rows::key(letter, &[&left.node, &left.range.0.to_be_bytes()])
        };
        // What is superseded by one row of a key needs no second time.
        let mut last: Vec<u8> = match rows::split(&left.done) {
            Some((key, sequence)) if same && sequence < left.until => key.to_vec(),
            _ => Vec::new(),
        };
        let found = index.page(&prefix, &from, room)?;
        let mut more = found.len() == room;
        room -= found.len();
        for (whole, value) in found {
            let (key, sequence) = rows::split(&whole).ok_or_else(row_damaged)?;
            if number(key, 17).is_none_or(|begin| begin >= left.range.1) {
                more = false;
                break;
            }
            if sequence < left.until && key != last {
                if is_within(key, left.range) {
                    let row = Row::decode(&value).ok_or_else(row_damaged)?;
                    // One that was superseded before has its note, or is dead already.
                    if index.next_newer(key, sequence)?.is_none_or(|(newer, _)| newer > left.until) {
                        supersede(index, key, sequence, &row, left.until)?;
                    }
                }
                last = key.to_vec();
            }
            left.done = whole;
        }
        if more {
            index.set(left.key(), Some(left.encode()))?;
            index.note_left();
            return Ok(());
        }
    }
    index.set(left.key(), None)
}

fn number(key: &[u8], at: usize) -> Option<u64> {
    key.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}

/// Whether a sector, or a whole hole, lies in a range.
fn is_within(key: &[u8], (first, end): (u64, u64)) -> bool {
    let Some(begin) = number(key, 17) else { return false };
    let until = if key.first() == Some(&rows::SECTOR) {
        begin.saturating_add(1)
    } else {
        begin.saturating_add(number(key, 25).unwrap_or(u64::MAX))
    };
    begin >= first && until <= end
}

impl Index {
    /// The next piece of what is left to take away; nothing where nothing is.
    pub(crate) fn next_piece(&self) -> Result<Option<Ready>, IndexError> {
        let mut found = None;
        self.scan(&[rows::LEFT], &[], |key, value| {
            found = Some(Left::decode(key, value).ok_or_else(row_damaged)?);
            Ok(false)
        })?;
        let Some(left) = found else { return Ok(None) };
        let mut changes = Transaction::new(self);
        go_on(&mut changes, left)?;
        changes.ready().map(Some)
    }

    /// Takes away all that is left.
    pub(crate) fn clear_left(&mut self) -> Result<(), IndexError> {
        while let Some(ready) = self.next_piece()? {
            self.commit(ready)?;
        }
        self.has_left = false;
        Ok(())
    }
}
