//! From the options to a matcher.

use crate::arguments::Options;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};

/// A compiled pattern, and the automaton that is built while it is used, are each held to this: patterns come from
/// whoever starts the program, and its memory is limited (see `latch.toml`).
const PATTERN_LIMIT_BYTES: usize = 4 << 20;

/// Compiles the pattern. A match never spans lines.
pub(crate) fn matcher(options: &Options) -> Result<RegexMatcher, String> {
    RegexMatcherBuilder::new()
        .multi_line(true)
        .line_terminator(Some(b'\n'))
        .case_insensitive(options.ignore_case)
        .fixed_strings(options.fixed_strings)
        .word(options.whole_words)
        .size_limit(PATTERN_LIMIT_BYTES)
        .dfa_size_limit(PATTERN_LIMIT_BYTES)
        .build(&options.pattern)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use grep_matcher::Matcher;

    fn matches(options: &Options, text: &str) -> bool {
        matcher(options).unwrap().is_match(text.as_bytes()).unwrap()
    }

    fn pattern(pattern: &str) -> Options {
        Options { pattern: pattern.to_owned(), ..Options::default() }
    }

    #[test]
    fn options_change_what_matches() {
        assert!(matches(&pattern("n..dle"), "a needle"));
        assert!(!matches(&pattern("NEEDLE"), "a needle"));
        assert!(matches(&Options { ignore_case: true, ..pattern("NEEDLE") }, "a needle"));
        assert!(!matches(&Options { fixed_strings: true, ..pattern("n..dle") }, "a needle"));
        assert!(matches(&Options { fixed_strings: true, ..pattern("a.b") }, "a.b"));
        assert!(!matches(&Options { whole_words: true, ..pattern("need") }, "a needle"));
        assert!(matches(&Options { whole_words: true, ..pattern("needle") }, "a needle."));
    }

    #[test]
    fn bad_and_huge_patterns_are_refused() {
        assert!(matcher(&pattern("(")).unwrap_err().contains('('));
        assert!(matcher(&pattern(r"a\nb")).is_err(), "a pattern over two lines never matches: say so");
        assert!(matcher(&pattern(r"(\w{100}){100}")).is_err());
    }
}
