//! The powerbox's ends of a process's standard streams: a line in, a line out.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use vat::door::ToVat;

/// The labels of raw links, in the order in which they are made.
pub(super) const STREAMS: &[&str] = &["stdin", "stdout", "stderr"];

pub(super) struct Relay {
    input: UnixStream,
    output: BufReader<UnixStream>,
    /// Nobody writes much there; it must stay open.
    _error: UnixStream,
}

impl Relay {
    /// Takes this end of the three streams out of the door.
    pub(super) fn take(door: BorrowedFd<'_>) -> Result<Self, String> {
        let (input, output, error) = (next_link(door)?, next_link(door)?, next_link(door)?);
        Ok(Self { input, output: BufReader::new(output), _error: error })
    }

    pub(super) fn tell(&mut self, line: &str) -> Result<String, String> {
        writeln!(self.input, "{line}").map_err(|error| format!("a process does not listen: {error}"))?;
        let mut answer = String::new();
        match self.output.read_line(&mut answer) {
            Ok(0) => Err("a process ended instead of answering".into()),
            Ok(_) => Ok(answer.trim_end().to_owned()),
            Err(error) => Err(format!("a process does not answer: {error}")),
        }
    }
}

/// The next link that comes through a door, as a blocking stream.
pub(super) fn next_link(door: BorrowedFd<'_>) -> Result<UnixStream, String> {
    loop {
        let packet = vat::native::receive(door)
            .map_err(|error| format!("the door failed: {error}"))?
            .ok_or("the door was closed")?;
        let message = ToVat::decode(&packet.bytes).map_err(|error| error.to_string())?;
        let descriptor = packet.descriptors.into_iter().next();
        if let (ToVat::Link(_), Some(descriptor)) = (message, descriptor) {
            let stream = UnixStream::from(descriptor);
            stream.set_nonblocking(false).map_err(|error| format!("cannot use a link: {error}"))?;
            return Ok(stream);
        }
    }
}
