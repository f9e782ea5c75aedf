//! What a guest keeps for one link: input that waits, output that gathers, and how it ended.

use super::bound::{CREDIT_STEP_BYTES, OUTPUT_EARLY_BYTES, OUTPUT_LIMIT_BYTES};
use super::host::HostDoor;
use super::shared::Shared;
use crate::link::Ending;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::rc::Rc;
use std::task::Waker;

/// One link's state, shared by its stream, the loop and whoever watches it.
#[derive(Default)]
pub(super) struct Link {
    pub(super) number: u32,
    input: RefCell<Input>,
    output: RefCell<Output>,
    ending: RefCell<Option<Ending>>,
    hung_up: Cell<bool>,
    /// Its stream was dropped: it is closed as soon as its last output is out.
    pub(super) dropped: Cell<bool>,
}

#[derive(Default)]
struct Input {
    chunks: VecDeque<Vec<u8>>,
    /// How much of the first chunk was read already.
    front_read_bytes: usize,
    /// Read since credit was last given back.
    consumed_bytes: u32,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// The host took less than it was given: nothing is offered to it before it has room.
    full: bool,
    waker: Option<Waker>,
}

impl Link {
    pub(super) fn new(number: u32) -> Link {
        Link { number, ..Link::default() }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending.borrow().clone()
    }

    /// Whether calls may no longer start: the host is asked each time until it says so once.
    pub(super) fn is_hung_up(&self, host: &mut dyn HostDoor) -> bool {
        if !self.hung_up.get() && (self.is_ended() || host.closed(self.number)) {
            self.hung_up.set(true);
        }
        self.hung_up.get()
    }

    pub(super) fn put(&self, bytes: Vec<u8>) {
        if self.dropped.get() || bytes.is_empty() {
            return;
        }
        let mut input = self.input.borrow_mut();
        input.chunks.push_back(bytes);
        wake(&mut input.waker);
    }

    /// Reads what is there, or nothing: then the waker is called when there is something, or at the end.
    pub(super) fn take(&self, buffer: &mut [u8], waker: &Waker) -> Option<usize> {
        let mut input = self.input.borrow_mut();
        let input = &mut *input;
        let mut taken_bytes = 0;
        while let Some(front) = input.chunks.front() {
            let rest = &front[input.front_read_bytes..];
            let count = rest.len().min(buffer.len() - taken_bytes);
            buffer[taken_bytes..taken_bytes + count].copy_from_slice(&rest[..count]);
            taken_bytes += count;
            input.front_read_bytes += count;
            if input.front_read_bytes < front.len() {
                break;
            }
            input.chunks.pop_front();
            input.front_read_bytes = 0;
        }
        if taken_bytes > 0 || buffer.is_empty() {
            input.consumed_bytes = input.consumed_bytes.saturating_add(u32::try_from(taken_bytes).unwrap_or(u32::MAX));
            return Some(taken_bytes);
        }
        if self.is_ended() {
            return Some(0);
        }
        input.waker = Some(waker.clone());
        None
    }

    /// Takes bytes to send; nothing when the bound is reached: then the waker is called when there is room again.
    /// The caller has made sure that the link has not ended.
    pub(super) fn write(&self, pieces: &[IoSlice<'_>], waker: &Waker, host: &mut dyn HostDoor) -> Option<usize> {
        let mut output = self.output.borrow_mut();
        let room_bytes = OUTPUT_LIMIT_BYTES.saturating_sub(output.bytes.len());
        if room_bytes == 0 {
            output.waker = Some(waker.clone());
            return None;
        }
        let mut taken_bytes = 0;
        for piece in pieces {
            let count = piece.len().min(room_bytes - taken_bytes);
            output.bytes.extend_from_slice(&piece[..count]);
            taken_bytes += count;
        }
        if output.bytes.len() >= OUTPUT_EARLY_BYTES {
            output.offer(self.number, host);
        }
        Some(taken_bytes)
    }

    /// The end of a turn: output goes out, what was consumed is given back. Whether anybody was woken.
    pub(super) fn end_turn(&self, host: &mut dyn HostDoor) -> bool {
        if self.is_ended() {
            return false;
        }
        let mut input = self.input.borrow_mut();
        if input.consumed_bytes >= CREDIT_STEP_BYTES && !self.dropped.get() {
            host.open_window(self.number, input.consumed_bytes);
            input.consumed_bytes = 0;
        }
        drop(input);
        let mut output = self.output.borrow_mut();
        output.offer(self.number, host);
        if output.bytes.len() < OUTPUT_LIMIT_BYTES { wake(&mut output.waker) } else { false }
    }

    /// Whether nothing of it waits to go out any more.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_ended() || self.output.borrow().bytes.is_empty()
    }

    pub(super) fn room(&self) {
        self.output.borrow_mut().full = false;
    }

    pub(super) fn end(&self, ending: Ending) {
        self.hung_up.set(true);
        self.ending.borrow_mut().get_or_insert(ending);
        wake(&mut self.input.borrow_mut().waker);
        let mut output = self.output.borrow_mut();
        output.bytes = Vec::new();
        wake(&mut output.waker);
    }
}

impl Output {
    fn offer(&mut self, link: u32, host: &mut dyn HostDoor) {
        if self.full || self.bytes.is_empty() {
            return;
        }
        let taken_bytes = host.send(link, &self.bytes).min(self.bytes.len());
        self.full = taken_bytes < self.bytes.len();
        self.bytes.drain(..taken_bytes);
    }
}

fn wake(waker: &mut Option<Waker>) -> bool {
    waker.take().map(Waker::wake).is_some()
}

/// Looks at a link without holding it open: whether it was cut, and why it ended.
#[derive(Clone)]
pub struct LinkWatch {
    pub(super) link: Rc<Link>,
    pub(super) shared: Rc<Shared>,
}

impl LinkWatch {
    /// The link's number in this guest.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.link.number
    }

    /// Whether the link was cut or ended, as of now. Never suspends.
    #[must_use]
    pub fn is_hung_up(&self) -> bool {
        self.shared.is_hung_up(&self.link)
    }

    /// Why it ended, once that was reported here.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.link.ending()
    }
}

impl fmt::Debug for LinkWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LinkWatch").field("number", &self.link.number).field("ending", &self.ending()).finish()
    }
}
