//! Text that came from outside, made safe to show.
//!
//! An app's reason, a file's name or a package's description may hold bytes that move the cursor, change the
//! window's title, or turn the reading order around. None of them reaches the terminal: each is shown as what it is.
//! The powerbox escapes too; escaping twice changes nothing.

use std::fmt::Write as _;

use std::sync::LazyLock;

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
    for (at, character) in one_line(text).char_indices() {
        match character {
            '"' => safe.push_str("\\\""),
            // It would be drawn over the quote.
            _ if at == 0 && character.width() == Some(0) => push_code(&mut safe, character),
            _ if is_quote(character) => push_code(&mut safe, character),
            _ => push(&mut safe, character),
        }
    }
    safe.push('"');
    safe
}

/// Begins each line but the first of words that were broken: the first of these that leaves half of the line or more.
const CONTINUATIONS: [&str; 3] = ["        | ", "| ", ""];

/// Text of several lines, with those that are wider than a terminal of `width` columns broken so that what is left over
/// stands apart: no words can make a line that looks like one of latch's own.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let continuation = CONTINUATIONS.into_iter().find(|mark| 2 * mark.len() <= width).unwrap_or_default();
    let mut broken = String::with_capacity(text.len());
    let mut column = 0;
    // Behind the last blank of this line: where in the text, and in which column.
    let mut word = (0, 0);
    for character in text.chars() {
        let columns = columns_of(character, *EAST_ASIAN);
        if character == '\n' {
            (column, word) = (0, (0, 0));
        } else if column > 0 && column + columns > width {
            let (at, before) = if keeps_words(width, word.1) { word } else { (broken.len(), column) };
            broken.insert_str(at, continuation);
            broken.insert(at, '\n');
            column = continuation.len() + column - before + columns;
            word = (0, 0);
        } else {
            column += columns;
        }
        broken.push(character);
        if character == ' ' {
            word = (broken.len(), column);
        }
    }
    broken
}

