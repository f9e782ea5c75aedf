//! A SEQPACKET socket with a bounded queue of messages that wait for room: every door, and the control channel.
//! Sending never blocks.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use vat::door::PACKET_LIMIT_BYTES;

use crate::poller::Poller;

/// Descriptors on one packet: a process is started with fewer resources than this.
pub(crate) const DESCRIPTORS_LIMIT: usize = 16;

/// A message and what rides on it.
pub(crate) struct Packet {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<Rc<OwnedFd>>,
}

/// The queue is full, or the other end is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// One packet that came in.
pub(crate) struct Received {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

/// What a look into the socket found.
pub(crate) enum Incoming {
    Packet(Received),
    Nothing,
    /// The other end closed, or sent what no honest end sends: a packet over the limit, or too many descriptors.
    Ended,
}

pub(crate) struct Channel {
    socket: OwnedFd,
    /// The poller's name for it; no other channel ever has the same.
    pub token: u64,
    waiting: VecDeque<Packet>,
    waiting_bytes: usize,
    /// While set, everything waits: its process is not confined yet.
    held: bool,
    /// Since when the first waiting packet has had no room.
    blocked_since: Option<Instant>,
    /// The poller was asked to tell when there is room.
    asked: bool,
}

impl Channel {
    /// A new pair: the kernel's end, watched, and the end for a process.
    pub(crate) fn pair(poller: &mut Poller, token: u64) -> rustix::io::Result<(Channel, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // The process's main reads its first messages before it has anything to wait with: its end blocks.
        rustix::fs::fcntl_setfl(&theirs, rustix::fs::OFlags::empty())?;
        Ok((Channel::over(ours, poller, token)?, theirs))
    }

    /// Over a socket that somebody connected.
    pub(crate) fn over(socket: OwnedFd, poller: &mut Poller, token: u64) -> rustix::io::Result<Channel> {
        poller.watch(&socket, token, EventFlags::IN)?;
        let (waiting, waiting_bytes) = (VecDeque::new(), 0);
        Ok(Channel { socket, token, waiting, waiting_bytes, held: false, blocked_since: None, asked: false })
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// From now on everything waits until [`Channel::release`].
    pub(crate) fn hold(&mut self) {
        self.held = true;
    }

    /// Sends what waited.
    pub(crate) fn release(&mut self, poller: &Poller) -> Result<(), Refused> {
        self.held = false;
        self.flush(poller)
    }

    /// Messages that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Since when the other end has taken nothing although something waits for it.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Sends a packet, or lets it wait its turn.
    pub(crate) fn send(&mut self, packet: Packet, poller: &Poller) -> Result<(), Refused> {
        self.waiting_bytes += packet.bytes.len();
        self.waiting.push_back(packet);
        if self.blocked_since.is_none() { self.flush(poller) } else { Ok(()) }
    }

    /// Sends what there is room for, and has the poller tell when there is more.
    pub(crate) fn flush(&mut self, poller: &Poller) -> Result<(), Refused> {
        while let Some(packet) = self.waiting.front().filter(|_| !self.held) {
            match send_packet(&self.socket, packet) {
                Ok(()) => {
                    self.waiting_bytes -= packet.bytes.len();
                    self.waiting.pop_front();
                    self.blocked_since = None;
                }
                // ETOOMANYREFS: too many descriptors of ours are under way; they are taken out as packets are read.
                Err(Errno::AGAIN | Errno::TOOMANYREFS | Errno::NOBUFS) => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    self.ask(true, poller);
                    return Ok(());
                }
                Err(_) => return Err(Refused),
            }
        }
        self.ask(false, poller);
        Ok(())
    }

    /// Has the poller tell of room, or no longer.
    fn ask(&mut self, room: bool, poller: &Poller) {
        if self.asked != room {
            self.asked = room;
            let events = if room { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            poller.change(&self.socket, self.token, events);
        }
    }

    /// One packet, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Incoming {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let message = match recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Ok(message) => message,
            Err(Errno::AGAIN | Errno::INTR) => return Incoming::Nothing,
            // It ended with something of ours unread. This is told once, and what it said before is still there.
            Err(Errno::CONNRESET) => return self.receive(buffer),
            Err(_) => return Incoming::Ended,
        };
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                descriptors.extend(rights);
            }
        }
        let cut_short = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        if message.bytes == 0 || cut_short {
            return Incoming::Ended;
        }
        Incoming::Packet(Received { bytes: buffer.get(..message.bytes).unwrap_or_default().to_vec(), descriptors })
    }
}

/// Room for one packet, and one byte that only a longer one would fill.
pub(crate) fn packet_buffer() -> Vec<u8> {
    vec![0; PACKET_LIMIT_BYTES + 1]
}

fn send_packet(socket: &OwnedFd, packet: &Packet) -> rustix::io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = packet.descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(&packet.bytes)], &mut control, flags).map(drop)
}
