//! One life of the storage service.

use crate::keys::Keys;
use crate::process::Process;
use capnp::capability::{Client, FromClientHook};
use capnp::traits::HasTypeId;
use files::testing::badge;
use schema::session_capnp::session;
use schema::storage_capnp::{reporter, store, stored_directory};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use vat::{Badge, Exports, Peer, Rights};

/// Nobody's on any machine: the node's own range begins at 2,000,000,000.
pub(crate) const USER: u32 = 1_999_999_996;

/// The service, running and introduced to the keys.
pub(crate) struct Storage {
    pub(crate) process: Process,
    troubles: Rc<RefCell<Vec<String>>>,
}

impl Storage {
    /// Starts it over a folder. Nothing where it dies before it is confined.
    pub(crate) fn start(program: &Path, state: &Path, keys: &mut Keys) -> Option<Self> {
        let mut process = Process::start(program, state, USER)?;
        let troubles = Rc::<RefCell<Vec<String>>>::default();
        let listener = Listener(troubles.clone());
        process.give_session(move |exports| {
            Client::new(exports.export::<session::Client, _>(listener).into_client_hook())
        });
        keys.give_to(&mut process);
        Some(Self { process, troubles })
    }

    /// A link to a directory of its, made where it is not there.
    pub(crate) fn directory(&mut self, path: &str, grant: u64) -> stored_directory::Client {
        let interface = stored_directory::Client::TYPE_ID;
        let badge = Badge { grant, interface, object: path.to_owned(), ..badge(Rights::ALL) };
        self.process.connect(&badge).0
    }

    /// Reads and checks every byte. What is wrong.
    pub(crate) async fn check(&mut self) -> Result<Vec<String>, capnp::Error> {
        let interface = store::Client::TYPE_ID;
        let operator = Badge { grant: 1, interface, peer: Peer::Shell, ..badge(Rights::ALL) };
        let (store, exports): (store::Client, Exports) = self.process.connect(&operator);
        let found = Rc::<RefCell<Vec<String>>>::default();
        let mut request = store.check_request();
        request.get().set_reporter(exports.export(Reporter(found.clone())));
        let answer = request.send().promise.await?;
        let summary = answer.get()?.get_summary()?;
        let mut found = found.take();
        if !summary.get_clean() {
            found.push(format!("not clean: {} are lost", summary.get_lost()));
        }
        Ok(found)
    }

    /// What it told people of that they should act on: no death is a reason for that.
    pub(crate) fn damage(&self) -> Option<String> {
        self.troubles.borrow().iter().find(|text| text.starts_with("the store: damaged")).cloned()
    }

    /// What people were told.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.borrow().clone()
    }
}

/// The service with its fault points, built once.
pub(crate) fn faulted() -> PathBuf {
    tests::faults::build("storage-service", "latch-storage")
}

/// A powerbox's session, as far as trouble goes.
struct Listener(Rc<RefCell<Vec<String>>>);

impl session::Server for Listener {
    async fn trouble(
        self: Rc<Self>,
        params: session::TroubleParams,
        _: session::TroubleResults,
    ) -> Result<(), capnp::Error> {
        let text = params.get()?.get_text()?.to_string()?;
        self.0.borrow_mut().push(text);
        Ok(())
    }

    async fn report(self: Rc<Self>, _: session::ReportParams, _: session::ReportResults) -> Result<(), capnp::Error> {
        Ok(())
    }
}

struct Reporter(Rc<RefCell<Vec<String>>>);

impl reporter::Server for Reporter {
    async fn found(self: Rc<Self>, params: reporter::FoundParams) -> Result<(), capnp::Error> {
        let finding = params.get()?.get_finding()?;
        let (place, what) = (finding.get_where()?.to_string()?, finding.get_what()?.to_string()?);
        self.0.borrow_mut().push(format!("{place}: {what}"));
        Ok(())
    }

    async fn progress(self: Rc<Self>, _: reporter::ProgressParams) -> Result<(), capnp::Error> {
        Ok(())
    }
}
