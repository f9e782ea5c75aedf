//! The command line of `search`.

use std::fmt;

/// What is printed for `--help`.
pub(crate) const HELP: &str = "\
Searches the text of the files in the one folder that it was granted.

Usage: search [OPTIONS] PATTERN [PATH...]

PATTERN is a regular expression. PATH is a file or directory inside the folder; without one the whole folder is searched.

  -e, --regexp PATTERN       the pattern, also where it begins with '-'
  -i, --ignore-case          upper and lower case are the same
  -F, --fixed-strings        the pattern is plain text
  -w, --word-regexp          only whole words
  -g, --glob GLOB            only files that match; with '!' in front, not those. May be repeated: the last that
                             matches decides. A glob without '/' is about names, others about paths in the folder
      --hidden               also names that begin with '.'
      --max-depth N          no deeper than N directories (1: only the folder's own files)
  -A, --after-context N      also N lines after each match
  -B, --before-context N     also N lines before each match
  -C, --context N            both
  -l, --files-with-matches   only the names of files that match
  -c, --count                only how many lines match in each file
  -n, --line-number          with line numbers (so it is unless -N says otherwise)
  -N, --no-line-number       without
  -h, --help
  -V, --version

Files with a zero byte in their first 8 KiB are taken as not text and are skipped. Symbolic links are not followed.
Exit code: 0 something matched, 1 nothing did, 2 something was wrong, 3 the folder was refused or taken back.
";

/// Lines of context at most. More is a whole file: use a program that shows files.
const CONTEXT_LIMIT_LINES: usize = 1_000;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Search(Options),
    Help,
    Version,
}

/// How to search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) pattern: String,
    /// Where to begin; empty: the folder itself.
    pub(crate) paths: Vec<String>,
    pub(crate) ignore_case: bool,
    pub(crate) fixed_strings: bool,
    pub(crate) whole_words: bool,
    pub(crate) globs: Vec<String>,
    pub(crate) hidden: bool,
    pub(crate) max_depth: Option<usize>,
    pub(crate) before_lines: usize,
    pub(crate) after_lines: usize,
    pub(crate) show: Show,
    pub(crate) without_numbers: bool,
}

/// What is printed of a file that matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Show {
    #[default]
    Lines,
    Name,
    Count,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    Unknown(String),
    NoValue(String),
    UnexpectedValue(String),
    NotANumber { option: String, value: String },
    TooMuchContext(usize),
    NoPattern,
}

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Unknown(option) => write!(formatter, "there is no option {option}"),
            UsageError::NoValue(option) => write!(formatter, "{option} needs a value"),
            UsageError::UnexpectedValue(option) => write!(formatter, "{option} takes no value"),
            UsageError::NotANumber { option, value } => write!(formatter, "{option} needs a number, not '{value}'"),
            UsageError::TooMuchContext(lines) => {
                write!(formatter, "{lines} lines of context are over the limit of {CONTEXT_LIMIT_LINES}")
            }
            UsageError::NoPattern => formatter.write_str("what to search for is missing"),
        }
    }
}

/// Every option: its short and long name, and whether a value follows.
const OPTIONS: [(char, &str, bool); 16] = [
    ('e', "regexp", true),
    ('i', "ignore-case", false),
    ('F', "fixed-strings", false),
    ('w', "word-regexp", false),
    ('g', "glob", true),
    ('.', "hidden", false),
    ('d', "max-depth", true),
    ('A', "after-context", true),
    ('B', "before-context", true),
    ('C', "context", true),
    ('l', "files-with-matches", false),
    ('c', "count", false),
    ('n', "line-number", false),
    ('N', "no-line-number", false),
    ('h', "help", false),
    ('V', "version", false),
];

/// Reads a command line, without the program's name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let mut parser = Parser { rest: arguments.into_iter(), options: Options::default(), pattern: None, words: vec![] };
    while let Some(argument) = parser.rest.next() {
        let answer = if argument == "--" {
            parser.words.extend(parser.rest.by_ref());
            None
        } else if let Some(long) = argument.strip_prefix("--") {
            parser.long(long)?
        } else if argument.len() > 1 && argument.starts_with('-') {
            parser.short(&argument[1..])?
        } else {
            parser.words.push(argument);
            None
        };
        if let Some(command) = answer {
            return Ok(command);
        }
    }
    parser.finish()
}

struct Parser<I> {
    rest: I,
    options: Options,
    pattern: Option<String>,
    /// What is not an option: the pattern, where no option gave it, then paths.
    words: Vec<String>,
}

