//! What ends by time: grants, and requests that nobody decided.

use std::rc::Rc;
use std::time::Duration;

use vat::words::EndReason;

use super::{Core, THE_NODE};
use crate::record::Record;

/// The clock may be set while nobody looks: look at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Core {
    /// Ends what is over its time; never returns.
    pub async fn keep_time(self: Rc<Self>) {
        loop {
            let now_ms = self.now_ms();
            self.time_out_requests(now_ms);
            let expired = self.state.borrow().grants.expired(now_ms);
            if !expired.is_empty()
                && let Err(problem) = self.end_grants(THE_NODE, &expired, EndReason::Expired, "").await
            {
                self.warn(format!("expired grants could not be ended: {problem}"));
            }
            let next_ms = {
                let state = self.state.borrow();
                let next = [state.grants.next_expiry_ms(), state.requests.next_overdue_ms()];
                next.into_iter().flatten().min().unwrap_or(u64::MAX)
            };
            let pause = Duration::from_millis(next_ms.saturating_sub(self.now_ms()))
                .clamp(Duration::from_millis(1), LOOK_EVERY);
            // A grant that is made meanwhile may end earlier: its bell wakes this up.
            let rung = self.bells.requests.count();
            let changed = self.bells.requests.until(|| (self.bells.requests.count() != rung).then_some(()));
            let _ = tokio::time::timeout(pause, changed).await;
        }
    }

    fn time_out_requests(&self, now_ms: u64) {
        let overdue = self.state.borrow().requests.overdue(now_ms);
        if overdue.is_empty() {
            return;
        }
        for denied in overdue {
            if let Err(problem) = self.record(THE_NODE, Record::Denied(denied)) {
                self.warn(problem.to_string());
            }
        }
        self.bells.requests.ring();
    }
}
