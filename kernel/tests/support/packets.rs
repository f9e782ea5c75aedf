//! SEQPACKET sockets with descriptors, blocking, for tests. Nothing waits for ever: a test that would hang fails.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with,
};

/// Longer than anything takes on the slowest machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Socket(OwnedFd);

impl Socket {
    pub fn new(socket: OwnedFd) -> Socket {
        let flags = rustix::fs::fcntl_getfl(&socket).unwrap();
        rustix::fs::fcntl_setfl(&socket, flags - rustix::fs::OFlags::NONBLOCK).unwrap();
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).unwrap();
        Socket(socket)
    }

    pub fn connect(path: &Path) -> rustix::io::Result<Socket> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Socket::new(socket))
    }

    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
    }

    /// The next packet; nothing at the end.
    pub fn receive(&self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let (bytes, descriptors) = receive(self.0.as_fd());
        if bytes.is_empty() { None } else { Some((bytes, descriptors)) }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn receive(socket: BorrowedFd<'_>) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut buffer = vec![0; vat::door::PACKET_LIMIT_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::CMSG_CLOEXEC);
    let length = match received {
        Ok(message) => message.bytes,
        Err(rustix::io::Errno::CONNRESET) => 0,
        Err(error) => panic!("nothing came: {error}"),
    };
    let mut descriptors = vec![];
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    buffer.truncate(length);
    (buffer, descriptors)
}

/// The first line of a process and what it passed along.
pub fn receive_text(stream: &UnixStream) -> (String, Vec<OwnedFd>) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (bytes, descriptors) = receive(stream.as_fd());
    (String::from_utf8(bytes).unwrap(), descriptors)
}
