//! A check of the whole store: it works on a disk thread, and what it finds goes to the operator's reporter as it is found.

use std::ops::ControlFlow;

use capnp::Error;
use files::serve::Link;
use schema::storage_capnp::{finding, reporter};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, channel};

use super::limits::{FINDINGS, LOGGED};
use super::vault::Vault;
use crate::store::{Finding, Severity, Summary, Told};

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
        let store = vault.store()?;
        let mut logged = 0;
        // Whoever is told has gone where nobody takes what is found. How far it is may be missed, and holds up nothing.
        let mut tell = |told| {
            // A repair takes away what would name it again: the node's log keeps it.
            if let Told::Found(finding) = &told
                && repair
                && finding.severity == Severity::Lost
            {
                logged += 1;
                if logged <= LOGGED {
                    vault.lost(finding);
                }
            }
            let gone = match told {
                Told::Found(_) => found.blocking_send(told).is_err(),
                Told::Progress { .. } => matches!(found.try_send(told), Err(TrySendError::Closed(_))),
            };
            if gone { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        store.check(repair, &mut tell).map_err(|error| vault.failed(&error))
    });
    let (checked, told) = futures::join!(checking, tell(findings, reporter));
    told?;
    Ok(checked?)
}

async fn tell(mut findings: Receiver<Told>, reporter: &reporter::Client) -> Result<(), Error> {
    while let Some(told) = findings.recv().await {
        match told {
            Told::Found(finding) => {
                let mut request = reporter.found_request();
                write(&finding, request.get().init_finding());
                request.send().await?;
            }
            Told::Progress { done_bytes, of_bytes } => {
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
