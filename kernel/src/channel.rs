//! A SEQPACKET socket with a queue of messages that wait for room: every door, and the control channel. Sending never
//! blocks and never fails: the end of who is gone is seen otherwise.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::poller::{Poller, Source};

/// Descriptors on one packet: a process is started with no more resources.
pub(crate) const DESCRIPTORS_LIMIT: usize = 16;

/// A packet that came in: bytes and descriptors.
pub(crate) type Received = (Vec<u8>, Vec<OwnedFd>);

/// The other end closed, or sent what no honest end sends: a packet over the limit, or too many descriptors.
pub(crate) struct Closed;

pub(crate) struct Channel {
    pub socket: OwnedFd,
    pub token: u64,
    waiting: VecDeque<(Vec<u8>, Vec<Rc<OwnedFd>>)>,
    pub waiting_bytes: usize,
    /// While set, everything waits: its process is not confined yet.
    held: bool,
    /// Since when the other end has taken nothing although something waits for it.
    pub blocked_since: Option<Instant>,
}

impl Channel {
    /// A new pair: the kernel's end, watched, and the end for a process.
    pub(crate) fn pair(poller: &mut Poller, source: Source) -> Result<(Channel, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel::over(ours, poller, source)?, theirs))
    }

    /// Over a socket that somebody connected.
    pub(crate) fn over(socket: OwnedFd, poller: &mut Poller, source: Source) -> Result<Channel> {
        let token = poller.watch(&socket, source, EventFlags::IN)?;
        Ok(Channel { socket, token, waiting: VecDeque::new(), waiting_bytes: 0, held: false, blocked_since: None })
    }

    /// From now on everything waits (`held`), or what waited is sent.
    pub(crate) fn hold(&mut self, held: bool, poller: &Poller) {
        self.held = held;
        self.flush(poller);
    }

    /// Messages that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sends a packet, or lets it wait its turn.
    pub(crate) fn send(&mut self, bytes: Vec<u8>, descriptors: Vec<Rc<OwnedFd>>, poller: &Poller) {
        self.waiting_bytes += bytes.len();
        self.waiting.push_back((bytes, descriptors));
        if self.blocked_since.is_none() {
            self.flush(poller);
        }
    }

    /// Sends what there is room for, and has the poller tell when there is more.
    pub(crate) fn flush(&mut self, poller: &Poller) {
        let asked = self.blocked_since.is_some();
        while let Some((bytes, descriptors)) = self.waiting.front().filter(|_| !self.held) {
            match send_packet(&self.socket, bytes, descriptors) {
                // ETOOMANYREFS: too many descriptors of ours are under way; reading takes them out.
                Err(Errno::AGAIN | Errno::TOOMANYREFS | Errno::NOBUFS) => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    break;
                }
                Ok(()) | Err(_) => self.blocked_since = None,
            }
            self.waiting_bytes -= bytes.len();
            self.waiting.pop_front();
        }
        let ask = self.blocked_since.is_some();
        if ask != asked {
            let events = if ask { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            poller.change(&self.socket, self.token, events);
        }
    }

    /// One packet, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> std::result::Result<Option<Received>, Closed> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let message = match recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Ok(message) => message,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            // It ended with something of ours unread. This is told once, and what it said before is still there.
            Err(Errno::CONNRESET) => return self.receive(buffer),
            Err(_) => return Err(Closed),
        };
        let rights = control.drain().filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        });
        let descriptors: Vec<OwnedFd> = rights.flatten().collect();
        let cut_short = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        let bytes = buffer.get(..message.bytes).filter(|bytes| !bytes.is_empty() && !cut_short).ok_or(Closed)?;
        Ok(Some((bytes.to_vec(), descriptors)))
    }
}

fn send_packet(socket: &OwnedFd, bytes: &[u8], descriptors: &[Rc<OwnedFd>]) -> Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags).map(drop)
}
