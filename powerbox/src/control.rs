//! The powerbox's side of the control channel: commands to the kernel, each answered once; and its events.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use capnp::message::{Builder, HeapAllocator, Reader};
use capnp::serialize::OwnedSegments;
use schema::kernel_capnp::{Outcome, command, event};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot};
use vat::door::packet::{pack, unpack};
use vat::native::{receive, send, watch};

use crate::problem::Problem;

/// How often a command is tried again where the kernel is busy: with pauses from 1 ms that double up to 128 ms, 4 s in all.
const BUSY_TRIES: u32 = 38;
/// The longest pause between two tries.
const BUSY_PAUSE_LIMIT: Duration = Duration::from_millis(128);

/// What the kernel answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// How it went.
    pub outcome: Outcome,
    /// Why, where it was refused.
    pub detail: String,
}

/// An event with what came along.
pub struct Event {
    /// The message.
    pub message: Reader<OwnedSegments>,
    /// The descriptor that rode on it.
    pub descriptor: Option<OwnedFd>,
}

/// A command that waits for room: its packet, and what rides on it.
type Waiting = (Vec<u8>, Vec<Rc<OwnedFd>>);

/// The control channel.
pub struct Control {
    socket: AsyncFd<OwnedFd>,
    next: Cell<u64>,
    answers: RefCell<HashMap<u64, oneshot::Sender<Done>>>,
    outbox: RefCell<VecDeque<Waiting>>,
    filled: Notify,
}

impl Control {
    /// On the descriptor that this process was born with, within a tokio runtime.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket: watch(socket)?,
            next: Cell::new(1),
            answers: RefCell::default(),
            outbox: RefCell::default(),
            filled: Notify::new(),
        })
    }

    /// Sends a command; the answer follows. Commands reach the kernel in the order of these calls.
    pub fn send(
        &self,
        descriptors: &[Rc<OwnedFd>],
        build: impl FnOnce(command::Builder<'_>),
    ) -> Result<oneshot::Receiver<Done>, Problem> {
        let sequence = self.next.replace(self.next.get() + 1);
        let mut message = Builder::new(HeapAllocator::new());
        let mut command = message.init_root::<command::Builder<'_>>();
        command.set_sequence(sequence);
        build(command);
        let too_large =
            |error| Problem::refused(format!("this is too much for one command to the kernel ({error}). Ask for less"));
        let bytes = pack::<command::Owned>(&message).map_err(too_large)?;
        let (answer, answered) = oneshot::channel();
        self.answers.borrow_mut().insert(sequence, answer);
        let mut outbox = self.outbox.borrow_mut();
        let sent_at_once = outbox.is_empty() && self.try_send(&bytes, descriptors);
        if !sent_at_once {
            outbox.push_back((bytes, descriptors.to_vec()));
            self.filled.notify_one();
        }
        Ok(answered)
    }

    /// Whether the kernel's end had room. Any other failure shows when the channel is read.
    fn try_send(&self, bytes: &[u8], descriptors: &[Rc<OwnedFd>]) -> bool {
        let borrowed: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
        match send(self.socket.get_ref(), bytes, &borrowed) {
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            Ok(()) => true,
        }
    }

    /// Sends a command and waits for its answer; again, for a while, where the kernel is busy.
    pub async fn command(
        &self,
        descriptors: &[Rc<OwnedFd>],
        build: impl Fn(command::Builder<'_>),
    ) -> Result<Done, Problem> {
        let mut pause = Duration::from_millis(1);
        for _ in 0..BUSY_TRIES {
            let done = self.send(descriptors, &build)?.await.map_err(|_| Problem::Stopping)?;
            if done.outcome != Outcome::Busy {
                return Ok(done);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BUSY_PAUSE_LIMIT);
        }
        Err(Problem::Busy(
            "the kernel had no room for this for some seconds: a process does not read its door, or too many \
                           links are open. `latch status` shows which; try again"
                .into(),
        ))
    }

    /// Sends what waits; never returns.
    pub async fn send_always(&self) -> io::Result<()> {
        loop {
            self.filled.notified().await;
            // It stays in front until it is sent, so that nothing overtakes it.
            while let Some((bytes, descriptors)) = { self.outbox.borrow().front().cloned() } {
                let borrowed: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
                self.socket.async_io(Interest::WRITABLE, |socket| send(socket, &bytes, &borrowed)).await?;
                self.outbox.borrow_mut().pop_front();
            }
        }
    }

    /// The next event; answers go to whoever waits for them. Nothing: the kernel is gone.
    pub async fn next(&self) -> io::Result<Option<Event>> {
        loop {
            let Some(packet) = self.socket.async_io(Interest::READABLE, |socket| receive(socket)).await? else {
                return Ok(None);
            };
            let message = unpack(&packet.bytes).map_err(io::Error::other)?;
            if let Some((sequence, done)) = answer(&message).map_err(io::Error::other)? {
                if let Some(waiting) = self.answers.borrow_mut().remove(&sequence) {
                    let _ = waiting.send(done);
                }
                continue;
            }
            return Ok(Some(Event { message, descriptor: packet.descriptors.into_iter().next() }));
        }
    }
}

/// The answer in an event, if it is one.
fn answer(message: &Reader<OwnedSegments>) -> capnp::Result<Option<(u64, Done)>> {
    let event::Which::Done(done) = message.get_root::<event::Reader<'_>>()?.which()? else { return Ok(None) };
    let done = done?;
    let detail = done.get_detail()?.to_string().unwrap_or_default();
    Ok(Some((done.get_sequence(), Done { outcome: done.get_outcome()?, detail })))
}
