//! What apps ask for, and what they are told.

use std::rc::Rc;

use vat::words::{EndReason, Rights, clip};

use crate::core::Core;
use crate::pace::Rate;
use crate::problem::Problem;
use crate::record::{Asked, Holder, How, Record};
use crate::requests::Standing;
use crate::state::LabelState;
use crate::words::{PHRASE_LIMIT, REASON_LIMIT, plain};

/// New links of one grant. At once, more than any honest app makes while what it uses is restarted a few times. Each leaves
/// up to two records of 250 bytes in the log (a lease and its return): no app can make it grow by more than one pair in two
/// seconds.
const REOPENINGS: Rate = Rate { at_once: 16, period_us: 2_000_000 };

/// What an app asks for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) label: String,
    pub(crate) interface: u64,
    pub(crate) hint: String,
    pub(crate) rights: Rights,
    pub(crate) reason: String,
}

/// What an app is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Pending,
    Granted,
    Denied,
    Unannounced,
    TimedOut,
    Revoked,
    Expired,
    Exhausted,
}

impl Answer {
    pub(crate) fn of(state: LabelState) -> Option<Answer> {
        Some(match state {
            LabelState::Granted(_) => Answer::Granted,
            LabelState::Revoked(_) => Answer::Revoked,
            LabelState::Expired(_) => Answer::Expired,
            LabelState::Exhausted(_) => Answer::Exhausted,
            LabelState::Asked(Standing::Pending(_)) => Answer::Pending,
            LabelState::Asked(Standing::Settled(How::TimedOut)) => Answer::TimedOut,
            LabelState::Asked(Standing::Settled(_)) => Answer::Denied,
            LabelState::Free => return None,
        })
    }
}

impl Core {
    /// An app asks. The same label again gives the same answer and changes nothing.
    pub(crate) async fn ask(self: &Rc<Self>, instance: String, question: Question) -> Result<Answer, Problem> {
        let label = question.label.clone();
        let Some(rights) = self.announced_rights(&instance, &question) else {
            *self.live.borrow_mut().unannounced.entry(instance).or_default() += 1;
            return Ok(Answer::Unannounced);
        };
        let standing = self.state.borrow().label(&instance, &label);
        if let LabelState::Granted(grant) = standing {
            if self.live.borrow().open.contains_key(&grant) {
                // Its link may be closed already without the powerbox knowing: then the end of it opens another.
                self.live.borrow_mut().asked_again.insert(grant);
            } else {
                self.reopen_soon(grant);
            }
        }
        if let LabelState::Asked(Standing::Pending(request)) = standing {
            *self.live.borrow_mut().coalesced.entry(request).or_default() += 1;
        }
        if let Some(answer) = Answer::of(standing) {
            return Ok(answer);
        }
        self.need_room()?;
        if self.state.borrow().requests.admits(&instance).is_err() {
            return Err(Problem::Busy("too many requests are undecided. Ask again when some are".into()));
        }
        let asked = Asked {
            request: self.state.borrow().requests.next(),
            label,
            interface: question.interface,
            hint: clip(&question.hint, PHRASE_LIMIT).to_owned(),
            rights,
            reason: clip(&question.reason, REASON_LIMIT).to_owned(),
            at_ms: self.now_ms(),
            instance: instance.clone(),
        };
        self.record(&format!("app {instance}"), Record::Asked(asked))?;
        self.bells.requests.ring();
        Ok(Answer::Pending)
    }

    /// Links a grant because its holder wants it again: not more often than makes sense.
    pub(crate) fn reopen_soon(self: &Rc<Self>, grant: u64) {
        let now_us = self.now_ms() * 1_000;
        let mut live = self.live.borrow_mut();
        if live.opening.contains(&grant) {
            // The link on its way may have ended before the powerbox heard that it was made: then it is none.
            live.asked_again.insert(grant);
            return;
        }
        if live.paced.contains(&grant) {
            return;
        }
        live.paces.retain(|_, pace| !pace.is_fresh(now_us));
        let pause_us = live.paces.entry(grant).or_default().pause_us(REOPENINGS, 1, now_us);
        if pause_us == 0 {
            drop(live);
            return self.open_soon(grant);
        }
        live.paced.insert(grant);
        drop(live);
        let holder = self.state.borrow().grants.get(grant).map(|node| node.granted.holder.to_string());
        let holder = plain(&holder.unwrap_or_default(), PHRASE_LIMIT);
        let text = format!("{holder} opens its link of grant #{grant} again and again: it is made to wait each time");
        self.warn_about(&holder, text);
        let core = self.clone();
        crate::core::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_micros(pause_us)).await;
            core.live.borrow_mut().paced.remove(&grant);
            core.open_soon(grant);
        });
    }

    /// What of the rights asked for the package announces; nothing where it announces no such request.
    fn announced_rights(&self, instance: &str, question: &Question) -> Option<Rights> {
        let state = self.state.borrow();
        let row = state.instances.get(instance)?;
        let announced = state.packages.get(&row.run.app)?.manifest.announced(&question.label)?.clone();
        let fits = announced.interface == question.interface && question.rights.is_subset_of(announced.rights);
        fits.then(|| question.rights.complete())
    }

    /// Waits until a label is decided.
    pub(crate) async fn decision(self: &Rc<Self>, instance: &str, label: &str) -> Result<Answer, Problem> {
        self.bells
            .requests
            .until(|| match Answer::of(self.state.borrow().label(instance, label)) {
                Some(Answer::Pending) => None,
                Some(answer) => Some(Ok(answer)),
                None => Some(Err(Problem::refused("nothing was asked for under this label. Ask first"))),
            })
            .await
    }

    /// An app gives something back.
    pub(crate) async fn give_back(self: &Rc<Self>, instance: &str, label: &str) -> Result<(), Problem> {
        let holder = Holder::Instance(instance.to_owned());
        let held =
            self.state.borrow().grants.labelled(&holder, label).map(|(grant, node)| (grant, node.ended.is_some()));
        let (grant, ended) = held.ok_or_else(|| Problem::refused("nothing is held under this label"))?;
        if !ended {
            self.end_grants(&format!("app {instance}"), &[grant], EndReason::Closed, "given back by the app").await?;
        }
        Ok(())
    }
}
