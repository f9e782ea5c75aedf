//! Stands in for every image in the kernel's own tests. It hands its door, and the powerbox's control channel, to the
//! test over a socket and then does what it is told there, so that each test speaks both protocols itself. It does not
//! confine itself.
//!
//! Told by two bytes: `x` and a code: exit; `o` and anything: write a line to standard error; `m` and a number: take so
//! many MiB, answer + or -. End of stream: exit 0.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vat::door::{Begin, ToVat};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A descriptor that this process was born with. Going through /proc makes no second owner of it; for a socket a
/// duplicate is taken from the table that the standard library does not know.
fn born_with(number: u32) -> Outcome<OwnedFd> {
    let own = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())?;
    Ok(rustix::process::pidfd_getfd(&own, i32::try_from(number)?, rustix::process::PidfdGetfdFlags::empty())?)
}

fn receive(door: &OwnedFd) -> Outcome<(ToVat, Vec<OwnedFd>)> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut buffer = vec![0; vat::door::PACKET_LIMIT_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = {
        let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
        recvmsg(door, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes
    };
    let mut descriptors = vec![];
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    Ok((ToVat::decode(&buffer[..length])?, descriptors))
}

fn main() -> Outcome<()> {
    let image = std::env::args().next().unwrap_or_default();
    let powerbox = image == "latch-powerbox";
    let door = born_with(3)?;
    let (ToVat::Begin(Begin { setup, resources, process, .. }), _) = receive(&door)? else {
        return Err("the first message is not begin".into());
    };
    let mut given = vec![];
    let mut names = vec![];
    for _ in 0..resources {
        let (ToVat::Resource(resource), descriptors) = receive(&door)? else { return Err("not a resource".into()) };
        names.push(resource.name);
        given.extend(descriptors);
    }
    let driver = if powerbox {
        let flags = rustix::fs::OFlags::RDONLY;
        let file = rustix::fs::openat(&given[0], "driver", flags, rustix::fs::Mode::empty())?;
        let mut path = String::new();
        File::from(file).read_to_string(&mut path)?;
        path
    } else {
        String::from_utf8(setup)?
    };
    let mut driver = UnixStream::connect(driver)?;
    let mut passed = vec![door];
    if powerbox {
        passed.push(born_with(4)?);
    }
    passed.extend(given);
    let variables = std::env::vars_os().count();
    let open = std::fs::read_dir("/proc/self/fd")?.count();
    let uid = rustix::process::getuid().as_raw();
    let first = format!("{image} {process} {uid} {variables} {open} {}\n", names.join(","));
    let borrowed: Vec<BorrowedFd<'_>> = passed.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&borrowed));
    sendmsg(&driver, &[IoSlice::new(first.as_bytes())], &mut control, SendFlags::empty())?;
    drop(passed);

    let mut told = [0; 2];
    while driver.read_exact(&mut told).is_ok() {
        match told[0] {
            b'x' => std::process::exit(told[1].into()),
            b'o' => eprintln!("a word on standard error"),
            b'm' => {
                let got = Vec::<u8>::new().try_reserve_exact(usize::from(told[1]) << 20).is_ok();
                driver.write_all(if got { b"+" } else { b"-" })?;
            }
            _ => {}
        }
        driver.write_all(b"k")?;
    }
    Ok(())
}
