//! The control socket: a line of JSON an order or a reply, with the descriptors ahead of the line that they belong to.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Descriptors in one packet: Linux takes 253.
const DESCRIPTORS_EACH: usize = 200;

/// One end of a control socket.
pub(crate) struct Control {
    socket: UnixStream,
    bytes: VecDeque<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Control {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket, bytes: VecDeque::new(), descriptors: VecDeque::new() }
    }

    /// A second handle for sending.
    pub(crate) fn sender(&self) -> Result<Self, String> {
        self.socket.try_clone().map(Self::new).map_err(|error| format!("cannot duplicate the control socket: {error}"))
    }

    pub(crate) fn send(&mut self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> Result<(), String> {
        for group in descriptors.chunks(DESCRIPTORS_EACH) {
            self.send_descriptors(group)?;
        }
        let mut line = serde_json::to_vec(message).map_err(|error| format!("cannot write a message: {error}"))?;
        line.push(b'\n');
        self.socket.write_all(&line).map_err(|error| format!("a peer is gone: {error}"))
    }

    /// The next message; nothing once the other end is gone.
    pub(crate) fn receive<Message: DeserializeOwned>(&mut self) -> Result<Option<Message>, String> {
        loop {
            if let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|error| format!("not a message: {error}"));
            }
            if self.read_some()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Descriptors that came with the last message.
    pub(crate) fn take_descriptors(&mut self, count: usize) -> Result<Vec<OwnedFd>, String> {
        if self.descriptors.len() < count {
            return Err(format!("{count} descriptors were announced and {} came", self.descriptors.len()));
        }
        Ok(self.descriptors.drain(..count).collect())
    }

    /// A space between lines carries a group of descriptors.
    fn send_descriptors(&self, group: &[BorrowedFd<'_>]) -> Result<(), String> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_EACH))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(group)) {
            return Err("too many descriptors for one packet".into());
        }
        sendmsg(&self.socket, &[IoSlice::new(b" ")], &mut ancillary, SendFlags::empty())
            .map(|_| ())
            .map_err(|error| format!("cannot hand over descriptors: {error}"))
    }

    fn read_some(&mut self) -> Result<usize, String> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_EACH))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; 64 << 10];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.socket, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags)
            .map_err(|error| format!("cannot read the control socket: {error}"))?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                self.descriptors.extend(rights);
            }
        }
        self.bytes.extend(&buffer[..received.bytes]);
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_arrive_with_their_message() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut left, mut right) = (Control::new(left), Control::new(right));
        let files: Vec<_> = (0..DESCRIPTORS_EACH + 1).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        left.send(&1, &[]).unwrap();
        left.send(&2, &borrowed).unwrap();
        assert_eq!(right.receive::<u32>().unwrap(), Some(1));
        assert_eq!(right.receive::<u32>().unwrap(), Some(2));
        assert_eq!(right.take_descriptors(files.len()).unwrap().len(), files.len());
        assert!(right.take_descriptors(1).is_err());
        drop(left);
        assert_eq!(right.receive::<u32>().unwrap(), None);
    }
}
