//! The receiving end of a file that streams to this shell.

use std::cell::RefCell;
use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::rc::Rc;

use capnp::Error;
use schema::filesystem_capnp::file;
use schema::stream_capnp::byte_stream;
use vat::Exports;

use super::progress::Progress;
use super::{about, path_bytes};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::text::filter::Filter;

/// Writes what comes; the next bytes are taken when these are where they belong.
struct Sink<W> {
    shared: Rc<RefCell<Shared<W>>>,
}

struct Shared<W> {
    to: W,
    taken_bytes: u64,
    progress: Progress,
    ended: bool,
    error: Option<std::io::Error>,
}

impl<W: Write + 'static> byte_stream::Server for Sink<W> {
    async fn write(self: Rc<Self>, parameters: byte_stream::WriteParams) -> Result<(), Error> {
        let bytes = parameters.get()?.get_bytes()?;
        let mut shared = self.shared.borrow_mut();
        if shared.error.is_some() || shared.ended {
            return Err(Error::failed("the stream has ended".to_owned()));
        }
        if let Err(error) = shared.to.write_all(bytes) {
            let text = error.to_string();
            shared.error = Some(error);
            return Err(Error::failed(text));
        }
        shared.taken_bytes += bytes.len() as u64;
        let taken = shared.taken_bytes;
        shared.progress.show(taken);
        Ok(())
    }

    async fn end(self: Rc<Self>, _: byte_stream::EndParams, mut results: byte_stream::EndResults) -> Result<(), Error> {
        let mut shared = self.shared.borrow_mut();
        shared.ended = true;
        shared.to.flush().map_err(|error| Error::failed(error.to_string()))?;
        results.get().set_total(shared.taken_bytes);
        Ok(())
    }
}

/// Streams a whole file, which has that path, into `to`; how many bytes there were.
pub(super) async fn receive<W: Write + 'static>(
    file: &file::Client,
    path: &Path,
    exports: &Exports,
    to: W,
    progress: Progress,
) -> Outcome<u64> {
    let shared = Rc::new(RefCell::new(Shared { to, taken_bytes: 0, progress, ended: false, error: None }));
    let mut request = file.read_to_request();
    request.get().set_sink(exports.export(Sink { shared: Rc::clone(&shared) }));
    let sent = request.send().promise.await;
    let mut shared = shared.borrow_mut();
    shared.progress.finish();
    if let Some(error) = shared.error.take() {
        output::check(Err(error))?;
    }
    let sent = sent.map_err(|error| about("read", path_bytes(path), error.into()))?.get()?.get_sent();
    if !shared.ended || sent != shared.taken_bytes {
        return Err(Failure::new("the file came only in part")
            .because(format!("{} of {sent} bytes", shared.taken_bytes))
            .next("try again"));
    }
    Ok(sent)
}

/// Streams a whole file to standard output. Into a pipe every byte goes as it is, on a terminal only text and colours.
pub(super) async fn print(file: &file::Client, path: &Path, exports: &Exports, progress: Progress) -> Outcome<u64> {
    if std::io::stdout().is_terminal() {
        receive(file, path, exports, Shown::default(), progress).await
    } else {
        receive(file, path, exports, std::io::stdout(), progress).await
    }
}

/// Standard output that is a terminal.
#[derive(Default)]
struct Shown {
    filter: Filter,
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        output::others(&mut std::io::stdout(), &self.filter.pass(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        output::others(&mut std::io::stdout(), &self.filter.finish())
    }
}
