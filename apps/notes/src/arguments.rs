//! The command line of `notes`.

use std::fmt;

/// What is printed for `--help`.
pub(crate) const HELP: &str = "\
Keeps notes in the one directory of the store that it was granted, with every version that there was.

Usage: notes COMMAND

  add TITLE [TEXT|-]      makes a note; '-' takes the text from standard input
  edit NAME TEXT|-        gives a note another text
  list                    all notes
  show NAME [--at N]      a note, as it is or as it was in version N
  find WORDS...           the lines of the notes that have all these words, upper and lower case the same
  history NAME            the versions of a note, the latest first
  remove NAME             removes a note; its versions stay

NAME is a note's title or what 'list' calls it. What has been answered is on the disk. Each change makes a snapshot of
all notes, and a version's number is that of the first snapshot that has it. The latest 900 changes are kept.

  -h, --help
  -V, --version

Exit code: 0 done, 1 nothing found, 2 something was wrong, 3 the directory was refused or taken back.
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Add { title: String, text: Text },
    Edit { name: String, text: Text },
    List,
    Show { name: String, at: Option<u64> },
    Find { words: Vec<String> },
    History { name: String },
    Remove { name: String },
    Help,
    Version,
}

/// Where a note's text comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Given(String),
    Input,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    NoCommand,
    UnknownCommand(String),
    UnknownOption(String),
    Missing(&'static str),
    TooMuch(String),
    NotAVersion(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoCommand => formatter.write_str("what to do is missing"),
            UsageError::UnknownCommand(word) => write!(formatter, "there is no command '{word}'"),
            UsageError::UnknownOption(option) => write!(formatter, "there is no option {option}"),
            UsageError::Missing(what) => write!(formatter, "{what} is missing"),
            UsageError::TooMuch(word) => write!(formatter, "there is a word too much: '{word}'"),
            UsageError::NotAVersion(text) => {
                write!(formatter, "--at needs the number of a version as 'history' shows it, not '{text}'")
            }
        }
    }
}

/// Reads a command line, without the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let mut words = Words::read(arguments)?;
    let Some(command) = words.next() else {
        return match words.early {
            Some(early) => Ok(early),
            None => Err(UsageError::NoCommand),
        };
    };
    if let Some(early) = words.early.take() {
        return Ok(early);
    }
    let parsed = match command.as_str() {
        "add" => Command::Add { title: words.need("the title")?, text: words.text().unwrap_or_default() },
        "edit" => Command::Edit {
            name: words.need("the note's name")?,
            text: words.text().ok_or(UsageError::Missing("the text, or '-' for standard input,"))?,
        },
        "list" => Command::List,
        "show" => Command::Show { name: words.need("the note's name")?, at: words.at.take() },
        "find" => Command::Find { words: words.all("what to find")? },
        "history" => Command::History { name: words.need("the note's name")? },
        "remove" => Command::Remove { name: words.need("the note's name")? },
        _ => return Err(UsageError::UnknownCommand(command)),
    };
    words.end()?;
    Ok(parsed)
}

impl Default for Text {
    fn default() -> Text {
        Text::Given(String::new())
    }
}

/// What is not an option, in order; and what the options say.
struct Words {
    rest: std::vec::IntoIter<String>,
    at: Option<u64>,
    /// Help or version, whatever else there is.
    early: Option<Command>,
}

impl Words {
    fn read(arguments: impl IntoIterator<Item = String>) -> Result<Words, UsageError> {
        let mut arguments = arguments.into_iter();
        let (mut words, mut at, mut early) = (vec![], None, None);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--" => words.extend(arguments.by_ref()),
                "-h" | "--help" => early = early.or(Some(Command::Help)),
                "-V" | "--version" => early = early.or(Some(Command::Version)),
                "--at" => at = Some(version(&arguments.next().ok_or(UsageError::Missing("the version after --at"))?)?),
                other if other.starts_with("--at=") => at = Some(version(&other["--at=".len()..])?),
                other if other.len() > 1 && other.starts_with('-') => {
                    return Err(UsageError::UnknownOption(argument));
                }
                _ => words.push(argument),
            }
        }
        Ok(Words { rest: words.into_iter(), at, early })
    }

    fn next(&mut self) -> Option<String> {
        self.rest.next()
    }

    fn need(&mut self, what: &'static str) -> Result<String, UsageError> {
        self.next().ok_or(UsageError::Missing(what))
    }

    fn text(&mut self) -> Option<Text> {
        self.next().map(|text| if text == "-" { Text::Input } else { Text::Given(text) })
    }

    fn all(&mut self, what: &'static str) -> Result<Vec<String>, UsageError> {
        let words: Vec<String> = self.rest.by_ref().filter(|word| !word.trim().is_empty()).collect();
        if words.is_empty() { Err(UsageError::Missing(what)) } else { Ok(words) }
    }

    fn end(mut self) -> Result<(), UsageError> {
        match (self.next(), self.at) {
            (Some(word), _) => Err(UsageError::TooMuch(word)),
            (None, Some(_)) => Err(UsageError::UnknownOption("--at, except of 'show'".to_owned())),
            (None, None) => Ok(()),
        }
    }
}

fn version(text: &str) -> Result<u64, UsageError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| UsageError::NotAVersion(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Command, UsageError> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn every_command_is_read() {
        let given = |text: &str| Text::Given(text.to_owned());
        let name = || "a b".to_owned();
        let cases: [(&[&str], Command); 13] = [
            (&["add", "a b"], Command::Add { title: name(), text: given("") }),
            (&["add", "a b", "the text"], Command::Add { title: name(), text: given("the text") }),
            (&["add", "a b", "-"], Command::Add { title: name(), text: Text::Input }),
            (&["add", "--", "-x", "--at"], Command::Add { title: "-x".to_owned(), text: given("--at") }),
            (&["edit", "a b", "-"], Command::Edit { name: name(), text: Text::Input }),
            (&["list"], Command::List),
            (&["show", "a b"], Command::Show { name: name(), at: None }),
            (&["show", "a b", "--at", "7"], Command::Show { name: name(), at: Some(7) }),
            (&["--at=7", "show", "a b"], Command::Show { name: name(), at: Some(7) }),
            (&["find", "x", "y"], Command::Find { words: vec!["x".to_owned(), "y".to_owned()] }),
            (&["history", "a b"], Command::History { name: name() }),
            (&["remove", "a b"], Command::Remove { name: name() }),
            (&["add", "--help"], Command::Help),
        ];
        for (words, command) in cases {
            assert_eq!(read(words), Ok(command), "{words:?}");
        }
        assert_eq!(read(&["-V"]), Ok(Command::Version));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases: [(&[&str], &str); 12] = [
            (&[], "what to do is missing"),
            (&["ad"], "there is no command 'ad'"),
            (&["list", "-x"], "there is no option -x"),
            (&["add"], "the title is missing"),
            (&["edit", "a"], "the text, or '-' for standard input, is missing"),
            (&["show"], "the note's name is missing"),
            (&["find", " "], "what to find is missing"),
            (&["add", "a", "b", "c"], "there is a word too much: 'c'"),
            (&["show", "a", "--at"], "the version after --at is missing"),
            (&["show", "a", "--at", "x"], "--at needs the number of a version as 'history' shows it, not 'x'"),
            (&["show", "a", "--at=0"], "--at needs the number of a version as 'history' shows it, not '0'"),
            (&["history", "a", "--at=1"], "there is no option --at, except of 'show'"),
        ];
        for (words, said) in cases {
            assert_eq!(read(words).unwrap_err().to_string(), said, "{words:?}");
        }
    }
}
