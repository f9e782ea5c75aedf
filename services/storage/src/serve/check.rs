//! A check of the whole store: it works on a disk thread, and what it finds goes to the operator's reporter as it is found.

use std::ops::ControlFlow;

use capnp::Error;
use files::serve::Link;
use schema::storage_capnp::{finding, reporter};
use tokio::sync::mpsc::{Receiver, channel};

use super::limits::FINDINGS;
use super::vault::Vault;
use crate::store::{Checked, Finding, Severity, Summary};

/// Ends where the reporter fails or the call is dropped.
pub(super) async fn check(
    vault: &Vault,
    link: &Link,
    repair: bool,
    reporter: &reporter::Client,
) -> Result<Summary, Error> {
    let (found, findings) = channel(FINDINGS);
    let vault = vault.clone();
    let checking = link.disk().run(move || {
        let store = vault.unlocked()?.store;
        // Whoever is told has gone where nobody takes what is found.
        let mut tell = |checked| match found.blocking_send(checked) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        store.check(repair, &mut tell).map_err(|error| vault.failed(&error))
    });
    let (checked, told) = futures::join!(checking, tell(findings, reporter));
    told?;
    Ok(checked?)
}

async fn tell(mut findings: Receiver<Checked>, reporter: &reporter::Client) -> Result<(), Error> {
    while let Some(checked) = findings.recv().await {
        match checked {
            Checked::Found(finding) => {
                let mut request = reporter.found_request();
                write(&finding, request.get().init_finding());
                request.send().await?;
            }
            Checked::Progress { done_bytes, of_bytes } => {
                let mut request = reporter.progress_request();
                request.get().set_done_bytes(done_bytes);
                request.get().set_of_bytes(of_bytes);
                request.send().await?;
            }
        }
    }
    Ok(())
}

fn write(found: &Finding, mut builder: finding::Builder<'_>) {
    builder.set_severity(match found.severity {
        Severity::Note => finding::Severity::Note,
        Severity::Repaired => finding::Severity::Repaired,
        Severity::Lost => finding::Severity::Lost,
    });
    builder.set_where(&found.place);
    builder.set_what(&found.what);
    builder.set_done(&found.done);
}
