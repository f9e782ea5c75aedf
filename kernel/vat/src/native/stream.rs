//! A link over a local socket.

use super::unsafe_descriptors::watch_for;
use crate::transport::Transport;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One end of a link, within a tokio runtime.
#[derive(Debug)]
pub struct Stream {
    /// Watched for reading only. A socket tells who watches for room about every message that the other end takes;
    /// nearly always there is room, and the process would be woken for nothing.
    socket: AsyncFd<OwnedFd>,
    /// A duplicate that is watched for room, while there is none.
    room: Option<AsyncFd<OwnedFd>>,
}

impl Stream {
    /// A link on that socket. It is read without room for control data, so descriptors that a peer sends are closed
    /// unseen.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn new(socket: UnixStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Ok(Stream { socket: watch_for(socket.into(), Interest::READABLE)?, room: None })
    }

    fn try_write(&self, pieces: &[IoSlice<'_>]) -> Result<usize, Errno> {
        loop {
            let written = match pieces {
                [piece] => send(&self.socket, piece, SendFlags::NOSIGNAL),
                _ => rustix::io::writev(&self.socket, pieces),
            };
            if written != Err(Errno::INTR) {
                return written;
            }
        }
    }
}

impl Transport for Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut readable = ready!(self.socket.poll_read_ready(context))?;
            match rustix::io::read(&self.socket, &mut *buffer) {
                Ok(count) => {
                    // All that was there: more is announced anew. An end that was announced already stays so.
                    if count > 0 && count < buffer.len() {
                        readable.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(Errno::AGAIN) => readable.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
        loop {
            // known before the attempt: what is announced after it does not count as tried
            let announced = match &self.room {
                Some(room) => Some(ready!(room.poll_write_ready(context))?),
                None => None,
            };
            match self.try_write(pieces) {
                Ok(count) => {
                    if count == wanted {
                        self.room = None;
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(Errno::AGAIN) => match announced {
                    Some(mut announced) => announced.clear_ready(),
                    None => {
                        let duplicate = rustix::io::fcntl_dupfd_cloexec(&self.socket, 3)?;
                        self.room = Some(watch_for(duplicate, Interest::WRITABLE)?);
                    }
                },
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// A `poll` of 0.2 µs: it sees a shutdown even where bytes wait that were not read.
    fn is_hung_up(&self) -> bool {
        let mut sockets = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        match poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) => sockets[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
            Err(_) => true,
        }
    }

    fn close(&mut self) {
        // the descriptor goes with the stream; shutting down tells the other end even while someone holds a duplicate
        let _ = shutdown(self.socket.as_fd(), Shutdown::Both);
    }
}