impl<I: Iterator<Item = String>> Parser<I> {
    fn long(&mut self, text: &str) -> Result<Option<Command>, UsageError> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let shown = format!("--{name}");
        let Some(&(letter, _, takes_value)) = OPTIONS.iter().find(|(_, long, _)| *long == name) else {
            return Err(UsageError::Unknown(shown));
        };
        match (takes_value, value) {
            (false, Some(_)) => Err(UsageError::UnexpectedValue(shown)),
            (false, None) => self.set(letter, &shown, String::new()),
            (true, Some(value)) => self.set(letter, &shown, value.to_owned()),
            (true, None) => {
                let value = self.rest.next().ok_or_else(|| UsageError::NoValue(shown.clone()))?;
                self.set(letter, &shown, value)
            }
        }
    }

    /// Letters after one dash; what follows one that takes a value is the value, else the next argument is.
    fn short(&mut self, letters: &str) -> Result<Option<Command>, UsageError> {
        for (at, letter) in letters.char_indices() {
            let shown = format!("-{letter}");
            let known = OPTIONS.iter().find(|(short, _, _)| *short == letter && !matches!(letter, '.' | 'd'));
            let Some((_, _, takes_value)) = known else {
                return Err(UsageError::Unknown(shown));
            };
            if *takes_value {
                let attached = &letters[at + letter.len_utf8()..];
                let value = if attached.is_empty() { self.rest.next() } else { Some(attached.to_owned()) };
                return self.set(letter, &shown, value.ok_or_else(|| UsageError::NoValue(shown.clone()))?);
            }
            if let Some(command) = self.set(letter, &shown, String::new())? {
                return Ok(Some(command));
            }
        }
        Ok(None)
    }

    fn set(&mut self, letter: char, shown: &str, value: String) -> Result<Option<Command>, UsageError> {
        let options = &mut self.options;
        match letter {
            'e' => self.pattern = Some(value),
            'i' => options.ignore_case = true,
            'F' => options.fixed_strings = true,
            'w' => options.whole_words = true,
            'g' => options.globs.push(value),
            '.' => options.hidden = true,
            'd' => options.max_depth = Some(number(shown, &value)?),
            'A' => options.after_lines = context(shown, &value)?,
            'B' => options.before_lines = context(shown, &value)?,
            'C' => {
                options.after_lines = context(shown, &value)?;
                options.before_lines = options.after_lines;
            }
            'l' => options.show = Show::Name,
            'c' => options.show = Show::Count,
            'n' => options.without_numbers = false,
            'N' => options.without_numbers = true,
            'V' => return Ok(Some(Command::Version)),
            _ => return Ok(Some(Command::Help)),
        }
        Ok(None)
    }

    fn finish(self) -> Result<Command, UsageError> {
        let mut words = self.words.into_iter();
        let pattern = self.pattern.or_else(|| words.next()).ok_or(UsageError::NoPattern)?;
        Ok(Command::Search(Options { pattern, paths: words.collect(), ..self.options }))
    }
}

fn number(option: &str, value: &str) -> Result<usize, UsageError> {
    value.parse().map_err(|_| UsageError::NotANumber { option: option.to_owned(), value: value.to_owned() })
}

fn context(option: &str, value: &str) -> Result<usize, UsageError> {
    let lines = number(option, value)?;
    if lines > CONTEXT_LIMIT_LINES { Err(UsageError::TooMuchContext(lines)) } else { Ok(lines) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, UsageError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    fn options(line: &str) -> Options {
        match read(line).unwrap() {
            Command::Search(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_word_is_the_pattern_and_the_others_are_paths() {
        let options = options("needle src docs/a.txt");
        assert_eq!(options.pattern, "needle");
        assert_eq!(options.paths, ["src", "docs/a.txt"]);
        assert_eq!(options.show, Show::Lines);
    }

    #[test]
    fn short_options_join_and_take_values_in_both_ways() {
        let options = options("-iFwA3 -B 2 -g*.rs -g !target x");
        assert!(options.ignore_case && options.fixed_strings && options.whole_words);
        assert_eq!((options.after_lines, options.before_lines), (3, 2));
        assert_eq!(options.globs, ["*.rs", "!target"]);
        assert_eq!(options.pattern, "x");
    }

    #[test]
    fn long_options_take_values_in_both_ways() {
        let options = options("--context=4 --max-depth 2 --hidden --files-with-matches x");
        assert_eq!((options.after_lines, options.before_lines), (4, 4));
        assert_eq!(options.max_depth, Some(2));
        assert!(options.hidden);
        assert_eq!(options.show, Show::Name);
    }

    #[test]
    fn a_pattern_may_look_like_an_option() {
        assert_eq!(options("-e -x").pattern, "-x");
        assert_eq!(options("-- -x").pattern, "-x");
        assert_eq!(options("-").pattern, "-");
        let both = options("-e one two");
        assert_eq!((both.pattern.as_str(), both.paths.as_slice()), ("one", ["two".to_owned()].as_slice()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "what to search for is missing"),
            ("-z x", "there is no option -z"),
            ("-d 3 x", "there is no option -d"),
            ("--colour x", "there is no option --colour"),
            ("-A", "-A needs a value"),
            ("--glob", "--glob needs a value"),
            ("--hidden=yes x", "--hidden takes no value"),
            ("-C many x", "-C needs a number, not 'many'"),
            ("-C -1 x", "-C needs a number, not '-1'"),
            ("-C 1001 x", "1001 lines of context are over the limit of 1000"),
        ];
        for (line, said) in cases {
            assert_eq!(read(line).unwrap_err().to_string(), said, "{line}");
        }
    }

    #[test]
    fn help_needs_nothing_else_and_names_every_option() {
        assert_eq!(read("-ih"), Ok(Command::Help));
        assert_eq!(read("--version"), Ok(Command::Version));
        for (_, long, _) in OPTIONS {
            assert!(HELP.contains(&format!("--{long}")), "{long}");
        }
    }
}
