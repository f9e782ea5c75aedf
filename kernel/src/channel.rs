//! A SEQPACKET socket with a queue of messages that wait for room: every door, and the control channel. Sending never
//! blocks and never fails: the end of who is gone is seen otherwise.

use crate::prelude::*;
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use vat::socket::{receive_with, send};

/// The other end closed, or sent what no honest end sends: a packet over the limit, or too many descriptors.
pub(crate) struct Closed;

pub(crate) struct Channel {
    pub socket: OwnedFd,
    pub token: u64,
    waiting: VecDeque<(Vec<u8>, Vec<Rc<OwnedFd>>)>,
    pub waiting_bytes: usize,
    pub held: bool, // while set, everything waits: its process is not confined yet
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
        rustix::io::ioctl_fionbio(&socket, true)?;
        let token = poller.watch(&socket, source, EventFlags::IN)?;
        Ok(Channel { socket, token, waiting: VecDeque::new(), waiting_bytes: 0, held: false, blocked_since: None })
    }

    pub(crate) fn has_room(&self, limit: usize) -> bool {
        self.waiting.len() < limit
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
        // ETOOMANYREFS: too many descriptors of ours are under way; reading takes them out.
        let no_room = [Errno::AGAIN, Errno::TOOMANYREFS, Errno::NOBUFS].map(|errno| Some(errno.raw_os_error()));
        let asked = self.blocked_since.is_some();
        while let Some((bytes, descriptors)) = self.waiting.front().filter(|_| !self.held) {
            let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(|it| it.as_fd()).collect();
            if send(&self.socket, bytes, &descriptors).is_err_and(|error| no_room.contains(&error.raw_os_error())) {
                self.blocked_since.get_or_insert_with(Instant::now);
                break;
            }
            self.blocked_since = None;
            self.waiting_bytes -= bytes.len();
            self.waiting.pop_front();
        }
        if self.blocked_since.is_some() != asked {
            let events = if asked { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT };
            poller.change(&self.socket, self.token, events);
        }
    }

    /// One packet, if there is one.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> std::result::Result<Option<Packet>, Closed> {
        match receive_with(&self.socket, buffer) {
            Ok(Some(packet)) => Ok(Some(packet)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // It ended with something of ours unread. This is told once, and what it said before is still there.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.receive(buffer),
            Ok(None) | Err(_) => Err(Closed),
        }
    }
}
