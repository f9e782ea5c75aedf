//! What can go wrong, in words that a person can act on.

use schema::filesystem_word::Word;
use std::fmt;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: a kind to decide by, and a text that says what, with what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    subject: String,
    detail: String,
}

/// Kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Asked for, and refused by a person.
    Denied,
    /// Asked for, but the package's manifest does not announce it: add it there.
    Unannounced,
    /// Asked for, and nobody decided in time.
    Undecided,
    /// It was granted and has been taken away. It does not come back before a person grants it anew.
    Revoked,
    /// The app has given it back itself: see [`release`](crate::release).
    GivenBack,
    /// The grant's time is over.
    Expired,
    /// A budget of the grant, of calls or of bytes, is used up.
    Exhausted,
    /// The grant does not allow this method.
    NotAllowed,
    /// The connection was lost. Whether a call under way was carried out is unknown. What was asked for by label
    /// reconnects with its next call; what was obtained through it does not and has to be opened again.
    Disconnected,
    /// What serves the object is not running, and did not come back in time.
    Unavailable,
    /// The link was cut because an end of it broke the rules or passed a bound.
    Misbehaved,
    /// The app was told to stop.
    Stopped,
    /// There is nothing at that path.
    NotFound,
    /// There is something at that path already.
    Exists,
    /// A part of the path is not a directory.
    NotDirectory,
    /// It is a directory, where a file is needed.
    IsDirectory,
    /// The directory is not empty.
    NotEmpty,
    /// Not a path inside a folder: it is absolute, or has empty, overlong or dotted names.
    BadPath,
    /// A symbolic link leads out of the folder.
    LeadsOut,
    /// The grant only allows to read.
    ReadOnly,
    /// The grant allows to add, and not to change what is there.
    AppendOnly,
    /// The operating system does not allow it to the folder's owner.
    NotPermitted,
    /// The disk or a quota is full.
    NoSpace,
    /// More than fits: in a file, a message or a limit of the caller's own.
    TooLarge,
    /// Neither a regular file nor a directory.
    Special,
    /// Reading or writing failed.
    Io,
    /// What is stored was changed or lost. Nothing of it is given out.
    Damaged,
    /// The node's keys are locked: a person unlocks them.
    Locked,
    /// The grant's quota does not allow it, though the disk may have room.
    Quota,
    /// There is no such snapshot, or no longer.
    UnknownSnapshot,
    /// The other side has too much to do: try again later.
    Overloaded,
    /// The other side does not know this method.
    Unimplemented,
    /// The other side failed in a way that has no name here.
    Failed,
}

/// The first words of the exceptions of the gate that stands before every call; the other words are those of the object.
const GATE_WORDS: [(&str, ErrorKind); 4] = [
    ("denied", ErrorKind::NotAllowed),
    ("expired", ErrorKind::Expired),
    ("exhausted", ErrorKind::Exhausted),
    ("revoked", ErrorKind::Revoked),
];

/// What the engine puts before the text of the other side's exceptions.
const REMOTE_PREFIX: &str = "remote exception: ";

impl Error {
    /// An error of the app's own.
    pub fn new(kind: ErrorKind, subject: impl Into<String>, detail: impl Into<String>) -> Error {
        Error { kind, subject: subject.into(), detail: detail.into() }
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What it is about: a path or a label.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// More about the reason; may be empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether the object is gone for this app: taken back, over, used up or unreachable.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Revoked
                | ErrorKind::GivenBack
                | ErrorKind::Expired
                | ErrorKind::Exhausted
                | ErrorKind::Disconnected
                | ErrorKind::Unavailable
                | ErrorKind::Misbehaved
        )
    }

    /// Whether it was asked for and not given.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind, ErrorKind::Denied | ErrorKind::Unannounced | ErrorKind::Undecided)
    }

    /// The exit code of an app that ends with this: see [`run`](crate::run).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Stopped => crate::EXIT_STOPPED,
            _ if self.is_cut() || self.is_refusal() => crate::EXIT_CUT,
            _ => 1,
        }
    }

    /// What an exception of the other side means. One that says that the link is gone says nothing about why.
    pub(crate) fn from_exception(error: &capnp::Error, subject: &str) -> Error {
        let text = error.extra.strip_prefix(REMOTE_PREFIX).unwrap_or(&error.extra);
        let kind = match error.kind {
            capnp::ErrorKind::Disconnected => ErrorKind::Disconnected,
            capnp::ErrorKind::Overloaded => ErrorKind::Overloaded,
            capnp::ErrorKind::Unimplemented => ErrorKind::Unimplemented,
            capnp::ErrorKind::Failed => return Error::from_text(text, subject),
            _ => return Error::new(ErrorKind::Failed, subject, error.to_string()),
        };
        Error::new(kind, subject, text)
    }

    fn from_text(text: &str, subject: &str) -> Error {
        let known = text.split_once(':').and_then(|(word, rest)| {
            let special = GATE_WORDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
            let kind = special.or_else(|| Word::from_text(word).map(ErrorKind::from))?;
            Some((kind, rest.trim_start()))
        });
        let (kind, detail) = known.unwrap_or((ErrorKind::Failed, text));
        Error::new(kind, subject, detail)
    }
}

