//! What goes on beside: the index follows the log, the log is signed now and then, usage is written, and a log that
//! cannot be written any more ends the powerbox.

use std::rc::Rc;
use std::time::Duration;

use super::{Core, THE_NODE};
use crate::log::Reached;
use crate::record::Record;

/// How often the index and the usage log follow, and the log is signed.
const PERIOD: Duration = Duration::from_secs(5);
/// How long an answer may take from here to a shell: a hundred times what it takes.
const ANSWER_GRACE: Duration = Duration::from_millis(100);

impl Core {
    /// Keeps index, checkpoints and usage up to date; never returns.
    pub async fn keep_up(self: Rc<Self>) {
        let mut index_trouble = None;
        loop {
            let many = self.bells.unsigned.count();
            let unsigned = self.bells.unsigned.until(|| (self.bells.unsigned.count() > many).then_some(()));
            let _ = tokio::time::timeout(PERIOD, unsigned).await;
            self.checkpoint();
            self.write_index().await;
            self.usage.borrow_mut().flush(&self.state.borrow(), self.now_ms());
            let trouble = self.index_trouble();
            if let Some(note) = trouble.clone().filter(|_| trouble != index_trouble) {
                // A full disk is the likely reason, and then this note is not worth the last room.
                if self.need_room().is_ok() {
                    let _ = self.record(THE_NODE, Record::Note(note));
                }
                index_trouble = trouble;
            }
        }
    }

    /// Hands the index what changed, once the log on the disk has it.
    pub(crate) async fn write_index(&self) {
        let (position, head) = self.with_log(|log| (log.position(), log.head()));
        let changes = {
            let mut state = self.state.borrow_mut();
            if state.changed.is_empty() {
                return;
            }
            state.take_changes()
        };
        if self.durable(position).await.is_ok()
            && let Some(index) = self.index.borrow().as_ref()
        {
            index.write(changes, position, head);
        }
    }

    /// Returns why the log cannot be written any more, when that comes to pass.
    pub async fn log_failure(self: Rc<Self>) -> String {
        let mut reached = self.reached.clone();
        loop {
            if let Reached::Failed(why) = reached.borrow_and_update().clone() {
                self.last_word(&why).await;
                // Whoever waits for a record is told so, before the links go with this process.
                tokio::time::sleep(ANSWER_GRACE).await;
                return why;
            }
            self.bells.records.ring();
            if reached.changed().await.is_err() {
                return "the log's thread ended".into();
            }
        }
    }
}
