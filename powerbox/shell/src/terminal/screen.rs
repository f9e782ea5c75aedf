//! What is on the terminal: how wide it is, and what the words of others have left there.

use rustix::fd::AsFd;

use crate::text::filter::{self, PLAIN};

/// How wide a terminal is that does not tell.
const USUAL_COLUMNS: usize = 80;

/// How many columns a terminal has; None where this is none.
pub(crate) fn width_of(terminal: impl AsFd) -> Option<usize> {
    if !rustix::termios::isatty(&terminal) {
        return None;
    }
    let told = rustix::termios::tcgetwinsize(terminal).map_or(0, |size| size.ws_col);
    Some(if told == 0 { USUAL_COLUMNS } else { usize::from(told) })
}

/// What an app's output, or a file's, has left on the terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    coloured: bool,
    within_line: bool,
}

impl Screen {
    pub(crate) const fn new() -> Self {
        Self { coloured: false, within_line: false }
    }

    /// These words are shown.
    pub(crate) fn note(&mut self, words: &[u8]) {
        if let Some(coloured) = filter::leaves_colours(words) {
            self.coloured = coloured;
        }
        // Colours are behind the last line's end where the words after it are none.
        if let Some(last) = filter::last_shown(words) {
            self.within_line = last != b'\n';
        }
    }

    /// Ends the colours that were left.
    pub(crate) fn plain(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.coloured) { PLAIN } else { b"" }
    }

    /// Ends the colours, and the line, that were left.
    pub(crate) fn fresh(&mut self) -> Vec<u8> {
        let end: &[u8] = if std::mem::take(&mut self.within_line) { b"\n" } else { b"" };
        [self.plain(), end].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_left_ends_before_latch_speaks() {
        let fresh = |pieces: &[&str]| {
            let mut screen = Screen::new();
            pieces.iter().for_each(|piece| screen.note(piece.as_bytes()));
            String::from_utf8(screen.fresh()).unwrap()
        };
        assert_eq!(fresh(&[]), "");
        assert_eq!(fresh(&["a\n"]), "");
        assert_eq!(fresh(&["a"]), "\n");
        assert_eq!(fresh(&["a\r"]), "\n", "what stands there would show behind latch's words");
        assert_eq!(fresh(&["a\n\u{1b}[31;44m"]), "\u{1b}[0m");
        assert_eq!(fresh(&["\u{1b}[31m", "a", "\n"]), "\u{1b}[0m");
        assert_eq!(fresh(&["\u{1b}[31ma\u{1b}[0m"]), "\n");
        assert_eq!(fresh(&["a", "\u{1b}[0m"]), "\n");
    }

    #[test]
    fn it_is_told_once() {
        let mut screen = Screen::new();
        screen.note(b"\x1b[31ma");
        assert_eq!(screen.plain(), PLAIN);
        assert_eq!(screen.fresh(), b"\n");
        assert_eq!(screen.fresh(), b"");
    }

    #[test]
    fn a_pipe_has_no_width() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(width_of(&reader), None);
    }
}
