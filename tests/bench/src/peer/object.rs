//! What the servers of the rows serve: a directory that costs nothing itself.

use super::order::Work;
use super::witness;
use capnp::capability::Rc;
use schema::filesystem_capnp::directory;
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

impl directory::Server for Object {
    fn stat(
        self: Rc<Self>,
        _: directory::StatParams,
        mut results: directory::StatResults,
    ) -> impl Future<Output = Result<(), capnp::Error>> + 'static {
        if let Work::Compute { nanoseconds, eager: true } = self.work {
            compute(nanoseconds);
        }
        async move {
            if let Work::Compute { nanoseconds, eager: false } = self.work {
                compute(nanoseconds);
            }
            let mut metadata = results.get().init_metadata();
            metadata.set_size(7);
            metadata.set_modified_ns(i64::try_from(witness::now_ns()).unwrap_or(i64::MAX));
            Ok(())
        }
    }

    async fn open_directory(
        self: Rc<Self>,
        _: directory::OpenDirectoryParams,
        mut results: directory::OpenDirectoryResults,
    ) -> Result<(), capnp::Error> {
        let object = Object::new(self.work, self.maker.clone());
        results.get().set_directory(self.maker.make(object));
        Ok(())
    }
}

/// Without giving anyone else a turn.
fn compute(nanoseconds: u64) {
    let entered_ns = witness::started();
    while witness::now_ns() - entered_ns < nanoseconds {
        std::hint::spin_loop();
    }
}