/// Whether a line is broken before its last word, which begins in that column: where it stays full enough, and what goes
/// to the next is sure to fit there.
fn keeps_words(width: usize, column: usize) -> bool {
    const WIDE_ENOUGH: usize = 40;
    width >= WIDE_ENOUGH && column >= width / 3 * 2
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

/// A path within a sentence: [`name`].
pub(crate) fn path_name(path: &std::path::Path) -> String {
    name(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// An object within a sentence: where it is a folder, its path is somebody's words.
pub(crate) fn object(object: &str) -> String {
    if object.starts_with("host:") { name(object.as_bytes()) } else { line(object) }
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

/// A file's name or path within text for people. One that a shell would take apart is in quotes, as GNU `ls` has it on a
/// terminal: where it begins and ends is seen, whatever blanks and quotes are in it.
pub(crate) fn name(name: &[u8]) -> String {
    let shown = bytes(name);
    let text = String::from_utf8_lossy(name);
    let special = |character: char| character == ' ' || "'\"`\\$&*()|;<>?[]{}!".contains(character);
    if !text.is_empty() && !text.starts_with(['#', '~']) && !text.contains(special) {
        return shown;
    }
    format!("'{}'", shown.replace('\'', "'\\''"))
}

/// Whether the person's language is one for which terminals are set to show more than ideographs two columns wide.
static EAST_ASIAN: LazyLock<bool> = LazyLock::new(|| {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    ["zh", "ja", "ko"].iter().any(|language| locale.starts_with(language))
});

/// How many columns of a terminal a character takes: the most that any terminal is known to give it, but for those that
/// show wide what their own settings call ambiguous, which is counted in `east_asian` languages only. Terminals do not
/// agree, and nobody can ask them; words that end before they must do no harm, those that go on past the end of a line
/// begin the next.
fn columns_of(character: char, east_asian: bool) -> usize {
    // Scripts of East Asia with their tone marks and circled numbers, which C libraries count as two; flags, emoji and
    // the scripts beside them that a Unicode newer than the table's may have made wide.
    let may_be_wide = matches!(character,
        '\u{2e80}'..='\u{a4cf}' | '\u{16fe0}'..='\u{1b2ff}' | '\u{1f000}'..='\u{1faff}');
    let least = match character {
        ' '..='~' => return 1,
        // Some combining characters go beside the one before: to C libraries a vowel sign of Bengali has a column.
        _ if east_asian || may_be_wide || may_be_emoji(character) => 2,
        _ => 1,
    };
    character.width().unwrap_or(0).max(least)
}

/// Whether it has a form as an emoji, which some terminals show unasked.
fn may_be_emoji(character: char) -> bool {
    const AS_EMOJI: char = '\u{fe0f}';
    character.width() == Some(1) && String::from_iter([character, AS_EMOJI]).width() > 1
}

/// How many columns of a terminal a text takes, at most.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|character| columns_of(character, *EAST_ASIAN)).sum()
}

/// Shortens to `width` columns, with `…` as the last.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    const MORE: char = '…';
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns_of(MORE, *EAST_ASIAN));
    let mut short = String::new();
    let mut column = 0;
    for character in text.chars() {
        column += columns_of(character, *EAST_ASIAN);
        if column > room {
            break;
        }
        short.push(character);
    }
    if width > 0 {
        short.push(MORE);
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
        let text = wrapped(&format!("short\n{}\n", "東".repeat(26)), 24);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines, ["short", &"東".repeat(12), "        | 東東東東東東東", "        | 東東東東東東東"]);
        assert!(lines.iter().all(|line| columns(line) <= 24));
    }

    #[test]
    fn no_terminal_is_too_narrow_to_break_a_line() {
        let words = format!("{}latch: granted", "q".repeat(20));
        assert_eq!(wrapped(&words, 20), format!("{}\n        | latch: gra\n        | nted", "q".repeat(20)));
        for width in 1..60 {
            let text = wrapped(&words, width);
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            assert!(columns(first) <= width && rest.lines().all(|line| columns(line) <= width), "{text}");
            assert!(width < 4 || rest.lines().all(|line| line.trim_start().starts_with("| ")), "{text}");
        }
        assert_eq!(wrapped("東東", 1), "東\n東", "which has no room for any");
    }

    #[test]
    fn a_line_is_broken_between_words_where_that_leaves_it_full() {
        let text = "the words of latch stay whole, where they can be read";
        assert_eq!(wrapped(text, 40), "the words of latch stay whole, where \n        | they can be read");
        let text = format!("a {}", "b".repeat(90));
        assert_eq!(
            wrapped(&text, 40),
            format!("a {0}{1}        | {2}{1}        | {3}", "b".repeat(38), '\n', "b".repeat(30), "b".repeat(22))
        );
        for width in 1..90 {
            let text = wrapped(&"aa bbbb 東東 ccccccccccccccc d ".repeat(9), width);
            assert!(text.lines().all(|line| columns(line) <= width.max(2)), "{width}: {text}");
        }
    }

    #[test]
    fn no_character_is_taken_for_narrower_than_a_terminal_shows_it() {
        // Vowel signs that have a column in glibc, marks that have none, emoji that tmux shows wide, flags.
        for (character, most) in [
            ('\u{9be}', 1),
            ('\u{d3e}', 1),
            ('\u{301}', 1),
            ('\u{261d}', 2),
            ('\u{270c}', 2),
            ('\u{1f1e6}', 2),
            ('\u{302e}', 2),
            ('\u{3248}', 2),
            ('東', 2),
        ] {
            assert_eq!(columns_of(character, false), most, "{character:?}");
        }
        assert!("aé—“я…".chars().all(|character| columns_of(character, false) == 1));
        assert_eq!("aé—я…".chars().map(|character| columns_of(character, true)).collect::<Vec<_>>(), [1, 2, 2, 2, 2]);
        let words = format!("{}latch: checked", "\u{9be}".repeat(35));
        assert_eq!(wrapped(&words, 40), format!("{}latch\n        | : checked", "\u{9be}".repeat(35)));
    }

    #[test]
    fn where_a_name_begins_and_ends_is_seen() {
        for (written, shown) in [
            ("notes.txt", "notes.txt"),
            ("Größe-東.txt", "Größe-東.txt"),
            ("trail ", "'trail '"),
            (" ", "' '"),
            ("", "''"),
            ("'trail '", r"''\''trail '\'''"),
            ("a (read-only) as \"docs\"", "'a (read-only) as \"docs\"'"),
            ("a\nb", "a\\nb"),
            ("a\\nb", "'a\\nb'"),
            ("a\u{3000}", "a\\u{3000}"),
            ("#12", "'#12'"),
        ] {
            assert_eq!(name(written.as_bytes()), shown);
        }
        assert_eq!(name(b"\xff "), "'\\xff '");
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
