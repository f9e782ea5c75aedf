//! Packets of a door, or of the control channel, with the descriptors that ride on them: for the kernel's ends and for
//! those of native processes.

use crate::door::PACKET_LIMIT_BYTES;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors on one packet at most: a door's message has one, a start's resources are few.
pub const DESCRIPTORS_LIMIT: usize = 16;

const SPACE_BYTES: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT));

/// One packet.
#[derive(Debug)]
pub struct Packet {
    /// The message.
    pub bytes: Vec<u8>,
    /// What came with it, closed on exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Receives one packet; nothing when the other end is closed. Whether it waits is up to the socket.
///
/// # Errors
/// Those of the socket; and where the packet did not fit, or descriptors were lost on the way because this process
/// can have no more: then nothing that comes later can be trusted to be whole, and the process should exit.
pub fn receive(socket: impl AsFd) -> io::Result<Option<Packet>> {
    receive_with(socket, &mut vec![0; PACKET_LIMIT_BYTES])
}

/// The same with a buffer of the caller's, which is as large as a packet may be.
///
/// # Errors
/// As above.
pub fn receive_with(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
    let mut space = [MaybeUninit::uninit(); SPACE_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: this process has too many open"));
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::other("a packet is over the limit of a door"));
    }
    if received.bytes == 0 && descriptors.is_empty() {
        return Ok(None);
    }
    Ok(Some(Packet { bytes: buffer.get(..received.bytes).unwrap_or_default().to_vec(), descriptors }))
}

/// Sends one packet, all or nothing. Whether it waits is up to the socket. Only what carries descriptors needs the
/// system call that can carry some: most profiles have no other.
///
/// # Errors
/// Those of the socket.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); SPACE_BYTES];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        let sent = if descriptors.is_empty() {
            rustix::net::send(&socket, bytes, SendFlags::NOSIGNAL)
        } else {
            sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
        };
        match sent {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}
