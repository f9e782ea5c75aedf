//! A link as a byte stream, for the engine.

use super::link::{Link, LinkWatch};
use super::shared::Shared;
use crate::transport::Transport;
use std::fmt;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll};

/// One end of a link. Reads end in order when the link does; writes then fail with `BrokenPipe`. What was written goes
/// out at the end of the turn. Dropping it lets go of the link.
pub struct Stream {
    link: Rc<Link>,
    shared: Rc<Shared>,
}

impl Stream {
    pub(super) fn new(link: Rc<Link>, shared: Rc<Shared>) -> Stream {
        Stream { link, shared }
    }

    /// Something to look at the link with, without holding it.
    #[must_use]
    pub fn watch(&self) -> LinkWatch {
        LinkWatch { link: self.link.clone(), shared: self.shared.clone() }
    }
}

impl Transport for Stream {
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.link.take(buffer, context.waker()).map_or(Poll::Pending, |count| Poll::Ready(Ok(count)))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.link.is_ended() || self.link.dropped.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.shared.write(&self.link, pieces, context.waker()).map_or(Poll::Pending, |count| Poll::Ready(Ok(count)))
    }

    fn is_hung_up(&self) -> bool {
        self.shared.is_hung_up(&self.link)
    }

    fn close(&mut self) {
        self.link.dropped.set(true);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stream").field("link", &self.link.number).finish()
    }
}
