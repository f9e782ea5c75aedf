//! One link of the guest: a socket on one side, a numbered byte stream on the other. Bytes are passed on and never
//! looked at.
//!
//! The socket itself says what can be read and written; the runtime only says when to look again. So a link can be
//! left unread without credit and its hang-up is seen all the same.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vat::door::Role;
use vat::native::watch_for;

/// Bytes that the guest has sent and the socket does not take yet. Equal to a socket's own buffer at most; more would
/// only hide from the guest that the other side does not read.
pub(crate) const SEND_LIMIT_BYTES: usize = 256 << 10;
/// The guest is told that there is room again once so much is free: half, so that it does not come for each byte.
const ROOM_BYTES: usize = SEND_LIMIT_BYTES / 2;
/// Read at once from one link before the next has its turn.
const READ_LIMIT_BYTES: usize = 64 << 10;

/// What a link has for the guest.
#[derive(Debug)]
pub(crate) enum Arrived {
    Bytes(Vec<u8>),
    Room,
    /// Nothing more will come, and nothing is taken any more.
    End,
}

/// One link. It is polled only after something has happened to it.
#[derive(Debug)]
pub(crate) struct Link {
    /// Watched for reading only. A socket tells who watches for room about every message that the other end takes;
    /// nearly always there is room, and the guest's process would be woken for nothing.
    socket: AsyncFd<OwnedFd>,
    /// A duplicate that is watched for room, while there is none.
    room: Option<AsyncFd<OwnedFd>>,
    /// The node's number, for the kernel.
    pub(crate) id: u64,
    pub(crate) role: Role,
    /// How much may still come. However much it is, no more is read than goes into one list of events.
    credit_bytes: u64,
    sending: VecDeque<u8>,
    wants_room: bool,
    /// The guest was told, or is to be told next, that nothing more comes.
    ended: bool,
    signal: Arc<Signal>,
}

impl Link {
    /// Wakes the given task when something happens on the socket.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub(crate) fn new(socket: UnixStream, id: u64, role: Role, task: Waker) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: watch_for(socket.into(), Interest::READABLE)?,
            room: None,
            id,
            role,
            credit_bytes: 0,
            sending: VecDeque::new(),
            wants_room: false,
            ended: false,
            signal: Arc::new(Signal { raised: AtomicBool::new(true), task }),
        })
    }

    /// Takes bytes for the socket and says how many.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        if self.ended {
            return 0;
        }
        let written = if self.sending.is_empty() { self.write(bytes) } else { 0 };
        let rest = &bytes[written..];
        if rest.is_empty() {
            return written;
        }
        let kept = rest.len().min(SEND_LIMIT_BYTES - self.sending.len());
        self.sending.extend(&rest[..kept]);
        self.wants_room |= kept < rest.len();
        self.signal.raise();
        written + kept
    }

    /// Lets so many bytes more come.
    pub(crate) fn open_window(&mut self, bytes: u32) {
        self.credit_bytes = self.credit_bytes.saturating_add(u64::from(bytes));
        self.signal.raise();
    }

    /// Whether it was cut or ended, whether or not that was read: a look at the socket itself.
    pub(crate) fn is_closed(&self) -> bool {
        self.ended || self.is_hung_up()
    }

    /// Whether something may have happened since the last poll.
    pub(crate) fn is_raised(&self) -> bool {
        self.signal.raised.load(Ordering::Acquire)
    }

    /// Moves what can be moved, and gives at most one chunk of bytes.
    pub(crate) fn poll(&mut self, mut arrived: impl FnMut(Arrived)) {
        self.signal.raised.store(false, Ordering::Release);
        if self.ended {
            return;
        }
        // First ask to be woken, then look: nothing can happen in between unseen.
        // A link that cannot be watched any more cannot be used any more.
        let listened = self.listen();
        self.flush();
        if self.wants_room && SEND_LIMIT_BYTES - self.sending.len() >= ROOM_BYTES {
            self.wants_room = false;
            arrived(Arrived::Room);
        }
        let received = listened.map_or(Received::End, |over| self.receive(over));
        match received {
            Received::Nothing => {}
            Received::Bytes(bytes) => arrived(Arrived::Bytes(bytes)),
            Received::End => {
                self.ended = true;
                self.sending = VecDeque::new();
                arrived(Arrived::End);
            }
        }
    }

    /// Writes what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) {
        while !self.sending.is_empty() {
            match self.write(self.sending.as_slices().0) {
                0 => return,
                written => drop(self.sending.drain(..written)),
            }
        }
        // A burst need not be paid for until the link ends.
        self.sending.shrink_to(0);
    }

    /// Forgets what the runtime knows and asks to be woken when there is something new. Only an end is never
    /// forgotten, and after one nothing new comes: whether there was one.
    fn listen(&mut self) -> io::Result<bool> {
        let forget = |_: &OwnedFd| io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        let waker = Waker::from(self.signal.clone());
        let mut context = Context::from_waker(&waker);
        // An error is what was asked for.
        let _ = self.socket.try_io(Interest::READABLE, forget);
        let over = self.socket.poll_read_ready(&mut context).is_ready();
        if self.sending.is_empty() {
            self.room = None;
        } else {
            let room = match self.room.take() {
                Some(room) => room,
                None => watch_for(rustix::io::fcntl_dupfd_cloexec(&self.socket, 0)?, Interest::WRITABLE)?,
            };
            let _ = room.try_io(Interest::WRITABLE, forget);
            let _ = room.poll_write_ready(&mut context);
            self.room = Some(room);
        }
        Ok(over)
    }

    /// How many bytes the socket took. One that takes nothing any more is found out by the reading side.
    fn write(&self, bytes: &[u8]) -> usize {
        loop {
            match rustix::net::send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                result => return result.unwrap_or(0),
            }
        }
    }

    fn receive(&mut self, over: bool) -> Received {
        let room = usize::try_from(self.credit_bytes).unwrap_or(usize::MAX).min(READ_LIMIT_BYTES);
        if room == 0 {
            // Nothing is read without credit. A client may still want what came before the end; a server that was cut
            // starts nothing more.
            let over = self.is_hung_up() && (self.role == Role::Server || self.is_drained());
            return if over { Received::End } else { Received::Nothing };
        }
        let mut bytes = Vec::with_capacity(room);
        match self.read(&mut bytes) {
            Err(Errno::AGAIN) => Received::Nothing,
            Ok(0) | Err(_) => Received::End,
            Ok(read) => {
                self.credit_bytes -= read as u64;
                if read == room || over {
                    // There may be more, or the end, of which nobody would tell again. The others have their turn first.
                    self.signal.raise();
                }
                Received::Bytes(bytes)
            }
        }
    }

    fn read(&self, bytes: &mut Vec<u8>) -> Result<usize, Errno> {
        loop {
            match rustix::io::read(&self.socket, rustix::buffer::spare_capacity(bytes)) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    fn is_hung_up(&self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        match rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) => polled[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
            // It could not look: the safe answer is that no call may start.
            Err(_) => true,
        }
    }

    fn is_drained(&self) -> bool {
        rustix::io::ioctl_fionread(&self.socket).map_or(true, |waiting| waiting == 0)
    }
}

enum Received {
    Nothing,
    Bytes(Vec<u8>),
    End,
}

/// Remembers that something happened, and wakes the task that polls.
#[derive(Debug)]
struct Signal {
    raised: AtomicBool,
    task: Waker,
}

impl Signal {
    /// For changes that the task itself makes: it polls again anyway.
    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
        self.task.wake_by_ref();
    }
}
