//! Stopping in order: the kernel stops everything else first, so that the powerbox can record how it ended.

use std::rc::Rc;

use super::Core;
use crate::problem::Problem;

impl Core {
    /// The node is being stopped: nothing new begins.
    pub(crate) fn stop_soon(&self) {
        self.stopping.set(true);
        self.bells.requests.ring();
        self.bells.processes.ring();
    }

    /// Has the kernel stop everything.
    pub(crate) async fn shut_down(self: &Rc<Self>, by: &str) -> Result<(), Problem> {
        self.commit(by, crate::record::Record::Note("the node is being stopped".into())).await?;
        // The keys stop before this process does.
        self.signed().await;
        self.stop_soon();
        // Its answer may come after the door has closed.
        drop(self.control.send(&[], |mut command| command.set_shutdown(()))?);
        Ok(())
    }

    /// The last thing: everything on the disk, and the index up to date.
    pub async fn finish(self: Rc<Self>) {
        self.stopping.set(true);
        let position = self.with_log(crate::log::Log::position);
        if let Err(problem) = self.durable(position).await {
            self.last_word(&problem.to_string()).await;
            return;
        }
        self.write_index().await;
        if let Some(index) = self.index.borrow_mut().take() {
            index.stop();
        }
        self.usage.borrow_mut().flush(&self.state.borrow(), self.now_ms());
    }
}
