//! Prints rows for programs. What the rows hold is described in [`crate::rows`].

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use vat::shown::deceives;

use crate::failure::{Failure, Outcome};

/// One value on one line of standard output.
pub(crate) fn print<T: Serialize + ?Sized>(value: &T) -> Outcome {
    let mut line = encode(value).map_err(|error| Failure::new("cannot write JSON").because(error))?;
    line.push(b'\n');
    crate::output::bytes(&line)
}

/// Tells what was done: people in words, programs in JSON.
pub(crate) fn done<T: Serialize + ?Sized>(json: bool, words: &str, value: &T) -> Outcome {
    if json { print(value) } else { crate::output::line(words) }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut line, Harmless))?;
    Ok(line)
}

/// JSON leaves DEL, the C1 controls and the characters that reorder text as they are; a person may look at it all the same.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0; 2];
        let mut start = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| deceives(*character)) {
            writer.write_all(&fragment.as_bytes()[start..at])?;
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            start = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[start..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_and_steers_nothing() {
        let text = "a\u{1b}[2J\u{7f}é\u{9b}\u{202e}東\u{e0041}\"\\\n";
        let line = encode(text).unwrap();
        assert_eq!(serde_json::from_slice::<String>(&line).unwrap(), text);
        assert!(!std::str::from_utf8(&line).unwrap().chars().any(deceives));
    }
}
