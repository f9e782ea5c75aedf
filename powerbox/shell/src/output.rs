//! Standard output. When whoever reads it has gone (`latch log | head`), latch ends as other tools do.

use std::io::{self, ErrorKind, Write};

use crate::failure::{Doing as _, Outcome};

/// What a shell reports for a process that SIGPIPE ended: 128 + 13.
const EXIT_BROKEN_PIPE: i32 = 141;

/// Writes bytes and flushes them.
pub(crate) fn bytes(bytes: &[u8]) -> Outcome {
    let mut stdout = io::stdout().lock();
    check(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Writes text as it is: the caller has escaped it.
pub(crate) fn text(text: &str) -> Outcome {
    bytes(text.as_bytes())
}

/// Writes one line.
pub(crate) fn line(line: &str) -> Outcome {
    bytes(format!("{line}\n").as_bytes())
}

/// Ends the process if the reader has gone; other errors are told.
pub(crate) fn check(result: io::Result<()>) -> Outcome {
    if matches!(&result, Err(error) if error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(EXIT_BROKEN_PIPE);
    }
    result.doing(|| "cannot write to standard output".to_owned())
}
