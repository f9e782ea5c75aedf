//! What is found must not depend on how the file was cut into pieces, and must be what `grep-searcher` finds.

use super::*;
use crate::arguments::Options;
use crate::pattern;
use grep_searcher::{BinaryDetection, SearcherBuilder, SinkContext, SinkFinish, SinkMatch};

/// Lines as `grep -n` writes them: ':' matched, '-' did not, "--" a gap.
#[derive(Default)]
struct Lines {
    text: Vec<String>,
    limit: Option<usize>,
}

impl Lines {
    fn add(&mut self, number: u64, line: &[u8], matched: bool) {
        let mark = if matched { ':' } else { '-' };
        self.text.push(format!("{number}{mark}{}", String::from_utf8_lossy(line)));
    }
}

impl Sink for Lines {
    fn line(&mut self, number: u64, line: &[u8], matched: bool) -> bool {
        self.add(number, line, matched);
        self.limit.is_none_or(|limit| self.text.len() < limit)
    }

    fn gap(&mut self) {
        self.text.push("--".to_owned());
    }
}

impl grep_searcher::Sink for Lines {
    type Error = std::io::Error;

    fn matched(&mut self, _: &grep_searcher::Searcher, line: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        self.add(line.line_number().unwrap(), line.bytes(), true);
        Ok(true)
    }

    fn context(&mut self, _: &grep_searcher::Searcher, line: &SinkContext<'_>) -> Result<bool, Self::Error> {
        self.add(line.line_number().unwrap(), line.bytes(), false);
        Ok(true)
    }

    fn context_break(&mut self, _: &grep_searcher::Searcher) -> Result<bool, Self::Error> {
        self.text.push("--".to_owned());
        Ok(true)
    }

    fn finish(&mut self, _: &grep_searcher::Searcher, _: &SinkFinish) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn matcher(text: &str) -> RegexMatcher {
    pattern::matcher(&Options { pattern: text.to_owned(), ..Options::default() }).unwrap()
}

fn search(matcher: &RegexMatcher, text: &[u8], piece_bytes: usize, before: usize, after: usize) -> Vec<String> {
    let (mut search, mut lines) = (LineSearch::new(before, after), Lines::default());
    for piece in text.chunks(piece_bytes) {
        assert!(search.push(matcher, piece, &mut lines));
    }
    search.finish(matcher, &mut lines);
    assert!(!search.has_long_line());
    lines.text
}

fn oracle(matcher: &RegexMatcher, text: &[u8], before: usize, after: usize) -> Vec<String> {
    let mut lines = Lines::default();
    SearcherBuilder::new()
        .line_number(true)
        .before_context(before)
        .after_context(after)
        .binary_detection(BinaryDetection::none())
        .build()
        .search_slice(matcher, text, &mut lines)
        .unwrap();
    lines.text
}

#[test]
fn context_gaps_and_numbers() {
    let text = b"one\ntwo\nthree\nfour\nfive\nsix\nseven\nthree\n";
    let found = search(&matcher("three"), text, 5, 1, 1);
    assert_eq!(found, ["2-two\n", "3:three\n", "4-four\n", "--", "7-seven\n", "8:three\n"]);
}

/// Every small text over an alphabet of line ends, matching and other characters, cut in every way.
#[test]
fn finds_what_grep_searcher_finds() {
    let patterns = ["a", "^", "$", "^$", "b*", r"\bab", "a$", "^b", "ab|ba", "[^a]"];
    let texts = (0..3_u32.pow(7)).map(|number| {
        let digits = (0..7).map(|place| number / 3_u32.pow(place) % 3);
        digits.map(|digit| b"ab\n"[digit as usize]).collect::<Vec<u8>>()
    });
    let matchers: Vec<_> = patterns.iter().map(|pattern| matcher(pattern)).collect();
    for text in texts {
        for (matcher, pattern) in matchers.iter().zip(patterns) {
            for (before, after) in [(0, 0), (1, 1), (2, 0)] {
                let expected = oracle(matcher, &text, before, after);
                for piece_bytes in [1, 3, 7] {
                    let found = search(matcher, &text, piece_bytes, before, after);
                    let shown = String::from_utf8_lossy(&text);
                    assert_eq!(found, expected, "{pattern:?} in {shown:?} by {piece_bytes}, -B{before} -A{after}");
                }
            }
        }
    }
}

/// Longer texts, from a small generator with fixed seeds.
#[test]
fn finds_what_grep_searcher_finds_in_longer_texts() {
    let words = ["needle", "hay", "", "straw stack", "need le", "Ünïcode needle"];
    let matcher = matcher("needle");
    for seed in 1..60_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let lines = next(200);
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..lines {
            // mostly hay, so that there are gaps
            let word = if next(6) > 0 { "hay" } else { words[next(words.len() as u64) as usize] };
            text.extend_from_slice(word.as_bytes());
            text.push(b'\n');
        }
        let (before, after) = (next(5) as usize, next(5) as usize);
        let piece_bytes = 1 + next(90) as usize;
        let expected = oracle(&matcher, &text, before, after);
        assert_eq!(search(&matcher, &text, piece_bytes, before, after), expected, "seed {seed}");
    }
}

#[test]
fn stops_when_the_sink_has_enough() {
    let matcher = matcher("a");
    let (mut search, mut lines) = (LineSearch::new(0, 0), Lines { limit: Some(1), ..Lines::default() });
    assert!(!search.push(&matcher, b"a\na\na\n", &mut lines));
    assert!(!search.push(&matcher, b"a\n", &mut lines));
    search.finish(&matcher, &mut lines);
    assert_eq!(lines.text, ["1:a\n"]);
}

#[test]
fn a_line_without_an_end_is_not_held_whole() {
    let matcher = matcher("needle");
    let (mut search, mut lines) = (LineSearch::new(2, 0), Lines::default());
    let piece = vec![b'x'; 64 << 10];
    for _ in 0..64 {
        search.push(&matcher, &piece, &mut lines);
        assert!(search.buffer.len() <= LINE_LIMIT_BYTES + BEFORE_LIMIT_BYTES + piece.len(), "{}", search.buffer.len());
    }
    search.push(&matcher, b"needle\nnext\n", &mut lines);
    search.finish(&matcher, &mut lines);
    assert!(search.has_long_line());
    assert!(lines.text.last().unwrap().ends_with("needle\n"));
    assert!(lines.text.last().unwrap().starts_with("1:"));
}
