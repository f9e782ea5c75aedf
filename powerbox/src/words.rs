//! Words of apps and authors before they reach a person: nothing in them may act on a terminal, hide, or turn the
//! direction of what stands beside them. Whatever is not plain shows as a visible escape.

use vat::shown::{is_disguised, is_quote, one_line};

/// The text with every character that could deceive written as `\u{…}`, and at most `limit` characters of it. What was
/// left out shows as "…".
#[must_use]
pub fn plain(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit * 4));
    let mut count = 0;
    for character in text.chars() {
        let width = if is_disguised(character) { character.escape_unicode().count() } else { 1 };
        if count + width > limit {
            shown.push('…');
            break;
        }
        count += width;
        if is_disguised(character) { shown.extend(character.escape_unicode()) } else { shown.push(character) }
    }
    shown
}

/// An app's or an author's words, for one line: [`plain`], with every run of blanks as one space.
#[must_use]
pub fn phrase(text: &str, limit: usize) -> String {
    plain(&one_line(text), limit)
}

/// The same within quotes, which nothing in them closes.
#[must_use]
pub fn quoted(text: &str, limit: usize) -> String {
    let mut shown = String::from("“");
    for character in phrase(text, limit).chars() {
        if is_quote(character) && character != '"' {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown.push('”');
    shown
}

/// An app's reason.
pub const REASON_LIMIT: usize = 300;
/// An app's hint, an author's own name, a description.
pub const PHRASE_LIMIT: usize = 200;
/// A name that a person gives, or a file system's name: a path.
pub const PATH_LIMIT: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_as_they_are() {
        for text in ["the folder to search in", "Größe — 検索 🙂", ""] {
            assert_eq!(plain(text, 300), text);
        }
    }

    #[test]
    fn terminal_escapes_become_visible() {
        let shown = plain("ok\u{1b}[2J\u{7}\r\n\u{9b}31m", 300);
        assert_eq!(shown, "ok\\u{1b}[2J\\u{7}\\u{d}\\u{a}\\u{9b}31m");
        assert!(!shown.chars().any(char::is_control));
    }

    #[test]
    fn direction_and_invisible_characters_become_visible() {
        let shown = plain("a\u{202e}b\u{200b}c\u{2066}d\u{feff}", 300);
        assert_eq!(shown, "a\\u{202e}b\\u{200b}c\\u{2066}d\\u{feff}");
    }

    #[test]
    fn quoted_words_stay_in_their_quotes_and_on_their_line() {
        let shown = quoted("to look”\u{a0}\u{3000}\n   31  revoke “#1", 300);
        assert_eq!(shown, "“to look\\u{201d} 31 revoke \\u{201c}#1”");
        assert_eq!(plain("a\u{3000}b", 300), "a\\u{3000}b", "a name keeps what it is");
    }

    #[test]
    fn what_is_too_long_is_cut_with_a_sign() {
        assert_eq!(plain(&"x".repeat(10_000), 5), "xxxxx…");
        assert_eq!(plain(&"\u{1b}".repeat(10_000), 12), "\\u{1b}\\u{1b}…");
    }
}
