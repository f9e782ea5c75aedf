//! The words with which exceptions of `keys.capnp` begin: one list for those who say them and those who read them.

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The keys must be unlocked first.
    Locked,
    /// This node has no keys yet.
    None,
    /// This node has keys already.
    Exists,
    /// The passphrase is another.
    WrongPassphrase,
    /// What protects the keys is another one, or was cleared.
    ProtectionGone,
    /// The bytes are not as they were written.
    Damaged,
    /// The call's own arguments make no sense.
    BadInput,
    /// This machine, or this version, cannot do that.
    NotSupported,
    /// Everything else that the operating system reports.
    Io,
}

impl Word {
    /// Every word as it is written.
    pub const ALL: [(Word, &'static str); 9] = [
        (Word::Locked, "locked"),
        (Word::None, "none"),
        (Word::Exists, "exists"),
        (Word::WrongPassphrase, "wrongPassphrase"),
        (Word::ProtectionGone, "protectionGone"),
        (Word::Damaged, "damaged"),
        (Word::BadInput, "badInput"),
        (Word::NotSupported, "notSupported"),
        (Word::Io, "io"),
    ];

    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        // the list is in the order of the declaration; a test says so
        Word::ALL[self as usize].1
    }

    /// The word that is written so; nothing for any other text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Word> {
        Word::ALL.iter().find(|(_, known)| *known == text).map(|(word, _)| *word)
    }

    /// The word that an exception's text begins with, also where it came over links, each of which says so before it.
    #[must_use]
    pub fn of_exception(text: &str) -> Option<Word> {
        let own = text.rsplit("remote exception: ").next()?;
        Word::from_text(own.split_once(':')?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_an_exception_is_found_also_behind_links() {
        assert_eq!(Word::of_exception("locked: unlock the keys first"), Some(Word::Locked));
        assert_eq!(Word::of_exception("remote exception: remote exception: none: no keys"), Some(Word::None));
        assert_eq!(Word::of_exception("lockedUp: no"), None);
        assert_eq!(Word::of_exception("the link was cut"), None);
    }

    #[test]
    fn every_word_is_read_as_it_is_written_and_stands_in_the_schema() {
        let contract = include_str!("../keys.capnp");
        for (word, text) in Word::ALL {
            assert_eq!(word.text(), text);
            assert_eq!(Word::from_text(text), Some(word));
            assert!(contract.contains(text), "{text}");
        }
        assert_eq!(Word::from_text("wrongpassphrase"), None);
    }
}
