//! Searches a file line by line while it still comes, piece by piece: no more of it is held than a chunk, the line
//! that is not complete yet, and the lines that may be shown before a match.
//!
//! `grep-searcher` pulls from a blocking reader, which a guest does not have; its tests' role here is to say what the
//! right answer is.

use grep_matcher::{LineMatchKind, Matcher};
use grep_regex::RegexMatcher;
use memchr::{memchr, memchr_iter, memrchr};
use std::ops::Range;

/// A line longer than this is searched in pieces of this size.
pub(crate) const LINE_LIMIT_BYTES: usize = 256 << 10;

/// Lines before a match are remembered up to this size, whatever was asked for.
const BEFORE_LIMIT_BYTES: usize = 256 << 10;

/// Receives what is found, in order.
pub(crate) trait Sink {
    /// A line that matched, or one of its context, with its line ending where it has one. False: enough.
    fn line(&mut self, number: u64, line: &[u8], matched: bool) -> bool;

    /// Lines were left out since the last one.
    fn gap(&mut self);
}

/// The search of one file.
pub(crate) struct LineSearch {
    before_lines: usize,
    after_lines: usize,
    /// What is held of the file. It begins at the beginning of a line.
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    base: u64,
    /// How much of the buffer is searched.
    searched: usize,
    /// The number of the line that begins there.
    number: u64,
    /// Where in the file the last line that was shown ends.
    shown_to: Option<u64>,
    /// How many lines are still to be shown after a match.
    after_left: usize,
    done: bool,
    has_long_line: bool,
}

impl LineSearch {
    pub(crate) fn new(before_lines: usize, after_lines: usize) -> LineSearch {
        LineSearch {
            before_lines,
            after_lines,
            buffer: Vec::new(),
            base: 0,
            searched: 0,
            number: 1,
            shown_to: None,
            after_left: 0,
            done: false,
            has_long_line: false,
        }
    }

    /// The next bytes of the file. False: the sink has enough.
    pub(crate) fn push(&mut self, matcher: &RegexMatcher, bytes: &[u8], sink: &mut impl Sink) -> bool {
        if self.done {
            return false;
        }
        self.buffer.extend_from_slice(bytes);
        let complete = memrchr(b'\n', &self.buffer[self.searched..]).map(|at| self.searched + at + 1);
        let end = match complete {
            Some(end) if self.buffer.len() - end <= LINE_LIMIT_BYTES => end,
            None if self.buffer.len() - self.searched <= LINE_LIMIT_BYTES => return true,
            _ => {
                self.has_long_line = true;
                self.buffer.len()
            }
        };
        self.search_to(end, matcher, sink);
        self.forget();
        !self.done
    }

    /// The file is over.
    pub(crate) fn finish(&mut self, matcher: &RegexMatcher, sink: &mut impl Sink) {
        if !self.done {
            self.search_to(self.buffer.len(), matcher, sink);
            self.done = true;
        }
    }

    /// Whether a line was too long to be searched in one piece.
    pub(crate) fn has_long_line(&self) -> bool {
        self.has_long_line
    }

    fn search_to(&mut self, end: usize, matcher: &RegexMatcher, sink: &mut impl Sink) {
        while self.searched < end && !self.done {
            match next_match(matcher, &self.buffer[self.searched..end]) {
                Some(line) => {
                    let line = self.searched + line.start..self.searched + line.end;
                    self.pass(line.start, sink);
                    self.show_before(line.start, sink);
                    self.show(line, true, sink);
                    self.after_left = self.after_lines;
                }
                None => self.pass(end, sink),
            }
        }
    }

    /// Goes over lines that do not match; the first of them may be shown as what follows a match.
    fn pass(&mut self, to: usize, sink: &mut impl Sink) {
        while self.after_left > 0 && self.searched < to && !self.done {
            let end = memchr(b'\n', &self.buffer[self.searched..to]).map_or(to, |at| self.searched + at + 1);
            self.after_left -= 1;
            self.show(self.searched..end, false, sink);
        }
        self.number += lines_in(&self.buffer[self.searched..to]);
        self.searched = to;
    }

    fn show_before(&mut self, line_start: usize, sink: &mut impl Sink) {
        let start = self.start_of_before(line_start);
        let is_apart = self.shown_to.is_some_and(|shown| shown < self.base + start as u64);
        if is_apart && self.before_lines + self.after_lines > 0 {
            sink.gap();
        }
        self.number -= lines_in(&self.buffer[start..line_start]);
        self.searched = start;
        while self.searched < line_start && !self.done {
            let end = memchr(b'\n', &self.buffer[self.searched..]).map_or(line_start, |at| self.searched + at + 1);
            self.show(self.searched..end, false, sink);
        }
    }

    /// Where the lines begin that would be shown before a match at `line_start`.
    fn start_of_before(&self, line_start: usize) -> usize {
        let shown = self.shown_to.map_or(0, |shown| usize::try_from(shown.saturating_sub(self.base)).unwrap_or(0));
        let lowest = shown.max(line_start.saturating_sub(BEFORE_LIMIT_BYTES));
        let mut start = line_start;
        for _ in 0..self.before_lines {
            if start <= lowest {
                break;
            }
            match memrchr(b'\n', &self.buffer[lowest..start - 1]) {
                Some(at) => start = lowest + at + 1,
                None if lowest == shown => start = shown,
                // the rest of that line is over the limit
                None => break,
            }
        }
        start
    }

    fn show(&mut self, line: Range<usize>, matched: bool, sink: &mut impl Sink) {
        let bytes = &self.buffer[line.clone()];
        let more = sink.line(self.number, bytes, matched);
        self.number += u64::from(bytes.ends_with(b"\n"));
        self.shown_to = Some(self.base + line.end as u64);
        self.searched = line.end;
        self.done |= !more;
    }

    /// Lets go of what can no longer be shown.
    fn forget(&mut self) {
        let keep_from = self.start_of_before(self.searched);
        self.buffer.drain(..keep_from);
        self.base += keep_from as u64;
        self.searched -= keep_from;
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The first line of a text of whole lines that matches.
fn next_match(matcher: &RegexMatcher, text: &[u8]) -> Option<Range<usize>> {
    let mut from = 0;
    while from < text.len() {
        // the matcher's error type has no value
        let kind = matcher.find_candidate_line(&text[from..]).ok().flatten()?;
        let (LineMatchKind::Confirmed(at) | LineMatchKind::Candidate(at)) = kind;
        let at = from + at;
        if at >= text.len() && text.ends_with(b"\n") {
            // an empty match behind the last line: there is no such line
            return None;
        }
        let start = memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
        let end = memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline + 1);
        let line = text[start..end].strip_suffix(b"\n").unwrap_or(&text[start..end]);
        if matches!(kind, LineMatchKind::Confirmed(_)) || matcher.is_match(line).unwrap_or(false) {
            return Some(start..end);
        }
        from = end;
    }
    None
}

#[cfg(test)]
mod tests;
