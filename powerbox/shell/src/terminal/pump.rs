//! An app's standard input and output: plain threads that carry bytes between a raw link and a descriptor of this process.
//!
//! Each direction goes at the pace of its slower end. A closed end is told on: the end of our standard input becomes the
//! end of the app's, and when whoever reads our output goes, the app's writes fail.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

use super::gate::Gate;
use crate::output;
use crate::text::filter::Filter;

/// Carried at once: what a socket buffer of the kernel's size takes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which of this process' descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Standard,
    Error,
}

/// Carries our standard input to the app, until either ends.
pub(crate) fn input(link: UnixStream, gate: Gate) -> JoinHandle<()> {
    std::thread::spawn(move || {
        // Whatever ended it, the app must see the end of its input.
        let _ = carry_input(&link, &gate);
        let _ = link.shutdown(Shutdown::Write);
    })
}

fn carry_input(link: &UnixStream, gate: &Gate) -> io::Result<()> {
    let stdin = io::stdin();
    let shared = stdin.is_terminal();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if wait_for_input(&stdin, link)? {
            return Ok(()); // the app reads no more
        }
        let read = if shared {
            // A line that the prompt waited for has been taken by now.
            gate.pass(|| if is_ready(&stdin) { Some(rustix::io::read(&stdin, &mut chunk)) } else { None })
        } else {
            Some(rustix::io::read(&stdin, &mut chunk))
        };
        match read {
            None | Some(Err(Errno::INTR | Errno::AGAIN)) => {}
            Some(Ok(0)) => return Ok(()),
            Some(Ok(count)) => write_all(link, &chunk[..count])?,
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// Waits until there is input; true: the link has ended instead.
fn wait_for_input(stdin: &impl AsFd, link: &UnixStream) -> io::Result<bool> {
    let mut watched = [PollFd::new(stdin, PollFlags::IN), PollFd::new(link, PollFlags::empty())];
    wait(&mut watched)?;
    Ok(watched[1].revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

fn is_ready(descriptor: &impl AsFd) -> bool {
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&now)), Ok(1..))
}

/// Carries the app's output to ours, until either ends. `raw`: a terminal gets every byte as it is.
pub(crate) fn output(link: UnixStream, to: Output, gate: Gate, raw: bool) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let _ = match to {
            Output::Standard => carry_output(&link, Patient(io::stdout()), io::stdout().is_terminal(), &gate, raw),
            Output::Error => carry_output(&link, Patient(io::stderr()), io::stderr().is_terminal(), &gate, raw),
        };
        // The app has gone, or our reader has, and the app is to hear of it: dropping the link is not enough, for the kernel
        // has a duplicate of this end.
        let _ = link.shutdown(std::net::Shutdown::Both);
    })
}

fn carry_output(link: &UnixStream, mut to: impl io::Write, terminal: bool, gate: &Gate, raw: bool) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut filter = (terminal && !raw).then(Filter::default);
    let mut put = |bytes: &[u8]| {
        if terminal {
            gate.pass(|| output::others(&mut to, bytes))
        } else {
            to.write_all(bytes).and_then(|()| to.flush())
        }
    };
    loop {
        match rustix::io::read(link, &mut chunk) {
            Ok(0) => break,
            Ok(count) => match &mut filter {
                Some(filter) => put(&filter.pass(&chunk[..count]))?,
                None => put(&chunk[..count])?,
            },
            Err(Errno::AGAIN) => wait(&mut [PollFd::new(link, PollFlags::IN)])?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    filter.map_or(Ok(()), |mut filter| put(&filter.finish()))
}

/// Writes without a buffer, and waits where somebody else has made the descriptor non-blocking.
struct Patient<F>(F);

impl<F: AsFd> io::Write for Patient<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                Err(Errno::AGAIN) => wait(&mut [PollFd::new(&self.0, PollFlags::OUT)])?,
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(mut link: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match link.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&mut [PollFd::new(link, PollFlags::OUT)])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait(watched: &mut [PollFd<'_>]) -> io::Result<()> {
    loop {
        match poll(watched, None) {
            Err(Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn every_byte_passes_into_a_pipe() {
        let (link, mut app) = UnixStream::pair().unwrap();
        link.set_nonblocking(true).unwrap();
        let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
        let expected = sent.clone();
        let writing = std::thread::spawn(move || app.write_all(&sent).unwrap());
        let mut got = Vec::new();
        carry_output(&link, &mut got, false, &Gate::default(), false).unwrap();
        writing.join().unwrap();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_terminal_gets_no_controls() {
        let (link, mut app) = UnixStream::pair().unwrap();
        app.write_all(b"ok\x1b[2J\xff\n").unwrap();
        drop(app);
        let mut got = Vec::new();
        carry_output(&link, &mut got, true, &Gate::default(), false).unwrap();
        assert_eq!(got, b"ok\\x1b[2J\\xff\n");
    }

    #[test]
    fn a_slow_app_is_waited_for() {
        let (link, mut app) = UnixStream::pair().unwrap();
        link.set_nonblocking(true).unwrap();
        let bytes = vec![7; 4 << 20];
        let expected = bytes.len();
        let writing = std::thread::spawn(move || write_all(&link, &bytes).unwrap());
        let mut got = Vec::new();
        app.read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        assert_eq!(got.len(), expected);
    }
}
