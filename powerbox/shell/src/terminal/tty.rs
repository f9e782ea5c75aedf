//! The controlling terminal, apart from standard input and output, which are the app's.

use std::io;

use rustix::fs::{Mode, OFlags};
use rustix::termios::QueueSelector;
use tokio::io::unix::AsyncFd;

/// A longer answer than this is none: a path of 4,096 bytes, with options.
const ANSWER_MAX_BYTES: usize = 8 * 1024;

/// The terminal on which a person can be asked.
#[derive(Debug)]
pub(crate) struct Tty {
    terminal: AsyncFd<rustix::fd::OwnedFd>,
}

impl Tty {
    /// None where there is no terminal, or this process is not in its foreground.
    pub(crate) fn open() -> Option<Self> {
        // Non-blocking is a property of this opening only: standard input stays as it is.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
        let terminal = Self { terminal: AsyncFd::new(terminal).ok()? };
        terminal.in_foreground().then_some(terminal)
    }

    /// Whether what is typed comes to this process.
    pub(crate) fn in_foreground(&self) -> bool {
        let foreground = rustix::termios::tcgetpgrp(&self.terminal);
        foreground.is_ok_and(|group| group == rustix::process::getpgrp())
    }

    /// Shows text, which the caller has escaped.
    pub(crate) async fn show(&self, text: &str) -> io::Result<()> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let mut ready = self.terminal.writable().await?;
            let written = ready.try_io(|terminal| Ok(rustix::io::write(terminal, rest)?));
            match written {
                Ok(count) => rest = &rest[count?..],
                Err(_would_block) => {}
            }
        }
        Ok(())
    }

    /// Reads one line; None at the end of input. What was typed before the question is thrown away: it cannot be an answer.
    pub(crate) async fn ask(&self, cue: &str) -> io::Result<Option<String>> {
        let _ = rustix::termios::tcflush(&self.terminal, QueueSelector::IFlush);
        self.show(cue).await?;
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            let mut ready = self.terminal.readable().await?;
            let read = ready.try_io(|terminal| Ok(rustix::io::read(terminal, &mut byte)?));
            match read {
                Err(_would_block) => {}
                Ok(Ok(0)) => return Ok(None),
                Ok(Ok(_)) if byte[0] == b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
                Ok(Ok(_)) if line.len() < ANSWER_MAX_BYTES => line.push(byte[0]),
                Ok(Ok(_)) => return Err(io::Error::other("the answer is too long")),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }

}
