//! What is printed of one file.

use crate::arguments::{Options, Show};
use crate::lines::Sink;

/// Collects the text of one file until it is taken.
pub(crate) struct Report {
    path: Vec<u8>,
    show: Show,
    numbers: bool,
    text: Vec<u8>,
    matches: u64,
    new_matches: u64,
}

impl Report {
    pub(crate) fn new(path: &[u8], options: &Options) -> Report {
        Report {
            path: path.to_vec(),
            show: options.show,
            numbers: !options.without_numbers,
            text: Vec::new(),
            matches: 0,
            new_matches: 0,
        }
    }

    /// What is to be printed since the last time, and how many lines matched since.
    pub(crate) fn take(&mut self) -> (Vec<u8>, u64) {
        (std::mem::take(&mut self.text), std::mem::take(&mut self.new_matches))
    }

    /// The file is over.
    pub(crate) fn finish(&mut self) {
        if self.show == Show::Count && self.matches > 0 {
            self.text.extend_from_slice(&self.path);
            self.text.extend_from_slice(format!(":{}\n", self.matches).as_bytes());
        }
    }
}

impl Sink for Report {
    fn line(&mut self, number: u64, line: &[u8], matched: bool) -> bool {
        self.matches += u64::from(matched);
        self.new_matches += u64::from(matched);
        match self.show {
            Show::Count => true,
            Show::Name => {
                self.text.extend_from_slice(&self.path);
                self.text.push(b'\n');
                false
            }
            Show::Lines => {
                let mark = if matched { b':' } else { b'-' };
                self.text.extend_from_slice(&self.path);
                self.text.push(mark);
                if self.numbers {
                    self.text.extend_from_slice(number.to_string().as_bytes());
                    self.text.push(mark);
                }
                self.text.extend_from_slice(line);
                if !line.ends_with(b"\n") {
                    self.text.push(b'\n');
                }
                true
            }
        }
    }

    fn gap(&mut self) {
        if self.show == Show::Lines {
            self.text.extend_from_slice(b"--\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(options: &Options) -> Report {
        let mut report = Report::new(b"a/b.txt", options);
        let _ = report.line(2, b"before\n", false) && report.line(3, b"found", true);
        report.finish();
        report
    }

    #[test]
    fn lines_look_as_people_know_them() {
        let taken = report(&Options::default()).take();
        assert_eq!(taken, (b"a/b.txt-2-before\na/b.txt:3:found\n".to_vec(), 1));
        let mut unnumbered = report(&Options { without_numbers: true, ..Options::default() });
        assert_eq!(unnumbered.take().0, b"a/b.txt-before\na/b.txt:found\n");
        assert_eq!(unnumbered.take(), (vec![], 0));
    }

    #[test]
    fn a_name_is_printed_once_and_is_enough() {
        let mut report = Report::new(b"a", &Options { show: Show::Name, ..Options::default() });
        assert!(!report.line(1, b"x\n", true));
        report.finish();
        assert_eq!(report.take().0, b"a\n");
    }

    #[test]
    fn counts_are_of_matches_and_none_are_not_printed() {
        let options = Options { show: Show::Count, ..Options::default() };
        assert_eq!(report(&options).take().0, b"a/b.txt:1\n");
        let mut none = Report::new(b"a", &options);
        none.finish();
        assert_eq!(none.take().0, b"");
    }
}
