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

#[cfg(test)]
mod tests {
    use super::*;

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
