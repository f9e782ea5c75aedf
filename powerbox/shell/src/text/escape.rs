//! Text that came from outside, made safe to show.
//!
//! An app's reason, a file's name or a package's description may hold bytes that move the cursor, change the
//! window's title, or turn the reading order around. None of them reaches the terminal: each is shown as what it is.
//! The powerbox escapes too; escaping twice changes nothing.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use vat::shown::{is_disguised, is_quote, one_line};

/// One line of text: control characters and characters that reorder or hide text are written as `\x1b` or `\u{202e}`.
pub(crate) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        push(&mut safe, character);
    }
    safe
}

/// Somebody else's words, in quotes that they cannot close, without runs of blanks that would push them into a line of
/// their own.
pub(crate) fn quoted(text: &str) -> String {
    let mut safe = String::from("\"");
    for character in one_line(text).chars() {
        match character {
            '"' => safe.push_str("\\\""),
            _ if is_quote(character) => push_code(&mut safe, character),
            _ => push(&mut safe, character),
        }
    }
    safe.push('"');
    safe
}

/// Begins each line but the first of words that were broken.
const CONTINUATION: &str = "        | ";

/// Text of several lines, with those that are wider than a terminal broken so that what is left over stands apart: no
/// words can make a line that looks like one of latch's own.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| *width > 2 * CONTINUATION.len()) else { return text.to_owned() };
    let mut broken = String::with_capacity(text.len());
    let mut column = 0;
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if character == '\n' {
            column = 0;
        } else if column + columns > width {
            broken.push('\n');
            broken.push_str(CONTINUATION);
            column = CONTINUATION.len() + columns;
        } else {
            column += columns;
        }
        broken.push(character);
    }
    broken
}

/// A word as it is typed in a command line: in quotes where a shell would take it apart.
pub(crate) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-,=+#".contains(&byte);
    let is_plain = !text.is_empty() && !text.starts_with('#') && text.bytes().all(plain);
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A path.
pub(crate) fn path(path: &std::path::Path) -> String {
    bytes(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// Bytes that are usually UTF-8, such as a file's name. Others are written as `\xff`.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push(&mut safe, character));
        for byte in chunk.invalid() {
            push_byte(&mut safe, *byte);
        }
    }
    safe
}

/// How many columns of a terminal a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// Shortens to `width` columns, with `…` as the last.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut column = 0;
    for character in text.chars() {
        column += character.width().unwrap_or(0);
        if column >= width {
            break;
        }
        short.push(character);
    }
    if width > 0 {
        short.push('…');
    }
    short
}

fn push(safe: &mut String, character: char) {
    match character {
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        '\t' => safe.push_str("\\t"),
        _ if !is_disguised(character) => safe.push(character),
        _ if u32::from(character) < 0x80 => push_byte(safe, character as u8),
        _ => push_code(safe, character),
    }
}

/// `\u{202e}`
fn push_code(safe: &mut String, character: char) {
    // Writing into a String cannot fail.
    let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
}

/// `\x1b`
pub(crate) fn push_byte(safe: &mut String, byte: u8) {
    let _ = write!(safe, "\\x{byte:02x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_to_a_shell() {
        assert_eq!(word("folder=host:./docs,ro"), "folder=host:./docs,ro");
        assert_eq!(word("search#2"), "search#2");
        for (text, shown) in [("", "''"), ("#12", "'#12'"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")] {
            assert_eq!(word(text), shown);
        }
    }

    #[test]
    fn quoted_words_stay_in_their_quotes() {
        assert_eq!(quoted("to look\"      latch: trusted"), r#""to look\" latch: trusted""#);
        let blanks = "\u{a0}\u{2003}\u{202f}\u{205f}\u{2800}\u{3000}\n\t";
        assert_eq!(quoted(&format!("to look”{blanks}latch:")), r#""to look\u{201d} latch:""#);
    }

    #[test]
    fn plain_text_stays() {
        assert_eq!(line("Ærøskøbing 東京 a\\b"), "Ærøskøbing 東京 a\\b");
    }

    #[test]
    fn what_steers_a_terminal_is_shown() {
        assert_eq!(
            line("a\u{1b}]0;owned\u{7}b\r\nc\td\u{7f}\u{9b}2J"),
            "a\\x1b]0;owned\\x07b\\r\\nc\\td\\x7f\\u{9b}2J"
        );
    }

    #[test]
    fn what_reorders_text_is_shown() {
        assert_eq!(line("a\u{3164}b\u{115f}c\u{fe0f}"), "a\\u{3164}b\\u{115f}c\\u{fe0f}");
        assert_eq!(line("invoice\u{202e}fdp.exe\u{2066}\u{200b}"), "invoice\\u{202e}fdp.exe\\u{2066}\\u{200b}");
        assert_eq!(line("a\u{3164}b\u{115f}c\u{fe0f}"), "a\\u{3164}b\\u{115f}c\\u{fe0f}");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_place() {
        assert_eq!(bytes(b"a\xff\xc3\xa9\x1b\x9b"), "a\\xff\u{e9}\\x1b\\x9b");
    }

    #[test]
    fn escaping_twice_changes_nothing() {
        let once = line("\u{1b}[31m\u{202e}");
        assert_eq!(line(&once), once);
    }

    #[test]
    fn a_blank_in_a_name_is_seen() {
        assert_eq!(line("a\u{3000}b\u{a0}c d"), "a\\u{3000}b\\u{a0}c d");
    }

    #[test]
    fn what_is_wider_than_the_terminal_stands_apart() {
        let text = wrapped(&format!("short\n{}\n", "東".repeat(26)), Some(24));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, ["short", &"東".repeat(12), "        | 東東東東東東東", "        | 東東東東東東東"]);
        assert!(lines.iter().all(|line| columns(line) <= 24));
        assert_eq!(wrapped("ab", None), "ab");
    }

    #[test]
    fn shortening_keeps_the_width() {
        assert_eq!(shorten("東東東", 5), "東東…");
        assert_eq!(shorten("東東東", 4), "東…");
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("abcd", 4), "abcd");
        assert_eq!(shorten("abcd", 0), "");
    }
}
