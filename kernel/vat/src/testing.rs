//! For tests of this and other crates: two ends of a link in memory, on one thread, and a clock that stands still.

use crate::clock::Clock;
use crate::transport::Transport;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What one end wrote and the other has not read.
struct Pipe {
    bytes: VecDeque<u8>,
    limit_bytes: usize,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// One end of a link in memory.
pub struct MemoryEnd {
    input: Rc<RefCell<Pipe>>,
    output: Rc<RefCell<Pipe>>,
}

/// Two ends, each of which takes `limit_bytes` before the other reads.
#[must_use]
pub fn pair(limit_bytes: usize) -> (MemoryEnd, MemoryEnd) {
    let pipe = || {
        let pipe = Pipe { bytes: VecDeque::new(), limit_bytes, closed: false, reader: None, writer: None };
        Rc::new(RefCell::new(pipe))
    };
    let (there, back) = (pipe(), pipe());
    (MemoryEnd { input: back.clone(), output: there.clone() }, MemoryEnd { input: there, output: back })
}

impl MemoryEnd {
    /// Something that cuts the link as the kernel does: what waits is discarded, and no byte enters any more.
    #[must_use]
    pub fn cutter(&self) -> Cutter {
        Cutter { pipes: [self.input.clone(), self.output.clone()] }
    }
}

/// Cuts a link.
#[derive(Clone)]
pub struct Cutter {
    pipes: [Rc<RefCell<Pipe>>; 2],
}

impl Cutter {
    /// Cuts it: no byte enters any more, and what the end that the cutter came from has not read is discarded. What
    /// it sent before may still be read at the other.
    pub fn cut(&self) {
        self.shut();
        self.pipes[0].borrow_mut().bytes.clear();
    }

    /// The first half of a cut: no byte enters any more, and what waits is not discarded yet.
    pub fn shut(&self) {
        for pipe in &self.pipes {
            let mut pipe = pipe.borrow_mut();
            pipe.closed = true;
            wake(&mut pipe.reader);
            wake(&mut pipe.writer);
        }
    }
}

impl Transport for MemoryEnd {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.input.borrow_mut();
        if pipe.bytes.is_empty() {
            if pipe.closed {
                return Poll::Ready(Ok(0));
            }
            pipe.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(pipe.bytes.len());
        for (place, byte) in buffer.iter_mut().zip(pipe.bytes.drain(..count)) {
            *place = byte;
        }
        wake(&mut pipe.writer);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut pipe = self.output.borrow_mut();
        if pipe.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut written = 0;
        for piece in pieces {
            let count = piece.len().min(pipe.limit_bytes - pipe.bytes.len());
            pipe.bytes.extend(&piece[..count]);
            written += count;
        }
        if written == 0 {
            pipe.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        wake(&mut pipe.reader);
        Poll::Ready(Ok(written))
    }

    fn is_hung_up(&self) -> bool {
        self.input.borrow().closed || self.output.borrow().closed
    }

    fn close(&mut self) {
        for pipe in [&self.input, &self.output] {
            let mut pipe = pipe.borrow_mut();
            pipe.closed = true;
            wake(&mut pipe.reader);
            wake(&mut pipe.writer);
        }
    }
}

impl Drop for MemoryEnd {
    fn drop(&mut self) {
        self.close();
    }
}

/// A clock that moves only when it is told to.
#[derive(Default)]
pub struct ManualClock {
    now_ns: Cell<u64>,
    wall_ms: Cell<u64>,
    sleepers: RefCell<Vec<(u64, Waker)>>,
}

impl ManualClock {
    /// A clock at this time since 1970.
    #[must_use]
    pub fn at_ms(wall_ms: u64) -> Rc<ManualClock> {
        let clock = ManualClock::default();
        clock.wall_ms.set(wall_ms);
        Rc::new(clock)
    }

    /// Lets time pass, for everyone who waits for it.
    pub fn advance_ms(&self, duration_ms: u64) {
        self.now_ns.set(self.now_ns.get() + duration_ms * 1_000_000);
        self.wall_ms.set(self.wall_ms.get() + duration_ms);
        let mut sleepers = self.sleepers.borrow_mut();
        for (_, waker) in sleepers.extract_if(.., |(at_ns, _)| *at_ns <= self.now_ns.get()) {
            waker.wake();
        }
    }
}

/// A sleep on a [`ManualClock`] that the test holds as well.
struct ManualSleep {
    clock: Rc<ManualClock>,
    until_ns: u64,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now_ns.get() >= self.until_ns {
            return Poll::Ready(());
        }
        self.clock.sleepers.borrow_mut().push((self.until_ns, context.waker().clone()));
        Poll::Pending
    }
}

/// A [`ManualClock`] that tests share with a link.
#[derive(Clone)]
pub struct SharedClock(pub Rc<ManualClock>);

impl Clock for SharedClock {
    fn now_ns(&self) -> u64 {
        self.0.now_ns.get()
    }

    fn wall_ms(&self) -> u64 {
        self.0.wall_ms.get()
    }

    fn sleep(&self, duration_ns: u64) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(ManualSleep { clock: self.0.clone(), until_ns: self.0.now_ns.get().saturating_add(duration_ns) })
    }
}
