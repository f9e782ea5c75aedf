//! What the servers of the rows serve: a directory that costs nothing itself.

use super::order::Work;
use super::witness;
use capnp::capability::Rc;
use schema::filesystem_capnp::directory;
use std::future::{Ready, ready};
use vat::Exports;

/// How further objects of a link are made.
#[derive(Clone)]
pub(crate) enum Maker {
    Bare,
    Guarded(Exports),
}

impl Maker {
    pub(crate) fn make(&self, object: Object) -> directory::Client {
        match self {
            Self::Bare => capnp_rpc::new_client(object),
            Self::Guarded(exports) => exports.export(object),
        }
    }
}

/// A directory whose `stat` answers at once, or after some work. It says when it was called: some clients have no clock
/// that is fine enough.
pub(crate) struct Object {
    work: Work,
    maker: Maker,
}

impl Object {
    pub(crate) fn new(work: Work, maker: Maker) -> Self {
        Self { work, maker }
    }
}

// These handlers are plain functions, not asynchronous ones: they run as soon as the library dispatches the call,
// so that a library which checks the link too late is found out.
impl directory::Server for Object {
    fn stat(
        self: Rc<Self>,
        _: directory::StatParams,
        mut results: directory::StatResults,
    ) -> impl Future<Output = Result<(), capnp::Error>> + 'static {
        if let Work::Compute { nanoseconds } = self.work {
            let entered_ns = witness::started();
            while witness::now_ns() - entered_ns < nanoseconds {
                std::hint::spin_loop();
            }
        }
        let mut metadata = results.get().init_metadata();
        metadata.set_size(7);
        metadata.set_modified_ns(i64::try_from(witness::now_ns()).unwrap_or(i64::MAX));
        done()
    }

    fn open_directory(
        self: Rc<Self>,
        _: directory::OpenDirectoryParams,
        mut results: directory::OpenDirectoryResults,
    ) -> impl Future<Output = Result<(), capnp::Error>> + 'static {
        let object = Object::new(self.work, self.maker.clone());
        results.get().set_directory(self.maker.make(object));
        done()
    }
}

fn done() -> Ready<Result<(), capnp::Error>> {
    ready(Ok(()))
}
