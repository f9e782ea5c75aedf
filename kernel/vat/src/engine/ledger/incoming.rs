//! What the ledger notes of messages that come in, and what it refuses.

use super::{Answer, Finish, Ledger, NAMED_LIMIT, Question, Verdict, within};
use crate::bounds::{PIPELINE_DEPTH_LIMIT, REASON_LIMIT_BYTES, References};
use crate::engine::call::Call;
use crate::engine::fault::Fault;
use crate::words::clip;
use capnp::struct_list;
use capnp_rpc::rpc_capnp::{
    call, cap_descriptor, disembargo, finish, message, message_target, payload, promised_answer, resolve, return_,
};
use std::rc::Rc;

impl Ledger {
    /// Takes note of a message that came in, of so many bytes, at this time.
    pub(crate) fn incoming(
        &mut self,
        message: message::Reader<'_>,
        size_bytes: usize,
        now_ns: u64,
    ) -> Result<Verdict, Fault> {
        match message.which()? {
            message::Call(call) => self.call(call?, size_bytes, now_ns),
            message::Return(result) => self.result(result?),
            message::Finish(finish) => self.finish(finish?),
            message::Release(release) => {
                let release = release?;
                self.released(release.get_id(), release.get_reference_count())
            }
            message::Bootstrap(bootstrap) => {
                let call = Call { size_bytes, read_ns: now_ns, ..Call::default() };
                self.hold(bootstrap?.get_question_id(), Rc::new(call))?;
                Ok(Verdict::Pass)
            }
            message::Resolve(resolve) => self.resolve(resolve?),
            message::Disembargo(disembargo) => self.disembargo(disembargo?),
            message::Abort(abort) => {
                let reason = abort?.get_reason()?.to_string().unwrap_or_default();
                Ok(Verdict::Abort(clip(&reason, REASON_LIMIT_BYTES).to_owned()))
            }
            message::Unimplemented(_) => Err(Fault::Foreign("unimplemented")),
            message::Provide(_) => Err(Fault::Foreign("provide")),
            message::Accept(_) => Err(Fault::Foreign("accept")),
            message::Join(_) => Err(Fault::Foreign("join")),
            message::ObsoleteSave(_) | message::ObsoleteDelete(_) => Err(Fault::Foreign("save or delete")),
        }
    }

    fn call(&mut self, call: call::Reader<'_>, size_bytes: usize, now_ns: u64) -> Result<Verdict, Fault> {
        if !matches!(call.get_send_results_to().which()?, call::send_results_to::Caller(())) {
            return Err(Fault::Foreign("a call whose results go elsewhere"));
        }
        let mut parents = Vec::new();
        parents.extend(self.target(call.get_target()?)?);
        let mut given = Vec::new();
        for descriptor in self.table(call.get_params()?)? {
            given.extend(self.import(descriptor, Place::Call)?);
        }
        parents.extend(given.iter().cloned());
        let depth = 1 + parents.iter().map(|parent| parent.depth).max().unwrap_or(0);
        within("calls in a chain", depth, PIPELINE_DEPTH_LIMIT)?;

        self.calls += 1;
        let call_in =
            Call { number: self.calls, size_bytes, read_ns: now_ns, depth, parents, given, ..Call::default() };
        let call_in = Rc::new(call_in);
        self.hold(call.get_question_id(), call_in.clone())?;
        call_in.attach();
        Ok(Verdict::Call(call_in))
    }

    fn hold(&mut self, question: u32, call: Rc<Call>) -> Result<(), Fault> {
        if self.answers.contains_key(&question) {
            return Err(Fault::Reused("it makes call", question));
        }
        let held_bytes = call.size_bytes;
        self.answers.insert(question, Answer { call, held_bytes, exports: Vec::new(), early_finish: None });
        self.held_bytes += held_bytes;
        within("unfinished calls", self.answers.len(), self.bounds.held)?;
        within("bytes of unfinished calls", self.held_bytes, self.bounds.held_bytes)
    }

    /// The object or result that a message is for: the call of that result, where it has not returned.
    fn target(&self, target: message_target::Reader<'_>) -> Result<Option<Rc<Call>>, Fault> {
        match target.which()? {
            message_target::ImportedCap(id) if self.exports.contains_key(&id) => Ok(None),
            message_target::ImportedCap(id) => Err(Fault::Unknown("it calls object", id)),
            message_target::PromisedAnswer(answer) => self.promised(answer?),
        }
    }

    /// A result that was finished meanwhile is no fault: it may have been sent with the word that no finish is
    /// needed, while the message was on its way. The engine answers with an error.
    fn promised(&self, answer: promised_answer::Reader<'_>) -> Result<Option<Rc<Call>>, Fault> {
        let call = self.answers.get(&answer.get_question_id()).map(|answer| &answer.call);
        Ok(call.filter(|call| !call.has_returned()).cloned())
    }

