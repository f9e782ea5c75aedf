//! What a person reads when something did not work: what failed, why, and what to do next.

use std::fmt;

use crate::text::escape;

/// Exit code of a command that was refused or failed.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code of a command line that makes no sense (clap uses the same).
pub(crate) const EXIT_USAGE: u8 = 2;
/// `latch run`: latch itself failed (no node, a lost connection, a command line that makes no sense).
pub(crate) const EXIT_RUN_FAILED: u8 = 125;
/// `latch run`: the app is there and was not begun (its package was refused, or it could not be started).
pub(crate) const EXIT_RUN_NOT_STARTED: u8 = 126;
/// `latch run`: there is no such app or package.
pub(crate) const EXIT_RUN_NOT_FOUND: u8 = 127;

/// A command's result.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// A failure in a person's words. Whatever came from outside is escaped when it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    what: String,
    why: Option<String>,
    /// What explains it on lines of its own.
    lines: Vec<String>,
    next: Option<String>,
    code: u8,
    lost: bool,
}

impl Failure {
    /// A failure with exit code 1.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), why: None, lines: Vec::new(), next: None, code: EXIT_FAILED, lost: false }
    }

    /// A command line that makes no sense: exit code 2.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(what).code(EXIT_USAGE)
    }

    /// The reason behind it.
    pub(crate) fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(without_number(why.to_string()));
        self
    }

    /// What is shown of it line by line, as compilers do: words about what the person wrote themselves, for another's could
    /// look like latch's own.
    pub(crate) fn showing(mut self, text: &str) -> Self {
        self.lines = text.lines().map(str::to_owned).collect();
        self
    }

    /// What and why, within a text of its own.
    pub(crate) fn sentence(&self) -> String {
        match &self.why {
            Some(why) => format!("{}: {why}", self.what),
            None => self.what.clone(),
        }
    }

    /// What the person can do now.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// What was being done when this happened: that comes first, and what went wrong becomes the reason.
    pub(crate) fn during(self, what: impl Into<String>) -> Self {
        let why = self.sentence();
        Self { what: what.into(), why: Some(why), ..self }
    }

    /// Takes off a word for programs, one that is `known`, that stands before what is for people.
    pub(crate) fn split_word<Word>(mut self, known: impl FnOnce(&str) -> Option<Word>) -> (Option<Word>, Self) {
        let found = self.what.split_once(": ").and_then(|(first, _)| Some((first.len(), known(first)?)));
        let Some((length, word)) = found else { return (None, self) };
        self.what.drain(..length + 2);
        (Some(word), self)
    }

    /// Another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Whether the powerbox went away before it answered: it is started again, and asking again is worth it.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// The exit code that the process ends with.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code
    }

    /// The same under `latch run`, where the small codes are the app's.
    pub(crate) fn run_code(&self) -> u8 {
        match self.code {
            EXIT_FAILED | EXIT_USAGE => EXIT_RUN_FAILED,
            code => code,
        }
    }
}

/// What the operating system says, without its number for it: `… (os error 2)`.
fn without_number(mut words: String) -> String {
    if let Some(at) = words.rfind(" (os error ").filter(|_| words.ends_with(')')) {
        words.truncate(at);
    }
    words
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "latch: {}", escape::line(&self.what))?;
        if let Some(why) = &self.why {
            write!(formatter, ": {}", escape::line(why))?;
        }
        for line in &self.lines {
            write!(formatter, "\n    {}", escape::line(line))?;
        }
        if let Some(next) = &self.next {
            for line in next.lines() {
                write!(formatter, "\n  next: {}", escape::line(line))?;
            }
        }
        Ok(())
    }
}

impl From<capnp::Error> for Failure {
    fn from(error: capnp::Error) -> Self {
        // The engine marks what came from the other end; the words after that are the powerbox's or the service's own.
        let words = error.extra.strip_prefix("remote exception: ").unwrap_or(&error.extra);
        match error.kind {
            capnp::ErrorKind::Disconnected => {
                let words = if words.is_empty() { "the connection ended" } else { words };
                let failure = Self::new("the node let go of this command").because(words).next("latch status");
                Self { lost: true, ..failure }
            }
            capnp::ErrorKind::Overloaded => {
                Self::new("the node is too busy for this now").because(words).next("try again in a moment")
            }
            capnp::ErrorKind::Unimplemented => Self::new("this node does not know that command")
                .because(words)
                .next("check that `latch --version` and `latch status` show the same version"),
            _ if words.is_empty() => Self::new(format!("the node answered with {:?}", error.kind)),
            _ => Self::new(words),
        }
    }
}

impl From<capnp::NotInSchema> for Failure {
    fn from(error: capnp::NotInSchema) -> Self {
        Self::new("the node sent a word that this latch does not know")
            .because(error)
            .next("check that `latch --version` and `latch status` show the same version")
    }
}

/// Names what was being done when the operating system refused.
pub(crate) trait Doing<T> {
    /// `reading /x: permission denied` instead of `permission denied`.
    fn doing(self, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure::new(what()).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_why_and_next() {
        let failure = Failure::new("cannot reach the node").because("nothing answers").next("latch up");
        assert_eq!(failure.to_string(), "latch: cannot reach the node: nothing answers\n  next: latch up");
        assert_eq!((failure.exit_code(), failure.run_code()), (1, 125));
    }

    #[test]
    fn what_is_shown_stands_on_lines_of_its_own() {
        let failure = Failure::new("latch.toml is not right").showing("1 | naem\n  | ^\u{1b}[2J").next("mend it");
        let text = "latch: latch.toml is not right\n    1 | naem\n      | ^\\x1b[2J\n  next: mend it";
        assert_eq!(failure.to_string(), text);
    }

    #[test]
    fn the_systems_number_is_not_for_people() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(Failure::new("x").because(error).to_string(), "latch: x: No such file or directory");
    }

    #[test]
    fn words_from_outside_cannot_steer_the_terminal() {
        let failure = Failure::from(capnp::Error::failed("remote exception: no \u{1b}[2Jsuch app".into()));
        assert_eq!(failure.to_string(), "latch: no \\x1b[2Jsuch app");
    }
}
