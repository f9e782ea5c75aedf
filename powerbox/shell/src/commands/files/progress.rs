//! How far a transfer is: on a terminal, not in a pipe.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use crate::text::{escape, time};

/// A person reads no faster.
const INTERVAL: Duration = Duration::from_millis(200);

/// One line that is written again and again on standard error.
pub(super) struct Progress {
    name: String,
    total_bytes: Option<u64>,
    shown: Option<Instant>,
    visible: bool,
}

impl Progress {
    /// Of a transfer; `total_bytes` where it is known.
    pub(super) fn new(name: &str, total_bytes: Option<u64>) -> Self {
        Self { name: escape::line(name), total_bytes, shown: None, visible: std::io::stderr().is_terminal() }
    }

    /// Shows nothing.
    pub(super) fn none() -> Self {
        Self { name: String::new(), total_bytes: None, shown: None, visible: false }
    }

    pub(super) fn show(&mut self, done_bytes: u64) {
        let now = Instant::now();
        if !self.visible || self.shown.is_some_and(|shown| now - shown < INTERVAL) {
            return;
        }
        self.shown = Some(now);
        eprint!("\r\x1b[K{}: {}", self.name, text(done_bytes, self.total_bytes));
    }

    /// Takes the line away again.
    pub(super) fn finish(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
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
    fn reads_well_with_and_without_a_total() {
        assert_eq!(text(512, Some(2048)), "512 of 2.0K (25%)");
        assert_eq!(text(512, None), "512");
        assert_eq!(text(u64::MAX, Some(u64::MAX)), "16E of 16E (100%)");
    }
}