    fn table<'a>(&self, payload: payload::Reader<'a>) -> Result<struct_list::Reader<'a, cap_descriptor::Owned>, Fault> {
        let table = payload.get_cap_table()?;
        within("references in one message", table.len() as usize, self.bounds.objects)?;
        Ok(table)
    }

    /// A reference that came in: the call it is a result of, where that has not returned.
    fn import(&mut self, descriptor: cap_descriptor::Reader<'_>, place: Place) -> Result<Option<Rc<Call>>, Fault> {
        let references = self.bounds.references;
        let which = descriptor.which()?;
        if references == References::None && !matches!(which, cap_descriptor::None(())) {
            return Err(Fault::Reference("any, on a link that carries data only"));
        }
        match which {
            cap_descriptor::None(()) => Ok(None),
            cap_descriptor::SenderHosted(id) => self.imported(id).map(|()| None),
            cap_descriptor::SenderPromise(_) if references == References::Settled => {
                Err(Fault::Reference("a promise (senderPromise)"))
            }
            cap_descriptor::SenderPromise(id) => self.imported(id).map(|()| None),
            cap_descriptor::ReceiverHosted(id) if self.exports.contains_key(&id) => Ok(None),
            cap_descriptor::ReceiverHosted(id) => Err(Fault::Unknown("it passes object", id)),
            cap_descriptor::ReceiverAnswer(_) if references == References::Settled && place != Place::Call => {
                Err(Fault::Reference("a result (receiverAnswer) where references are settled"))
            }
            cap_descriptor::ReceiverAnswer(answer) => self.promised(answer?),
            cap_descriptor::ThirdPartyHosted(_) => Err(Fault::Reference("a third party's (thirdPartyHosted)")),
        }
    }

    fn imported(&mut self, id: u32) -> Result<(), Fault> {
        let count = self.imports.entry(id).or_insert(0);
        *count += 1;
        within("uses of one reference", *count as usize, NAMED_LIMIT as usize)?;
        within("objects of its own that it passes", self.imports.len(), self.bounds.objects)
    }

    fn result(&mut self, result: return_::Reader<'_>) -> Result<Verdict, Fault> {
        let id = result.get_answer_id();
        let question = match self.questions.get(&id) {
            Some(question) if question.returned => return Err(Fault::Reused("it answers call", id)),
            Some(question) => *question,
            None => return Err(Fault::Unknown("it answers call", id)),
        };
        match result.which()? {
            return_::Results(results) => {
                for descriptor in self.table(results?)? {
                    // what comes for a call that was given up the engine never takes in, and the peer releases it
                    if question.finished {
                        self.import_unused(descriptor)?;
                    } else {
                        self.import(descriptor, Place::Return)?;
                    }
                }
            }
            return_::Exception(exception) => drop(exception?.get_reason()?),
            // only of a call that was given up
            return_::Canceled(()) if question.finished => {}
            return_::Canceled(()) => return Err(Fault::Foreign("the cancellation of a call that is wanted")),
            return_::ResultsSentElsewhere(()) | return_::TakeFromOtherQuestion(_) => {
                return Err(Fault::Foreign("a result that went elsewhere"));
            }
            return_::AcceptFromThirdParty(_) => return Err(Fault::Foreign("a third party's result")),
        }
        if question.finished || result.get_no_finish_needed() {
            self.questions.remove(&id);
        } else {
            self.questions.insert(id, Question { returned: true, ..question });
        }
        Ok(Verdict::Pass)
    }

    fn import_unused(&self, descriptor: cap_descriptor::Reader<'_>) -> Result<(), Fault> {
        match descriptor.which()? {
            cap_descriptor::None(()) => Ok(()),
            _ if self.bounds.references == References::None => {
                Err(Fault::Reference("any, on a link that carries data only"))
            }
            cap_descriptor::ThirdPartyHosted(_) => Err(Fault::Reference("a third party's (thirdPartyHosted)")),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, finish: finish::Reader<'_>) -> Result<Verdict, Fault> {
        let question = finish.get_question_id();
        let release_results = finish.get_release_result_caps();
        let Some(answer) = self.answers.get_mut(&question) else {
            self.spare_finishes =
                self.spare_finishes.checked_sub(1).ok_or(Fault::Unknown("it finishes call", question))?;
            return Ok(Verdict::Done);
        };
        if !answer.call.has_returned() {
            if answer.early_finish.is_some() {
                return Err(Fault::Reused("it finishes call", question));
            }
            answer.early_finish = Some(Finish { question, release_results });
            answer.call.set_unwanted();
            return Ok(Verdict::Done);
        }
        self.finished(Finish { question, release_results })?;
        Ok(Verdict::Pass)
    }

    fn resolve(&mut self, resolve: resolve::Reader<'_>) -> Result<Verdict, Fault> {
        if self.bounds.references != References::Any {
            return Err(Fault::Reference("the resolution of a promise"));
        }
        if let resolve::Cap(descriptor) = resolve.which()? {
            self.import(descriptor?, Place::Resolve)?;
        }
        Ok(Verdict::Pass)
    }

    fn disembargo(&mut self, disembargo: disembargo::Reader<'_>) -> Result<Verdict, Fault> {
        match disembargo.get_context().which()? {
            disembargo::context::SenderLoopback(_) => {
                self.target(disembargo.get_target()?)?;
                Ok(Verdict::Pass)
            }
            disembargo::context::ReceiverLoopback(id) if self.embargoes.remove(&id) => Ok(Verdict::Pass),
            disembargo::context::ReceiverLoopback(id) => Err(Fault::Unknown("it lifts embargo", id)),
            disembargo::context::Accept(()) | disembargo::context::Provide(_) => {
                Err(Fault::Foreign("an embargo between three"))
            }
        }
    }
}

/// Where a reference stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Call,
    Return,
    Resolve,
}
