//! A TPM over a descriptor that this process was given: the system's device `/dev/tpmrm0`, or a stream socket whose other
//! end speaks the same, as that of a software TPM does.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::commands::Carrier;
use super::wire::{BUFFER_BYTES, HEADER_BYTES, response_length};

/// How long a TPM may take for one command, in seconds. Linux's driver gives one at most two minutes, for making a key.
const PATIENCE_SECONDS: i64 = 120;

/// A descriptor with a TPM behind it.
#[derive(Debug)]
pub struct Descriptor {
    descriptor: OwnedFd,
    /// Why an exchange came to no end: what is read next would belong to that one.
    broken: Option<String>,
}

impl Descriptor {
    /// Takes it.
    #[must_use]
    pub fn new(descriptor: OwnedFd) -> Descriptor {
        Descriptor { descriptor, broken: None }
    }

    fn exchange(&self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        // The device takes a command in one piece only, and does so; a socket may take part of it.
        let mut left = command;
        while !left.is_empty() {
            match rustix::io::write(&self.descriptor, left) {
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        let mut answer = Zeroizing::new(vec![0; BUFFER_BYTES]);
        let (mut length, mut read) = (None, 0);
        while length.is_none_or(|length| read < length) {
            self.wait(PollFlags::IN)?;
            match rustix::io::read(&self.descriptor, &mut answer[read..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => read += more,
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(errno) => return Err(errno.into()),
            }
            if read >= HEADER_BYTES {
                let stated = response_length(&answer[..read]);
                length = Some(stated.ok_or_else(|| io::Error::other("an answer of a length that none has"))?);
            }
        }
        if length != Some(read) {
            return Err(io::Error::other("more than the answer came back"));
        }
        answer.truncate(read);
        Ok(answer)
    }

    fn wait(&self, until: PollFlags) -> io::Result<()> {
        let patience = Timespec { tv_sec: PATIENCE_SECONDS, tv_nsec: 0 };
        match poll(&mut [PollFd::new(&self.descriptor, until)], Some(&patience)) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Carrier for Descriptor {
    fn carry(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        if let Some(why) = &self.broken {
            let text = format!("it stopped in the middle of an earlier command ({why}): restart the keys service");
            return Err(io::Error::other(text));
        }
        let answered = self.exchange(command);
        self.broken = answered.as_ref().err().map(ToString::to_string);
        answered
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    const ANSWER: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0, 7, 8];

    /// What carrying a command comes to where these pieces come back.
    fn carried(pieces: &[&[u8]]) -> (io::Result<Zeroizing<Vec<u8>>>, Descriptor) {
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut descriptor = Descriptor::new(here.into());
        let answered = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut command = [0; 3];
                there.read_exact(&mut command).unwrap();
                assert_eq!(command, [1, 2, 3]);
                // Whoever has seen enough does not read the rest.
                pieces.iter().for_each(|piece| drop(there.write_all(piece)));
            });
            descriptor.carry(&[1, 2, 3])
        });
        (answered, descriptor)
    }

    #[test]
    fn an_answer_is_whole_however_it_comes() {
        assert_eq!(carried(&[&ANSWER]).0.unwrap().as_slice(), ANSWER);
        assert_eq!(carried(&[&ANSWER[..5], &ANSWER[5..11], &ANSWER[11..]]).0.unwrap().as_slice(), ANSWER);
    }

    #[test]
    fn a_descriptor_that_does_not_wait_is_waited_for() {
        let (here, mut there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let mut descriptor = Descriptor::new(here.into());
        // More than a socket takes at once.
        let command = vec![7; 4 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut read = vec![0; command.len()];
                there.read_exact(&mut read).unwrap();
                assert!(read == command);
                there.write_all(&ANSWER).unwrap();
            });
            assert_eq!(descriptor.carry(&command).unwrap().as_slice(), ANSWER);
        });
    }

    #[test]
    fn after_half_an_answer_nothing_is_believed() {
        for length in 0..ANSWER.len() {
            let (answered, mut descriptor) = carried(&[&ANSWER[..length]]);
            assert_eq!(answered.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            assert!(descriptor.carry(&[1]).unwrap_err().to_string().contains("earlier command"));
        }
    }

    #[test]
    fn an_answer_of_another_length_than_it_says_is_none() {
        for stated in [0, 9, 4_097, u32::MAX] {
            let mut answer = ANSWER;
            answer[2..6].copy_from_slice(&stated.to_be_bytes());
            assert!(carried(&[&answer]).0.unwrap_err().to_string().contains("length"));
        }
        assert!(carried(&[&[&ANSWER[..], &[9]].concat()]).0.unwrap_err().to_string().contains("more than the answer"));
    }
}
