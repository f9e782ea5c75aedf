//! What the ledger notes of messages that go out.

use super::{Finish, Ledger, NAMED_LIMIT, Question, within};
use crate::bounds::{EMBARGOES_LIMIT, References};
use crate::engine::fault::Fault;
use capnp_rpc::rpc_capnp::{cap_descriptor, disembargo, message, payload, resolve, return_};

impl Ledger {
    /// Takes note of a message that goes out. What is returned the engine is to get before anything else.
    pub(crate) fn outgoing(
        &mut self,
        message: message::Reader<'_>,
        size_bytes: usize,
    ) -> Result<Option<Finish>, Fault> {
        match message.which()? {
            message::Call(call) => {
                let call = call?;
                self.ask(call.get_question_id())?;
                self.export_all(call.get_params()?, None)?;
            }
            message::Bootstrap(bootstrap) => self.ask(bootstrap?.get_question_id())?,
            message::Return(result) => return self.answered(result?, size_bytes),
            message::Finish(finish) => {
                let question = finish?.get_question_id();
                if let Some(asked) = self.questions.get_mut(&question) {
                    asked.finished = true;
                    if asked.returned {
                        self.questions.remove(&question);
                    }
                }
            }
            message::Release(release) => {
                let release = release?;
                let id = release.get_id();
                if let Some(count) = self.imports.get_mut(&id) {
                    *count = count.saturating_sub(release.get_reference_count());
                    if *count == 0 {
                        self.imports.remove(&id);
                    }
                }
            }
            message::Resolve(resolve) => {
                if let resolve::Cap(descriptor) = resolve?.which()? {
                    self.export(descriptor?)?;
                }
            }
            message::Disembargo(disembargo) => {
                if let disembargo::context::SenderLoopback(id) = disembargo?.get_context().which()? {
                    self.embargoes.insert(id);
                    within("references being settled", self.embargoes.len(), EMBARGOES_LIMIT)?;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn ask(&mut self, question: u32) -> Result<(), Fault> {
        self.questions.insert(question, Question::default());
        within("calls that it does not answer", self.questions.len(), self.bounds.questions)
    }

    fn answered(&mut self, result: return_::Reader<'_>, size_bytes: usize) -> Result<Option<Finish>, Fault> {
        let question = result.get_answer_id();
        let mut exports = Vec::new();
        if let return_::Results(results) = result.which()? {
            self.export_all(results?, Some(&mut exports))?;
        }
        let Some(answer) = self.answers.get_mut(&question) else { return Ok(None) };
        answer.call.set_returned();
        let early_finish = answer.early_finish.take();
        if result.get_no_finish_needed() {
            self.spare_finishes += u64::from(early_finish.is_none());
            self.finished(Finish { question, release_results: false })?;
            return Ok(None);
        }
        // the request is gone, the result is held until it is finished
        self.held_bytes = self.held_bytes - answer.held_bytes + size_bytes;
        answer.held_bytes = size_bytes;
        answer.exports = exports;
        if let Some(finish) = early_finish {
            self.finished(finish)?;
        }
        within("bytes of unfinished calls", self.held_bytes, self.bounds.held_bytes)?;
        Ok(early_finish)
    }

    fn export_all(&mut self, payload: payload::Reader<'_>, mut named: Option<&mut Vec<u32>>) -> Result<(), Fault> {
        for descriptor in payload.get_cap_table()? {
            if let Some(id) = self.export(descriptor)?
                && let Some(named) = &mut named
            {
                named.push(id);
            }
        }
        Ok(())
    }

    /// A reference that goes out: its id, where the other end now holds it here. Strangers get no promise of ours: they
    /// could pass it back before it is settled, as what it is to be.
    fn export(&mut self, descriptor: cap_descriptor::Reader<'_>) -> Result<Option<u32>, Fault> {
        let id = match descriptor.which()? {
            cap_descriptor::SenderHosted(id) => id,
            cap_descriptor::SenderPromise(id) if self.bounds.references == References::Any => id,
            cap_descriptor::SenderPromise(_) => return Err(Fault::OwnPromise),
            _ => return Ok(None),
        };
        let count = self.exports.entry(id).or_insert(0);
        *count += 1;
        within("uses of one object", *count as usize, NAMED_LIMIT as usize)?;
        within("objects that it holds", self.exports.len(), self.bounds.objects)?;
        Ok(Some(id))
    }
}
