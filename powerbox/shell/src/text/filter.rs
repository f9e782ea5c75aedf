//! What an app prints, on its way to a person's terminal.
//!
//! Into a pipe or a file every byte goes as it is. A terminal obeys what it is sent: an app could clear the
//! screen, overwrite what latch asks, or answer in the person's place (a terminal can be told to type). So only text,
//! line ends, tabs and colours pass; every other control is shown. `latch run --raw` turns this off.

use super::escape;

/// A colour sequence is `ESC [`, then digits and separators, then `m`. Longer ones than this do not occur.
const COLOUR_MAX_BYTES: usize = 32;

/// Filters one stream; keeps what is cut off at the end of a chunk until the next.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    held: Vec<u8>,
}

impl Filter {
    /// The part of the stream so far that is safe to write now.
    pub(crate) fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let (safe, taken) = filter(&self.held, false);
        self.held.drain(..taken);
        safe
    }

    /// What was held back, now that no more follows.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let (safe, _) = filter(&self.held, true);
        self.held.clear();
        safe
    }
}

enum Step {
    /// That many bytes pass as they are.
    Pass(usize),
    /// That many bytes are shown escaped.
    Show(usize),
    /// Whether they pass depends on bytes that have not come.
    Wait,
}

fn filter(bytes: &[u8], last: bool) -> (Vec<u8>, usize) {
    let mut safe = Vec::with_capacity(bytes.len());
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match step(rest) {
            Step::Pass(count) => {
                safe.extend_from_slice(&rest[..count]);
                taken += count;
            }
            Step::Wait if !last => break,
            Step::Show(_) | Step::Wait => {
                let count = if let Step::Show(count) = step(rest) { count } else { 1 };
                safe.extend_from_slice(escape::bytes(&rest[..count]).as_bytes());
                taken += count;
            }
        }
    }
    (safe, taken)
}

fn step(bytes: &[u8]) -> Step {
    match bytes[0] {
        b'\n' | b'\r' | b'\t' | 0x20..=0x7e => Step::Pass(1),
        0x1b => colour(bytes),
        0x00..=0x7f => Step::Show(1),
        _ => character(bytes),
    }
}

fn colour(bytes: &[u8]) -> Step {
    for (index, byte) in bytes.iter().enumerate().skip(1) {
        match (index, byte) {
            (1, b'[') => {}
            (2.., b'0'..=b'9' | b';' | b':') if index < COLOUR_MAX_BYTES => {}
            (2.., b'm') => return Step::Pass(index + 1),
            _ => return Step::Show(1),
        }
    }
    Step::Wait
}

fn character(bytes: &[u8]) -> Step {
    let window = &bytes[..bytes.len().min(4)];
    let Some(chunk) = window.utf8_chunks().next() else { return Step::Show(1) };
    match chunk.valid().chars().next() {
        Some(first) if escape::is_hostile(first) => Step::Show(first.len_utf8()),
        Some(first) => Step::Pass(first.len_utf8()),
        // A character that is not complete may become so, if nothing that cannot belong to it follows.
        None if chunk.invalid().len() == window.len() && window.len() < 4 && may_grow(window) => Step::Wait,
        None => Step::Show(1),
    }
}

fn may_grow(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> String {
        let mut filter = Filter::default();
        let mut safe = filter.pass(bytes);
        safe.extend(filter.finish());
        String::from_utf8(safe).unwrap()
    }

    fn by_byte(bytes: &[u8]) -> String {
        let mut filter = Filter::default();
        let mut safe: Vec<u8> = bytes.iter().flat_map(|byte| filter.pass(&[*byte])).collect();
        safe.extend(filter.finish());
        String::from_utf8(safe).unwrap()
    }

    #[test]
    fn text_and_colours_pass() {
        let text = "src/a.rs:\u{1b}[1;31mmatch\u{1b}[0m é東\r\n\tx\n";
        assert_eq!(whole(text.as_bytes()), text);
    }

    #[test]
    fn what_steers_the_terminal_is_shown() {
        assert_eq!(whole(b"\x1b[2J\x1b]0;t\x07\x08\xc2\x9b"), "\\x1b[2J\\x1b]0;t\\x07\\x08\\u{9b}");
        assert_eq!(whole(b"\x1b[6n"), "\\x1b[6n");
    }

    #[test]
    fn chunks_make_no_difference() {
        let cases: [&[u8]; 6] = [
            b"\x1b[1;31mred\x1b[0m",
            "é東🦀".as_bytes(),
            b"\xff\xfe\xc3",
            b"\x1b[",
            b"\xf0\x9f\xa6",
            b"a\x1b[2Jb\xe2\x80\xae",
        ];
        for case in cases {
            assert_eq!(by_byte(case), whole(case), "{case:?}");
        }
    }

    #[test]
    fn an_endless_colour_is_no_colour() {
        let endless = [b"\x1b[".as_slice(), &[b'1'; 100]].concat();
        let mut filter = Filter::default();
        assert!(filter.pass(&endless).starts_with(b"\\x1b[111"));
    }
}