impl ErrorKind {
    fn text(self) -> &'static str {
        match self {
            ErrorKind::Denied => "the request was denied",
            ErrorKind::Unannounced => {
                "the request was refused: the app's manifest does not announce it. Its author adds a [[request]] to latch.toml"
            }
            ErrorKind::Undecided => "nobody decided the request in time",
            ErrorKind::Revoked => "revoked: it was taken back",
            ErrorKind::GivenBack => "the app has given it back",
            ErrorKind::Expired => "expired: its time is over",
            ErrorKind::Exhausted => "exhausted: what may be used of it is used up",
            ErrorKind::NotAllowed => "the grant does not allow this",
            ErrorKind::Disconnected => "disconnected: what was under way may or may not have happened",
            ErrorKind::Unavailable => "unavailable: what serves it is not running",
            ErrorKind::Misbehaved => "the link was cut",
            ErrorKind::Stopped => "the app was told to stop",
            ErrorKind::NotFound => "not found",
            ErrorKind::Exists => "it exists already",
            ErrorKind::NotDirectory => "not a directory",
            ErrorKind::IsDirectory => "it is a directory",
            ErrorKind::NotEmpty => "the directory is not empty",
            ErrorKind::BadPath => "not a path inside the folder",
            ErrorKind::LeadsOut => "a link leads out of the folder",
            ErrorKind::ReadOnly => "the grant is read-only",
            ErrorKind::AppendOnly => "the grant is append-only",
            ErrorKind::NotPermitted => "not permitted",
            ErrorKind::NoSpace => "no space left",
            ErrorKind::TooLarge => "too large",
            ErrorKind::Special => "not a regular file or directory",
            ErrorKind::Io => "reading or writing failed",
            ErrorKind::Damaged => "what is stored is damaged",
            ErrorKind::Locked => "the node's keys are locked. Unlock them and try again",
            ErrorKind::Quota => "the quota of the grant is used up",
            ErrorKind::UnknownSnapshot => "there is no such snapshot",
            ErrorKind::Overloaded => "the other side has too much to do",
            ErrorKind::Unimplemented => "the other side does not know this method",
            ErrorKind::Failed => "failed",
        }
    }
}

impl From<Word> for ErrorKind {
    fn from(word: Word) -> ErrorKind {
        match word {
            Word::NotFound => ErrorKind::NotFound,
            Word::Exists => ErrorKind::Exists,
            Word::NotDirectory => ErrorKind::NotDirectory,
            Word::IsDirectory => ErrorKind::IsDirectory,
            Word::NotEmpty => ErrorKind::NotEmpty,
            Word::BadPath => ErrorKind::BadPath,
            Word::LeadsOut => ErrorKind::LeadsOut,
            Word::ReadOnly => ErrorKind::ReadOnly,
            Word::AppendOnly => ErrorKind::AppendOnly,
            Word::NotPermitted => ErrorKind::NotPermitted,
            Word::NoSpace => ErrorKind::NoSpace,
            Word::TooLarge => ErrorKind::TooLarge,
            Word::Special => ErrorKind::Special,
            Word::Io => ErrorKind::Io,
            Word::Damaged => ErrorKind::Damaged,
            Word::Locked => ErrorKind::Locked,
            Word::Quota => ErrorKind::Quota,
            Word::Unknown => ErrorKind::UnknownSnapshot,
            Word::Overloaded => ErrorKind::Overloaded,
        }
    }
}

/// `docs/a.txt: not found (no such file)`.
impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subject.is_empty() {
            write!(formatter, "{}: ", self.subject)?;
        }
        formatter.write_str(self.kind.text())?;
        if !self.detail.is_empty() {
            write!(formatter, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(text: &str) -> Error {
        Error::from_exception(&capnp::Error::failed(format!("{REMOTE_PREFIX}{text}")), "a.txt")
    }

    #[test]
    fn the_first_word_of_an_exception_is_its_kind() {
        assert_eq!(exception("notFound: no such file").kind(), ErrorKind::NotFound);
        assert_eq!(exception("notFound: no such file").to_string(), "a.txt: not found (no such file)");
        assert_eq!(exception("denied: grant 3 does not allow Directory.remove").kind(), ErrorKind::NotAllowed);
        for (word, kind) in GATE_WORDS {
            assert_eq!(exception(&format!("{word}: why")).kind(), kind);
        }
        for (word, text) in Word::ALL {
            assert_eq!(exception(&format!("{text}: why")).kind(), ErrorKind::from(word));
        }
    }

    #[test]
    fn other_texts_are_failures_as_they_stand() {
        assert_eq!(exception("notFoundAtAll: x").to_string(), "a.txt: failed (notFoundAtAll: x)");
        assert_eq!(exception("notFound").kind(), ErrorKind::Failed);
    }

    #[test]
    fn exit_codes_tell_authority_from_everything_else() {
        let code = |kind| Error::new(kind, "", "").exit_code();
        assert_eq!(code(ErrorKind::NotFound), 1);
        assert_eq!(code(ErrorKind::NotAllowed), 1);
        assert_eq!(code(ErrorKind::Denied), 3);
        assert_eq!(code(ErrorKind::Revoked), 3);
        assert_eq!(code(ErrorKind::Stopped), 143);
    }
}
