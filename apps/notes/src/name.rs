//! What a note is called: a name made from its title, which is safe in any directory and easy to type.

use crate::failure::Failure;

/// The longest name. A directory takes 255 bytes, of which `.`, `.txt` and `.new` are taken; more than this nobody types.
const NAME_LIMIT_BYTES: usize = 100;

/// What the files of notes end with.
pub(crate) const SUFFIX: &str = ".txt";

/// The name of the note with that title: letters and digits in lower case, and one `-` for whatever is between. The name of
/// a name is that name.
pub(crate) fn from_title(title: &str) -> Result<String, Failure> {
    let mut name = String::new();
    for word in title.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let dash = if name.is_empty() { "" } else { "-" };
        for (at, character) in word.chars().flat_map(char::to_lowercase).enumerate() {
            let before = if at == 0 { dash.len() } else { 0 };
            if name.len() + before + character.len_utf8() > NAME_LIMIT_BYTES {
                return Ok(name);
            }
            name.push_str(&dash[..before]);
            name.push(character);
        }
    }
    if name.is_empty() { Err(Failure::NoName(title.to_owned())) } else { Ok(name) }
}

/// The file that the note of that name is in.
pub(crate) fn file(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

/// Where a note is written before it takes its place. It begins with a point, as no note does.
pub(crate) fn unfinished(name: &str) -> String {
    format!(".{name}{SUFFIX}.new")
}

/// The name of the note in that file, if it is one of a note. Others may lie there; they are left alone.
pub(crate) fn from_file(file: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(file).ok()?.strip_suffix(SUFFIX)?;
    from_title(name).is_ok_and(|own| own == name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_titles() {
        let cases = [
            ("Shopping list", "shopping-list"),
            ("  What?! — now...  ", "what-now"),
            ("../../etc/passwd", "etc-passwd"),
            (".hidden", "hidden"),
            ("Äpfel & Birnen 2", "äpfel-birnen-2"),
            ("a\0b\nc", "a-b-c"),
            ("日記", "日記"),
        ];
        for (title, name) in cases {
            assert_eq!(from_title(title).unwrap(), name);
            assert_eq!(from_title(name).unwrap(), name, "the name of a name is that name");
        }
        for title in ["", " ", "...", "/", "\0", "—"] {
            assert!(from_title(title).is_err(), "{title:?}");
        }
    }

    #[test]
    fn names_are_short_whole_and_do_not_end_in_a_dash() {
        for title in
            ["x".repeat(500), "ä".repeat(500), "ab ".repeat(200), "日".repeat(99), format!("{} b", "a".repeat(99))]
        {
            let name = from_title(&title).unwrap();
            assert!(name.len() <= NAME_LIMIT_BYTES && name.len() > NAME_LIMIT_BYTES - 4, "{name}");
            assert!(!name.ends_with('-'));
            assert_eq!(from_title(&name).unwrap(), name);
        }
    }

    #[test]
    fn files_of_others_are_no_notes() {
        assert_eq!(from_file(file("shopping-list").as_bytes()), Some("shopping-list"));
        for other in [unfinished("a").as_str(), "a", ".txt", "A.txt", "a b.txt", "a-.txt", "a.txt~"] {
            assert_eq!(from_file(other.as_bytes()), None, "{other}");
        }
        assert_eq!(from_file(b"\xff.txt"), None);
    }
}
