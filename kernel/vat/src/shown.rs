//! Which characters may stand before a person's eyes as they are. Words of apps, authors and file systems are shown in
//! many places, each with escapes of its own; what must be escaped is said here only.

/// What shows nothing, or acts on what stands beside it: every character of the general category Cf (format), every one
/// with the property `Default_Ignorable_Code_Point`, both as in the Unicode Character Database 16.0 (`UnicodeData.txt` and
/// `DerivedCoreProperties.txt`), and the separators of lines and paragraphs. In order, both ends included.
const FORMATS: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{600}', '\u{605}'),     // Arabic signs that stand around numbers
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark
    ('\u{6dd}', '\u{6dd}'),     // Arabic end of ayah
    ('\u{70f}', '\u{70f}'),     // Syriac abbreviation mark
    ('\u{890}', '\u{891}'),     // Arabic pound and piastre marks
    ('\u{8e2}', '\u{8e2}'),     // Arabic disputed end of ayah
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian selectors and separator
    ('\u{200b}', '\u{200f}'),   // spaces and joiners of no width, marks of direction
    ('\u{2028}', '\u{202e}'),   // separators of lines and paragraphs, embeddings and overrides of direction
    ('\u{2060}', '\u{206f}'),   // word joiner, invisible operators, isolates, deprecated format characters
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{fe00}', '\u{fe0f}'),   // variation selectors
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffb}'),   // reserved, interlinear annotation
    ('\u{110bd}', '\u{110bd}'), // Kaithi number sign
    ('\u{110cd}', '\u{110cd}'), // Kaithi number sign above
    ('\u{13430}', '\u{1343f}'), // joiners of Egyptian hieroglyphs
    ('\u{1bca0}', '\u{1bca3}'), // controls of shorthand
    ('\u{1d173}', '\u{1d17a}'), // controls of musical notation
    ('\u{e0000}', '\u{e0fff}'), // tags, more variation selectors, reserved
];

/// Whether a character could act on a terminal (controls, C1 included), turn the direction of text, or take no room.
#[must_use]
pub fn deceives(character: char) -> bool {
    character.is_control() || {
        let after = FORMATS.partition_point(|(first, _)| *first <= character);
        after.checked_sub(1).is_some_and(|at| character <= FORMATS[at].1)
    }
}

/// What has a glyph without a stroke: Braille without a dot, the filler of Khitan, the blanks of Egyptian hieroglyphs, the
/// null notehead of music.
const EMPTY_GLYPHS: &[char] = &['\u{2800}', '\u{13441}', '\u{13442}', '\u{16fe4}', '\u{1d159}'];

/// Whether nothing shows where a character stands: white space of every kind, and glyphs without a stroke.
#[must_use]
pub fn is_blank(character: char) -> bool {
    character.is_whitespace() || EMPTY_GLYPHS.contains(&character)
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

    #[test]
    fn every_range_of_formats_is_covered_to_both_its_ends() {
        let outside = |character: Option<char>| {
            character.is_none_or(|character| !FORMATS.iter().any(|(first, last)| (*first..=*last).contains(&character)))
        };
        for (first, last) in FORMATS.iter().copied() {
            assert!(first <= last && (first..=last).all(deceives), "{first:?} to {last:?}");
            let before = char::from_u32(u32::from(first) - 1);
            let after = char::from_u32(u32::from(last) + 1);
            for beside in [before, after] {
                assert!(outside(beside), "{beside:?} is in two ranges, or in one that could be longer");
                assert!(beside.is_none_or(|beside| !deceives(beside) || beside.is_control()), "{beside:?}");
            }
        }
        assert!(FORMATS.is_sorted());
    }

    /// General category Cf of Unicode 16.0, as its database lists it.
    const CF: &[(u32, u32)] = &[
        (0xad, 0xad),
        (0x600, 0x605),
        (0x61c, 0x61c),
        (0x6dd, 0x6dd),
        (0x70f, 0x70f),
        (0x890, 0x891),
        (0x8e2, 0x8e2),
        (0x180e, 0x180e),
        (0x200b, 0x200f),
        (0x202a, 0x202e),
        (0x2060, 0x2064),
        (0x2066, 0x206f),
        (0xfeff, 0xfeff),
        (0xfff9, 0xfffb),
        (0x110bd, 0x110bd),
        (0x110cd, 0x110cd),
        (0x13430, 0x1343f),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0001, 0xe0001),
        (0xe0020, 0xe007f),
    ];

    /// `Default_Ignorable_Code_Point` of Unicode 16.0.
    const IGNORABLE: &[(u32, u32)] = &[
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x202a, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfff8),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe0fff),
    ];

    #[test]
    fn what_unicode_calls_a_format_or_ignorable_deceives_and_nothing_else() {
        const SEPARATORS: &[(u32, u32)] = &[(0x2028, 0x2029)];
        let listed = |code: u32| [CF, IGNORABLE, SEPARATORS].concat().iter().any(|(a, b)| (*a..=*b).contains(&code));
        for (first, last) in FORMATS {
            let inside = u32::from(*first)..=u32::from(*last);
            assert!(inside.into_iter().all(listed), "{first:?} to {last:?}");
        }
        for (first, last) in [CF, IGNORABLE].concat() {
            assert!((first..=last).filter_map(char::from_u32).all(deceives), "{first:x} to {last:x}");
        }
    }

    #[test]
    fn a_glyph_without_a_stroke_is_a_blank() {
        assert!(EMPTY_GLYPHS.iter().all(|glyph| is_blank(*glyph) && is_disguised(*glyph)));
    }
}
