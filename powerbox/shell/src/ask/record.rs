//! The node itself and its log.

use super::rows;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::{Finding, Record, Status, Verification};

/// Records asked for at once: what the node gives in one page.
const PAGE_RECORDS: u32 = 500;

impl Node {
    pub(crate) async fn status(&self) -> Outcome<Status> {
        let response = self.operator().status_request().send().promise.await?;
        Status::read(response.get()?.get_status()?)
    }

    pub(crate) async fn doctor(&self) -> Outcome<Vec<Finding>> {
        let response = self.operator().doctor_request().send().promise.await?;
        Ok(rows!(response.get()?.get_findings(), Finding::read))
    }

    /// Asks the node to stop; the door closes when it has.
    pub(crate) async fn shutdown(&self) -> Outcome {
        self.operator().shutdown_request().send().promise.await?;
        Ok(())
    }

    /// A page of records after a position, and the position of the last record there is. `wait`: until there is one.
    pub(crate) async fn log(&self, after: u64, wait: bool) -> Outcome<(Vec<Record>, u64)> {
        let mut request = self.operator().log_request();
        request.get().set_after(after);
        request.get().set_limit(PAGE_RECORDS);
        request.get().set_wait(wait);
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok((rows!(results.get_records(), Record::read), results.get_last()))
    }

    pub(crate) async fn verify_log(&self) -> Outcome<Verification> {
        let response = self.operator().verify_log_request().send().promise.await?;
        Verification::read(response.get()?.get_result()?)
    }
}
