//! Standard output and standard error. When whoever reads the first has gone (`latch log | head`), latch ends as other
//! tools do.
//!
//! Everything that latch says itself goes through here: on a terminal no line is wider than it, so that nobody's words
//! begin one, and it starts on a fresh line in plain colours, whatever an app or a file has left there. JSON and pipes
//! are never touched.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::fd::AsFd;

use crate::failure::{Doing as _, Outcome};
use crate::terminal::screen::{Screen, width_of};
use crate::text::escape;

/// What a shell reports for a process that SIGPIPE ended: 128 + 13.
const EXIT_BROKEN_PIPE: i32 = 141;

/// The one terminal that standard output and standard error usually are, as the locks of those are one for a process:
/// whoever writes on it holds this meanwhile.
static SCREEN: Mutex<Screen> = Mutex::new(Screen::new());

/// Writes bytes as they are and flushes them.
pub(crate) fn bytes(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    check(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes lines, which the caller has escaped.
pub(crate) fn text(text: &str) -> Outcome {
    check(own(&mut io::stdout(), text))
}

/// Writes one line, which the caller has escaped.
pub(crate) fn line(line: &str) -> Outcome {
    text(&format!("{line}\n"))
}

/// Tells something on standard error; the caller has escaped it.
pub(crate) fn error(words: &str) {
    // Where nobody reads it any more, the exit code still says it.
    let _ = own(&mut io::stderr(), &format!("{words}\n"));
}

/// Writes somebody else's words, which are filtered where they go to a terminal.
pub(crate) fn others(to: &mut impl Write, words: &[u8]) -> io::Result<()> {
    let mut screen = screen();
    screen.note(words);
    to.write_all(words).and_then(|()| to.flush())
}

/// Bytes that take the terminal to a fresh line in plain colours, for whoever writes on it in another way.
pub(crate) fn fresh() -> Vec<u8> {
    screen().fresh()
}

/// Ctrl-C was pressed: the terminal shows it.
pub(crate) fn interrupted() {
    screen().note(b"^C");
}

/// The process ends: nobody else's words follow, nor are their colours left.
pub(crate) fn close() {
    let mut screen = match SCREEN.try_lock() {
        Ok(screen) => screen,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Somebody waits for a terminal that takes nothing.
        Err(TryLockError::WouldBlock) => return,
    };
    let plain = screen.plain();
    // The process ends, and so does whoever could be told.
    let _ = if io::stdout().is_terminal() { put(&mut io::stdout(), plain) } else { put(&mut io::stderr(), plain) };
    std::mem::forget(screen);
}

/// Ends the process if the reader has gone; other errors are told.
pub(crate) fn check(result: io::Result<()>) -> Outcome {
    if matches!(&result, Err(error) if error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(EXIT_BROKEN_PIPE);
    }
    result.doing(|| "cannot write to standard output".to_owned())
}

/// Writes latch's own words.
fn own(to: &mut (impl Write + AsFd), words: &str) -> io::Result<()> {
    let Some(width) = width_of(&*to) else { return put(to, words.as_bytes()) };
    let mut screen = screen();
    let mut bytes = screen.fresh();
    bytes.extend_from_slice(escape::wrapped(words, width).as_bytes());
    put(to, &bytes)
}

fn put(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).and_then(|()| to.flush())
}

fn screen() -> MutexGuard<'static, Screen> {
    // What it knows is whole whatever the holder did.
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}
