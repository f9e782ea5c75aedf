//! What an app prints, on its way to a person's terminal.
//!
//! Into a pipe or a file every byte goes as it is. A terminal obeys what it is sent: an app could clear the
//! screen, overwrite what latch asks, or answer in the person's place (a terminal can be told to type). So only text,
//! line ends, tabs and colours pass; every other control is shown. `latch run --raw` turns this off.

use vat::shown::deceives;

use super::escape;

/// Ends every colour and attribute.
pub(crate) const PLAIN: &[u8] = b"\x1b[0m";

/// The attribute that hides text: an app could make a person answer a question that they do not see.
const CONCEAL: &[u8] = b"8";

/// A colour sequence is `ESC [`, then digits and separators, then `m`. Longer ones than this do not occur.
const COLOUR_MAX_BYTES: usize = 32;

/// Filters one stream; keeps what is cut off at the end of a chunk until the next.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    held: Vec<u8>,
    /// The last colour sequence that passed did not end all colours.
    coloured: bool,
}

impl Filter {
    /// The part of the stream so far that is safe to write now.
    pub(crate) fn pass(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let (safe, taken) = filter(&self.held, false);
        self.held.drain(..taken);
        self.note_colours(&safe);
        safe
    }

    /// What was held back, now that no more follows, and the end of all colours.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let (mut safe, _) = filter(&self.held, true);
        self.held.clear();
        self.note_colours(&safe);
        if std::mem::take(&mut self.coloured) {
            safe.extend_from_slice(PLAIN);
        }
        safe
    }

    fn note_colours(&mut self, safe: &[u8]) {
        if let Some(coloured) = leaves_colours(safe) {
            self.coloured = coloured;
        }
    }
}

/// Whether colours are left behind words that a filter has passed; None where none begin or end in them.
pub(crate) fn leaves_colours(safe: &[u8]) -> Option<bool> {
    let last = safe.iter().rposition(|byte| *byte == 0x1b)?;
    let sequence = &safe[last..];
    Some(!sequence.starts_with(PLAIN) && !sequence.starts_with(b"\x1b[m"))
}

/// The last byte of such words that is not part of a colour.
pub(crate) fn last_shown(safe: &[u8]) -> Option<u8> {
    let mut rest = safe;
    loop {
        let colour = rest.iter().rposition(|byte| *byte == 0x1b).filter(|start| {
            let sequence = &rest[*start..];
            sequence.iter().position(|byte| *byte == b'm') == Some(sequence.len() - 1)
        });
        match colour {
            Some(start) => rest = &rest[..start],
            None => return rest.last().copied(),
        }
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
            (2.., b'm') if hides(&bytes[2..index]) => return Step::Show(index + 1),
            (2.., b'm') => return Step::Pass(index + 1),
            _ => return Step::Show(1),
        }
    }
    Step::Wait
}

/// Whether one of the parameters is the attribute that hides text. Written with zeros in front it is the same.
fn hides(parameters: &[u8]) -> bool {
    parameters.split(|byte| matches!(byte, b';' | b':')).any(|parameter| {
        let zeros = parameter.iter().take_while(|digit| **digit == b'0').count();
        &parameter[zeros..] == CONCEAL
    })
}

fn character(bytes: &[u8]) -> Step {
    let window = &bytes[..bytes.len().min(4)];
    let Some(chunk) = window.utf8_chunks().next() else { return Step::Show(1) };
    match chunk.valid().chars().next() {
        Some(first) if deceives(first) => Step::Show(first.len_utf8()),
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
    fn nothing_is_hidden_and_colours_end_with_the_app() {
        assert_eq!(whole(b"\x1b[8mx"), "\\x1b[8mx");
        assert_eq!(whole(b"\x1b[1;08;31mx"), "\\x1b[1;08;31mx");
        assert_eq!(whole(b"\x1b[30;40mx"), "\x1b[30;40mx\x1b[0m");
        assert_eq!(whole(b"\x1b[31mx\x1b[0my"), "\x1b[31mx\x1b[0my");
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
