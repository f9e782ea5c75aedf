//! The operator's interface: everything a person can see and decide, served to shells on a thread apart from apps'
//! sessions. Whoever reaches it has been let in by the kernel: uid 0, or the owner of the state.

mod deciding;
mod instances;
mod packages;
mod record;
mod status;
mod why;

use std::rc::Rc;

use schema::operator_capnp::operator;
use tokio::sync::mpsc;
use vat::native::{Stream, SystemClock};
use vat::{Bounds, serve};

use crate::core::Handle;
use crate::sessions::{Incoming, Who, until_ended};

/// Rows of one page.
const PAGE_ROWS: usize = 500;

/// Serves shells as they come. Within a runtime and a `LocalSet`.
pub async fn serve_all(mut incoming: mpsc::UnboundedReceiver<Incoming>, core: Handle) {
    let clock = Rc::new(SystemClock::new());
    while let Some(arrived) = incoming.recv().await {
        let Who::Shell { uid } = arrived.who else { continue };
        let Ok(stream) = Stream::new(arrived.socket) else { continue };
        let operator = Operator { core: core.clone(), shell: arrived.process, uid };
        let serving = serve(stream, &arrived.badge, Bounds::for_operator_session(), clock.clone(), move |exports| {
            exports.export::<operator::Client, _>(operator).client
        });
        drop(tokio::task::spawn_local(until_ended(serving, core.clone(), arrived.link, arrived.process, arrived.who)));
    }
}

/// One shell's view.
struct Operator {
    core: Handle,
    shell: u64,
    uid: u32,
}

impl Operator {
    /// How the log names this person.
    fn by(&self) -> String {
        format!("uid {}", self.uid)
    }
}

/// A text that a person gave.
fn text(reader: capnp::text::Reader<'_>) -> capnp::Result<String> {
    reader.to_string().map_err(|error| capnp::Error::failed(format!("not text: {error}. Use UTF-8")))
}

/// Lists of messages count in 32 bits; pages are far shorter.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The page of `rows` after a cursor, where rows are numbered from 1; and the cursor of the next, 0 for none.
fn page<T>(rows: Vec<T>, cursor: u64) -> (Vec<T>, u64) {
    let skipped = usize::try_from(cursor).unwrap_or(usize::MAX);
    let more = rows.len() > skipped.saturating_add(PAGE_ROWS);
    let page: Vec<T> = rows.into_iter().skip(skipped).take(PAGE_ROWS).collect();
    (page, if more { cursor + PAGE_ROWS as u64 } else { 0 })
}

macro_rules! forward {
    ($($method:ident, $Params:ident, $Results:ident => $to:path;)*) => {
        impl operator::Server for Operator {
            $(
                async fn $method(
                    self: Rc<Self>,
                    params: operator::$Params,
                    results: operator::$Results,
                ) -> Result<(), capnp::Error> {
                    $to(&self, params, results).await
                }
            )*
        }
    };
}

forward! {
    status, StatusParams, StatusResults => status::status;
    install, InstallParams, InstallResults => packages::install;
    packages, PackagesParams, PackagesResults => packages::packages;
    uninstall, UninstallParams, UninstallResults => packages::uninstall;
    trust, TrustParams, TrustResults => packages::trust;
    authors, AuthorsParams, AuthorsResults => packages::authors;
    run, RunParams, RunResults => instances::run;
    wait, WaitParams, WaitResults => instances::wait;
    stop, StopParams, StopResults => instances::stop;
    instances, InstancesParams, InstancesResults => instances::instances;
    logs, LogsParams, LogsResults => instances::logs;
    offers, OffersParams, OffersResults => deciding::offers;
    requests, RequestsParams, RequestsResults => deciding::requests;
    approve, ApproveParams, ApproveResults => deciding::approve;
    deny, DenyParams, DenyResults => deciding::deny;
    grant, GrantParams, GrantResults => deciding::grant;
    grants, GrantsParams, GrantsResults => deciding::grants;
    revoke, RevokeParams, RevokeResults => deciding::revoke;
    open, OpenParams, OpenResults => deciding::open;
    why, WhyParams, WhyResults => why::why;
    log, LogParams, LogResults => record::log;
    verify_log, VerifyLogParams, VerifyLogResults => record::verify_log;
    doctor, DoctorParams, DoctorResults => status::doctor;
    shutdown, ShutdownParams, ShutdownResults => status::shutdown;
}
