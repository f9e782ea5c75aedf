//! Which characters may stand before a person's eyes as they are. Words of apps, authors and file systems are shown in
//! many places, each with escapes of its own; what must be escaped is said here only.

/// Whether a character could act on a terminal (controls, C1 included), turn the direction of text, or take no room.
#[must_use]
pub fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul and Khmer fillers
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            // Mongolian separators, spaces of no width, marks, embeddings and overrides of direction
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // invisible operators, isolates, deprecated format characters
            | '\u{2060}'..='\u{206f}'
            // variation selectors, byte order mark, interlinear annotation, tags
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether nothing shows where a character stands: white space of every kind, and the pattern of Braille without a dot.
#[must_use]
pub fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{2800}'
}

/// Whether a character shows as another than it is: it deceives, or it is blank without being a plain space.
#[must_use]
pub fn is_disguised(character: char) -> bool {
    deceives(character) || (is_blank(character) && character != ' ')
}

/// Whether a character looks as if it ended what stands in double quotes.
#[must_use]
pub fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' | '\u{301d}'..='\u{301f}' | '\u{ff02}')
}

/// Somebody else's words with every run of blanks as one space: none of them can push what follows into a line of its
/// own.
#[must_use]
pub fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(is_blank).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_of_every_kind_are_one_space() {
        let blanks = "\u{a0}\u{2000}\u{200a}\u{202f}\u{205f}\u{2800}\u{3000}\t\r\n\u{85}\u{2028} ";
        assert_eq!(one_line(&format!("{blanks}a{blanks}b{blanks}")), "a b");
        assert!(blanks.trim_end_matches(' ').chars().all(is_disguised) && !is_disguised(' '));
    }

    #[test]
    fn what_is_seen_as_it_is_deceives_nobody() {
        assert!(!"the folder to search in: Größe — 検索 🙂 한".chars().any(deceives));
    }

    #[test]
    fn what_acts_turns_or_hides_does() {
        let hidden = "\u{1b}\u{7f}\u{9b}\n\u{202e}\u{2066}\u{200b}\u{feff}\u{3164}\u{115f}\u{fe00}\u{fe0f}\u{e0001}";
        for character in hidden.chars() {
            assert!(deceives(character), "{character:?}");
        }
    }
}
