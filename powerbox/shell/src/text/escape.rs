//! Text that came from outside, made safe to show.
//!
//! An app's reason, a file's name or a package's description may hold bytes that move the cursor, change the
//! window's title, or turn the reading order around. None of them reaches the terminal: each is shown as what it is.
//! The powerbox escapes too; escaping twice changes nothing.

use std::fmt::Write as _;

use vat::shown::deceives;

/// One line of text: control characters and characters that reorder or hide text are written as `\x1b` or `\u{202e}`.
pub(crate) fn line(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        push(&mut safe, character);
    }
    safe
}

/// Somebody else's words, in quotes that they cannot close, without runs of spaces that would push them into a line of
/// their own.
pub(crate) fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    format!("\"{}\"", line(&words.join(" ")).replace('"', "\\\""))
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

/// Shortens to `width` characters, with `…` as the last.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
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
        _ if !deceives(character) => safe.push(character),
        _ if u32::from(character) < 0x80 => push_byte(safe, character as u8),
        _ => {
            // Writing into a String cannot fail.
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        }
    }
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
    fn shortening_keeps_the_width() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("abcd", 4), "abcd");
        assert_eq!(shorten("abcd", 0), "");
    }
}
