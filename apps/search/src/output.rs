//! What is printed, in order: files are searched many at a time and shown as if one after the other.
//!
//! Each file has a number, in the order in which the walk found it. The one whose turn it is writes straight through;
//! others are held until then, and wait once too much is held.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::task::{Context, Poll, Waker};

/// What may be held of files whose turn has not come.
const HELD_LIMIT_BYTES: usize = 4 << 20;

/// What holding one file costs besides its text: its place in the map.
const ENTRY_BYTES: usize = 64;

/// Standard output, or something else, in the order of the files' numbers.
pub(crate) struct Output<W> {
    state: RefCell<State<W>>,
}

struct State<W> {
    writer: W,
    /// Between the texts of two files.
    separator: &'static [u8],
    turn: u64,
    turn_has_written: bool,
    any_written: bool,
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
    waiting: Vec<Waker>,
    failed: Option<io::ErrorKind>,
}

#[derive(Default)]
struct Held {
    text: Vec<u8>,
    done: bool,
}

impl<W: Write> Output<W> {
    pub(crate) fn new(writer: W, separator: &'static [u8]) -> Output<W> {
        let state = State {
            writer,
            separator,
            turn: 0,
            turn_has_written: false,
            any_written: false,
            held: BTreeMap::new(),
            held_bytes: 0,
            waiting: Vec::new(),
            failed: None,
        };
        Output { state: RefCell::new(state) }
    }

    /// Writes a part of a file's text, which may have to wait until there is room for it.
    pub(crate) async fn write(&self, number: u64, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        std::future::poll_fn(|context| self.state.borrow_mut().poll_write(number, text, context)).await
    }

    /// No more comes of this file.
    pub(crate) fn done(&self, number: u64) {
        self.state.borrow_mut().done(number);
    }

    /// Everything comes to an end: writes what is held, in order, finished or not.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut state = self.state.into_inner();
        for (_, held) in std::mem::take(&mut state.held) {
            state.turn_has_written = false;
            state.put(&held.text);
        }
        state.writer.flush()?;
        state.failed.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl<W: Write> State<W> {
    fn poll_write(&mut self, number: u64, text: &[u8], context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(kind) = self.failed {
            return Poll::Ready(Err(kind.into()));
        }
        if number == self.turn {
            self.put(text);
            return Poll::Ready(self.failed.map_or(Ok(()), |kind| Err(kind.into())));
        }
        if self.held_bytes > 0 && self.held_bytes + text.len() > HELD_LIMIT_BYTES {
            self.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        self.hold(number).text.extend_from_slice(text);
        self.held_bytes += text.len();
        Poll::Ready(Ok(()))
    }

    fn hold(&mut self, number: u64) -> &mut Held {
        self.held.entry(number).or_insert_with(|| {
            self.held_bytes += ENTRY_BYTES;
            Held::default()
        })
    }

    fn done(&mut self, number: u64) {
        if number != self.turn {
            self.hold(number).done = true;
            return;
        }
        loop {
            self.turn += 1;
            self.turn_has_written = false;
            let Some(held) = self.held.remove(&self.turn) else { break };
            self.held_bytes -= held.text.len() + ENTRY_BYTES;
            self.put(&held.text);
            if !held.done {
                break;
            }
        }
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn put(&mut self, text: &[u8]) {
        if text.is_empty() || self.failed.is_some() {
            return;
        }
        let separator: &[u8] = if self.any_written && !self.turn_has_written { self.separator } else { b"" };
        let written = self.writer.write_all(separator).and_then(|()| self.writer.write_all(text));
        self.failed = written.err().map(|error| error.kind());
        self.turn_has_written = true;
        self.any_written = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    /// Writes now, or says that it has to wait.
    fn write(output: &Output<&mut Vec<u8>>, number: u64, text: &[u8]) -> bool {
        output.write(number, text).now_or_never().map(Result::unwrap).is_some()
    }

    #[test]
    fn files_come_out_in_order_whichever_is_done_first() {
        let mut written = Vec::new();
        let output = Output::new(&mut written, b"");
        assert!(write(&output, 2, b"c"));
        assert!(write(&output, 1, b"b1"));
        output.done(2);
        assert!(write(&output, 0, b"a"));
        output.done(0);
        assert!(write(&output, 1, b"b2"));
        output.done(1);
        output.finish().unwrap();
        assert_eq!(written, b"ab1b2c");
    }

    #[test]
    fn the_one_whose_turn_it_is_is_written_at_once() {
        let mut written = Vec::new();
        let output = Output::new(&mut written, b"");
        assert!(write(&output, 0, b"now"));
        assert_eq!(output.state.borrow().writer.as_slice(), b"now");
    }

    #[test]
    fn separators_stand_between_files_that_have_text() {
        let mut written = Vec::new();
        let output = Output::new(&mut written, b"--\n");
        for (number, text) in [b"a\n", b"".as_slice(), b"c\n"].into_iter().enumerate() {
            assert!(write(&output, number as u64, text));
            assert!(write(&output, number as u64, text));
            output.done(number as u64);
        }
        output.finish().unwrap();
        assert_eq!(written, b"a\na\n--\nc\nc\n");
    }

    #[test]
    fn what_is_held_is_bounded_and_the_turn_never_waits() {
        let mut written = Vec::new();
        let output = Output::new(&mut written, b"");
        let part = vec![b'x'; HELD_LIMIT_BYTES / 4];
        let mut taken = 0;
        while write(&output, 1, &part) {
            taken += 1;
            assert!(taken <= 4);
        }
        assert!(!write(&output, 2, &part));
        assert!(write(&output, 0, &part));
        output.done(0);
        assert!(write(&output, 1, &part), "its turn has come");
        output.finish().unwrap();
        assert_eq!(written.len(), part.len() * (taken + 2));
    }

    #[test]
    fn at_an_early_end_everything_that_was_found_is_written() {
        let mut written = Vec::new();
        let output = Output::new(&mut written, b"");
        assert!(write(&output, 3, b"d"));
        assert!(write(&output, 1, b"b"));
        output.finish().unwrap();
        assert_eq!(written, b"bd");
    }
}
