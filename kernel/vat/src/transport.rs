//! What carries a link: bytes in order, both ways.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

/// One end of a byte stream. Nothing here blocks: what cannot go on now is pending, and the context's waker is called
/// when it can.
pub trait Transport: 'static {
    /// Reads some bytes. 0 bytes, or an error: nothing more follows.
    ///
    /// # Errors
    /// Those of the stream; a link that has failed once is not read again.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes some of the bytes, from the first piece on. Returns how many were taken, at least one.
    ///
    /// # Errors
    /// Those of the stream; a link that has failed once is not written again.
    fn poll_write(&mut self, context: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Whether the link was cut or the other end is gone, as of now. It never suspends and does not depend on having
    /// read what came before: it is asked before each call is started.
    fn is_hung_up(&self) -> bool;

    /// Lets go of the link, both ways.
    fn close(&mut self);
}
