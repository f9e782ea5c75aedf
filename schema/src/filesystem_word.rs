//! The words with which exceptions of `filesystem.capnp` and `storage.capnp` begin: one list for those who say them and
//! those who read them.

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing has that name.
    NotFound,
    /// Something already has that name.
    Exists,
    /// A directory was needed.
    NotDirectory,
    /// Anything but a directory was needed.
    IsDirectory,
    /// Only an empty directory can be removed or replaced.
    NotEmpty,
    /// The path is none, or makes no sense here.
    BadPath,
    /// Following the path would leave the directory.
    LeadsOut,
    /// The reference, or the file system, allows no change.
    ReadOnly,
    /// The reference may add and not change.
    AppendOnly,
    /// The reference may not do this, or the operating system refuses it to this process.
    NotPermitted,
    /// The disk or a quota is full.
    NoSpace,
    /// Beyond what a file, a call or the service takes.
    TooLarge,
    /// Neither a regular file nor a directory.
    Special,
    /// Everything else that the file system reports.
    Io,
    /// What is stored was changed or lost; nothing of it is served.
    Damaged,
    /// The keys of what is stored are locked, or whoever has them is not there.
    Locked,
    /// The quota of the grant does not allow it.
    Quota,
    /// There is no such snapshot.
    Unknown,
    /// Too much is open. Not one of the schema's words: it is reported as an exception of kind overloaded.
    Overloaded,
}

impl Word {
    /// Every word as it is written.
    pub const ALL: [(Word, &'static str); 19] = [
        (Word::NotFound, "notFound"),
        (Word::Exists, "exists"),
        (Word::NotDirectory, "notDirectory"),
        (Word::IsDirectory, "isDirectory"),
        (Word::NotEmpty, "notEmpty"),
        (Word::BadPath, "badPath"),
        (Word::LeadsOut, "leadsOut"),
        (Word::ReadOnly, "readOnly"),
        (Word::AppendOnly, "appendOnly"),
        (Word::NotPermitted, "notPermitted"),
        (Word::NoSpace, "noSpace"),
        (Word::TooLarge, "tooLarge"),
        (Word::Special, "special"),
        (Word::Io, "io"),
        (Word::Damaged, "damaged"),
        (Word::Locked, "locked"),
        (Word::Quota, "quota"),
        (Word::Unknown, "unknown"),
        (Word::Overloaded, "overloaded"),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written_and_stands_in_the_schema() {
        let contract = concat!(include_str!("../filesystem.capnp"), include_str!("../storage.capnp"));
        for (word, text) in Word::ALL {
            assert_eq!(word.text(), text);
            assert_eq!(Word::from_text(text), Some(word));
            assert!(contract.contains(text), "{text}");
        }
        assert_eq!(Word::from_text("notfound"), None);
    }
}
