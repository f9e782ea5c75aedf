//! How far a transfer is: on a terminal, not in a pipe.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::terminal::screen::width_of;
use crate::text::{escape, time};

/// A person reads no faster.
const INTERVAL: Duration = Duration::from_millis(200);

/// One line that is written again and again on standard error.
pub(crate) struct Progress {
    name: String,
    total_bytes: Option<u64>,
    shown: Option<Instant>,
    visible: bool,
}

impl Progress {
    /// Of a transfer; `total_bytes` where it is known.
    pub(crate) fn new(name: &str, total_bytes: Option<u64>) -> Self {
        Self { name: escape::line(name), total_bytes, shown: None, visible: std::io::stderr().is_terminal() }
    }

    /// Shows nothing.
    pub(super) fn none() -> Self {
        Self { name: String::new(), total_bytes: None, shown: None, visible: false }
    }

    /// The same where the total is told with it.
    pub(crate) fn show_of(&mut self, done_bytes: u64, total_bytes: u64) {
        self.total_bytes = Some(total_bytes);
        self.show(done_bytes);
    }

    pub(crate) fn show(&mut self, done_bytes: u64) {
        let now = Instant::now();
        if !self.visible || self.shown.is_some_and(|shown| now - shown < INTERVAL) {
            return;
        }
        self.shown = Some(now);
        let width = width_of(std::io::stderr()).unwrap_or(usize::MAX);
        eprint!("\r\x1b[K{}", line(&self.name, &text(done_bytes, self.total_bytes), width));
    }

    /// Takes the line away again.
    pub(crate) fn finish(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// One line on any terminal: what is too long for it could not be taken away again.
fn line(name: &str, text: &str, width: usize) -> String {
    // A line that is full may count as two.
    let width = width.saturating_sub(1);
    let room = width.saturating_sub(escape::columns(text) + 2);
    escape::shorten(&format!("{}: {text}", escape::shorten(name, room)), width)
}

fn text(done_bytes: u64, total_bytes: Option<u64>) -> String {
    match total_bytes {
        Some(total) if total > 0 => {
            let percent = u128::from(done_bytes) * 100 / u128::from(total);
            format!("{} of {} ({percent}%)", time::size(done_bytes), time::size(total))
        }
        _ => time::size(done_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_leaves_it_one_line() {
        assert_eq!(line("notes.txt", "1.0K", 80), "notes.txt: 1.0K");
        for width in [1, 5, 9, 20, 80] {
            let line = line(&"n".repeat(300), "1.0K of 2.0K (50%)", width);
            assert!(escape::columns(&line) < width.max(2), "{width}: {line}");
        }
        assert!(line(&"n".repeat(300), "1.0K", 20).ends_with("…: 1.0K"));
    }

    #[test]
    fn reads_well_with_and_without_a_total() {
        assert_eq!(text(512, Some(2048)), "512B of 2.0K (25%)");
        assert_eq!(text(512, None), "512B");
        assert_eq!(text(u64::MAX, Some(u64::MAX)), "16E of 16E (100%)");
    }
}
