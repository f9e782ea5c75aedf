//! The controlling terminal, apart from standard input and output, which are the app's.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::screen::width_of;
use crate::output;
use crate::text::{escape, filter};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios};

/// A longer answer than this is none: a path of 4,096 bytes, with options.
const ANSWER_MAX_BYTES: usize = 8 * 1024;

/// For so long nothing may be typed before a question takes an answer. A person needs about a quarter of a second to see
/// that the screen has changed, and as long again to hold a finger that is on its way; twice that, because who types
/// slowly leaves half a second between two keys of an answer that was meant for somebody else.
const QUIET: Duration = Duration::from_secs(1);

/// The terminal on which a person can be asked.
#[derive(Debug)]
pub(crate) struct Tty {
    terminal: Arc<OwnedFd>,
}

impl Tty {
    /// None where there is no terminal, or this process is not in its foreground.
    pub(crate) fn open() -> Option<Self> {
        // What was typed can be gone between the word that it is there and the reading: an interrupt throws it away. Nobody
        // waits in the reading then. The flag is this opening's own, and no other user's of the terminal.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty()).ok()?;
        let foreground = rustix::termios::tcgetpgrp(&terminal).ok()?;
        (foreground == rustix::process::getpgrp()).then(|| Self { terminal: Arc::new(terminal) })
    }

    /// Shows text, which the caller has escaped, as the system's own, no line wider than the terminal: whatever colours an
    /// app has left behind, hidden text above all, end here, and so does its line.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        self.write(filter::PLAIN)?;
        self.write(&output::fresh())?;
        let text = width_of(&self.terminal).map_or_else(|| text.to_owned(), |width| escape::wrapped(text, width));
        self.write(text.as_bytes())
    }

    fn write(&self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match rustix::io::write(&self.terminal, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let _ = poll(&mut [PollFd::new(&*self.terminal, PollFlags::OUT)], None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns when nothing has been typed for a while, and what was is thrown away: it was meant for what was on the
    /// screen before. A terminal tells of whole lines; each starts the time anew, and what is begun goes at its end.
    pub(crate) async fn settle(&self) {
        loop {
            self.discard_input();
            tokio::time::sleep(QUIET).await;
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            let mut watched = [PollFd::new(&*self.terminal, PollFlags::IN)];
            // A terminal that has gone is noticed by who asks.
            if poll(&mut watched, Some(&now)).is_err() || watched[0].revents() != PollFlags::IN {
                return;
            }
        }
    }

    fn discard_input(&self) {
        let _ = rustix::termios::tcflush(&self.terminal, QueueSelector::IFlush);
    }

    /// Reads one line; None at the end of input. What was typed before the question is thrown away: it cannot be an
    /// answer. Dropping the future ends the reading.
    pub(crate) async fn ask(&self, cue: &str) -> io::Result<Option<String>> {
        self.discard_input();
        self.show(cue)?;
        let terminal = Arc::clone(&self.terminal);
        let (asking, asked) = UnixStream::pair()?;
        let line = tokio::task::spawn_blocking(move || read_line(&terminal, &asked)).await;
        drop(asking);
        line.map_err(io::Error::other)?
    }

    /// The same without showing what is typed.
    pub(crate) async fn ask_hidden(&self, cue: &str) -> io::Result<Option<String>> {
        let before = rustix::termios::tcgetattr(&self.terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        let shown_again = Hidden { terminal: &self.terminal, before };
        rustix::termios::tcsetattr(&self.terminal, OptionalActions::Flush, &hidden)?;
        let answer = self.ask(cue).await;
        drop(shown_again);
        // The end of the line was not shown either.
        self.write(b"\n")?;
        answer
    }
}

/// Shows again what is typed, whatever becomes of who asked.
struct Hidden<'a> {
    terminal: &'a OwnedFd,
    before: Termios,
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing either way.
        let _ = rustix::termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Reads up to the end of a line, for as long as the other end of `asked` lives.
fn read_line(terminal: &impl AsFd, asked: &UnixStream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        let mut watched = [PollFd::new(terminal, PollFlags::IN), PollFd::new(asked, PollFlags::IN)];
        match poll(&mut watched, None) {
            Err(Errno::INTR) => continue,
            result => drop(result?),
        }
        if !watched[1].revents().is_empty() {
            return Ok(None);
        }
        match rustix::io::read(terminal, &mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte[0] == b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Ok(_) if line.len() < ANSWER_MAX_BYTES => line.push(byte[0]),
            Ok(_) => return Err(io::Error::other("the answer is too long")),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn one_line_is_read_and_no_more() {
        let (terminal, mut person) = UnixStream::pair().unwrap();
        let (_asking, asked) = UnixStream::pair().unwrap();
        person.write_all(b"./docs\nnext").unwrap();
        assert_eq!(read_line(&terminal, &asked).unwrap().as_deref(), Some("./docs"));
        person.write_all(b"\n").unwrap();
        assert_eq!(read_line(&terminal, &asked).unwrap().as_deref(), Some("next"));
        drop(person);
        assert_eq!(read_line(&terminal, &asked).unwrap(), None);
    }

    #[test]
    fn a_question_that_is_withdrawn_reads_no_more() {
        let (terminal, _person) = UnixStream::pair().unwrap();
        let (asking, asked) = UnixStream::pair().unwrap();
        drop(asking);
        assert_eq!(read_line(&terminal, &asked).unwrap(), None);
    }

    #[test]
    fn an_endless_answer_is_none() {
        let (terminal, mut person) = UnixStream::pair().unwrap();
        let (_asking, asked) = UnixStream::pair().unwrap();
        person.write_all(&vec![b'x'; ANSWER_MAX_BYTES + 1]).unwrap();
        assert!(read_line(&terminal, &asked).is_err());
    }
}
