//! The little of a door that the probe needs, before and after it is confined.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg};
use vat::door::{FromVat, PACKET_LIMIT_BYTES, ToVat};

type Failure = Box<dyn std::error::Error>;

pub(crate) struct Born {
    pub door: OwnedFd,
    pub setup: Vec<u8>,
    pub reduced: bool,
    pub resources: Vec<OwnedFd>,
}

/// Reads `begin` and the resources.
pub(crate) fn read() -> Result<Born, Failure> {
    let door = crate::unsafe_calls::adopt(3)?;
    let (ToVat::Begin(begin), _) = receive(&door)? else { return Err("the first message is not begin".into()) };
    let mut resources = vec![];
    for _ in 0..begin.resources {
        resources.extend(receive(&door)?.1);
    }
    Ok(Born { door, setup: begin.setup, reduced: begin.reduced, resources })
}

fn receive(door: &OwnedFd) -> Result<(ToVat, Vec<OwnedFd>), Failure> {
    let mut buffer = vec![0; PACKET_LIMIT_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = recvmsg(door, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let mut descriptors = vec![];
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    Ok((ToVat::decode(&buffer[..length])?, descriptors))
}

pub(crate) fn say(door: &OwnedFd, message: &FromVat) -> Result<(), Failure> {
    rustix::net::send(door, &message.encode()?, SendFlags::NOSIGNAL)?;
    Ok(())
}
