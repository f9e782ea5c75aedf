//! The search: goes through the folder, many files at a time.

use crate::arguments::Options;
use crate::globs::Globs;
use crate::lines::{LINE_LIMIT_BYTES, LineSearch};
use crate::output::Output;
use crate::pattern;
use crate::report::Report;
use futures::stream::{self, StreamExt};
use grep_regex::RegexMatcher;
use sdk::{Error, Folder, Walk};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::rc::Rc;

/// Files in flight. A link answers tens of thousands of calls a second and a round trip takes tens of microseconds, so
/// that a few would do on one host; these hide the latency of another host. What a file holds (pieces under way, a
/// line, context) is below 1.5 MiB, most much less: all of it fits the app's 64 MiB.
const FILES_IN_FLIGHT: usize = 32;

/// How much of a file's beginning is looked at for a zero byte.
const BINARY_PREFIX_BYTES: usize = 8 << 10;

/// How a search went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Files that were looked through, without those that are not text.
    pub(crate) files: u64,
    /// Lines that matched.
    pub(crate) matches: u64,
    /// What could not be read.
    pub(crate) errors: u64,
}

/// Why a search came to an early end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The folder was taken back, or is not to be reached.
    Cut(Error),
    /// Nobody takes the output.
    Output(std::io::Error),
}

/// One search: what it looks for, where its results go, and how it went so far.
pub(crate) struct Search<W, E> {
    options: Options,
    globs: Rc<Globs>,
    matcher: RegexMatcher,
    output: Output<W>,
    errors: RefCell<E>,
    tally: Cell<Tally>,
}

impl<W: Write, E: Write> Search<W, E> {
    /// Says what is wrong with a pattern or a glob.
    pub(crate) fn new(options: Options, writer: W, errors: E) -> Result<Search<W, E>, String> {
        let has_context = options.before_lines + options.after_lines > 0;
        Ok(Search {
            globs: Rc::new(Globs::new(&options.globs)?),
            matcher: pattern::matcher(&options)?,
            output: Output::new(writer, if has_context { b"--\n" } else { b"" }),
            errors: RefCell::new(errors),
            tally: Cell::default(),
            options,
        })
    }

    /// Searches the folder. What was found until an early end is written as well.
    pub(crate) async fn run(self, folder: &Folder) -> (Tally, Result<(), Stop>) {
        let result = self.search(folder).await;
        let written = self.output.finish().map_err(Stop::Output);
        (self.tally.get(), result.and(written))
    }

    async fn search(&self, folder: &Folder) -> Result<(), Stop> {
        let files = self.files(folder).enumerate();
        let searches = files.map(async |(number, file)| match file {
            Ok(path) => {
                let result = self.file(folder, &path, number as u64).await;
                self.output.done(number as u64);
                result
            }
            Err(error) => {
                self.output.done(number as u64);
                self.failed(error)
            }
        });
        let mut searches = Box::pin(searches.buffer_unordered(FILES_IN_FLIGHT));
        while let Some(result) = searches.next().await {
            result?;
        }
        Ok(())
    }

    /// The paths of the files to search, in order.
    fn files<'a>(&'a self, folder: &'a Folder) -> impl stream::Stream<Item = Result<Vec<u8>, Error>> + 'a {
        let whole = [String::new()];
        let starts = if self.options.paths.is_empty() { whole.to_vec() } else { self.options.paths.clone() };
        stream::iter(starts).flat_map(move |start| {
            let place = Place::Unknown { start: start.trim_end_matches('/').as_bytes().to_vec() };
            stream::unfold(place, move |place| self.next_file(folder, place))
        })
    }

