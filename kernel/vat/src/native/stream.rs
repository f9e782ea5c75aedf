//! A link over a local socket.

use crate::transport::Transport;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of a link, within a tokio runtime.
#[derive(Debug)]
pub struct Stream {
    socket: tokio::net::UnixStream,
}

impl Stream {
    /// A link on that socket. It is read without room for control data, so descriptors that a peer sends are closed
    /// unseen.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn new(socket: UnixStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Ok(Stream { socket: tokio::net::UnixStream::from_std(socket)? })
    }
}

impl Transport for Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, pieces)
    }

    /// A `poll` of 0.2 µs: it sees a shutdown even where bytes wait that were not read.
    fn is_hung_up(&self) -> bool {
        let mut sockets = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::RDHUP)];
        match poll(&mut sockets, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(_) => sockets[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR),
            Err(_) => true,
        }
    }

    fn close(&mut self) {
        // the descriptor goes with the stream; shutting down tells the other end even while someone holds a duplicate
        let _ = rustix::net::shutdown(self.socket.as_fd(), rustix::net::Shutdown::Both);
    }
}