    async fn next_file(&self, folder: &Folder, place: Place) -> Option<(Result<Vec<u8>, Error>, Place)> {
        let (start, mut walk) = match place {
            Place::Over => return None,
            Place::Walk { start, walk } => (start, walk),
            Place::Unknown { start } => match self.enter(folder, &start).await {
                Ok(Some(walk)) => (start, walk),
                // a file that is named is searched whatever the globs say
                Ok(None) => return Some((Ok(start), Place::Over)),
                Err(error) => return Some((Err(error), Place::Over)),
            },
        };
        loop {
            match walk.next().await {
                Ok(None) => return None,
                Ok(Some(found)) if found.entry().is_file() => {
                    let path = below(&start, found.path_bytes());
                    return Some((Ok(path), Place::Walk { start, walk }));
                }
                Ok(Some(_)) => {}
                Err(error) if error.is_cut() => return Some((Err(error), Place::Over)),
                Err(error) => return Some((Err(error), Place::Walk { start, walk })),
            }
        }
    }

    /// A walk through what is at `start`, if it is a folder.
    async fn enter(&self, folder: &Folder, start: &[u8]) -> Result<Option<Walk>, Error> {
        let folder = if start.is_empty() {
            folder.clone()
        } else if folder.metadata(start).await?.is_folder() {
            folder.folder(start).await?
        } else {
            return Ok(None);
        };
        let (globs, hidden, start) = (self.globs.clone(), self.options.hidden, start.to_vec());
        let walk = folder.walk().only(move |found| {
            let entry = found.entry();
            (hidden || !entry.name_bytes().starts_with(b"."))
                && globs.allow(&below(&start, found.path_bytes()), entry.is_folder())
        });
        Ok(Some(walk.max_depth(self.options.max_depth.unwrap_or(usize::MAX))))
    }

    async fn file(&self, folder: &Folder, path: &[u8], number: u64) -> Result<(), Stop> {
        let mut report = Report::new(path, &self.options);
        let mut lines = LineSearch::new(self.options.before_lines, self.options.after_lines);
        let mut pieces = folder.stream(path);
        let mut is_first = true;
        loop {
            let piece = match pieces.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => return self.failed(error),
            };
            if is_first && piece[..piece.len().min(BINARY_PREFIX_BYTES)].contains(&0) {
                return Ok(());
            }
            is_first = false;
            let wants_more = lines.push(&self.matcher, &piece, &mut report);
            self.write(number, &mut report).await?;
            if !wants_more {
                break;
            }
        }
        lines.finish(&self.matcher, &mut report);
        report.finish();
        self.write(number, &mut report).await?;
        self.add(Tally { files: 1, ..Tally::default() });
        if lines.has_long_line() {
            let shown = String::from_utf8_lossy(path);
            let limit_kib = LINE_LIMIT_BYTES >> 10;
            self.say(&format!("{shown}: has lines longer than {limit_kib} KiB; those were searched in pieces"));
        }
        Ok(())
    }

    /// Writes what was found since the last time. Only what was written counts: so an early end tells what there is.
    async fn write(&self, number: u64, report: &mut Report) -> Result<(), Stop> {
        let (text, matches) = report.take();
        self.output.write(number, &text).await.map_err(Stop::Output)?;
        self.add(Tally { matches, ..Tally::default() });
        Ok(())
    }

    /// One file or folder that cannot be read is told and passed over; a cut ends everything.
    fn failed(&self, error: Error) -> Result<(), Stop> {
        if error.is_cut() {
            return Err(Stop::Cut(error));
        }
        self.say(&error.to_string());
        self.add(Tally { errors: 1, ..Tally::default() });
        Ok(())
    }

    fn say(&self, text: &str) {
        // where nobody reads them, the exit code still tells
        let _ = writeln!(self.errors.borrow_mut(), "search: {text}");
    }

    fn add(&self, more: Tally) {
        let sum = self.tally.get();
        self.tally.set(Tally {
            files: sum.files + more.files,
            matches: sum.matches + more.matches,
            errors: sum.errors + more.errors,
        });
    }
}

/// Where the search is in what one starting path names.
enum Place {
    Unknown { start: Vec<u8> },
    Walk { start: Vec<u8>, walk: Walk },
    Over,
}

fn below(start: &[u8], path: &[u8]) -> Vec<u8> {
    if start.is_empty() { path.to_vec() } else { [start, path].join(&b'/') }
}
