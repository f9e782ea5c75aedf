//! Sessions: what an app or a service can ask of the powerbox. They are served on a thread of their own, away from the
//! core and from operators; what they ask for goes to the core as work. Data only: no method takes or returns an
//! object, and the vat library cuts a link on which one comes.

use std::os::unix::net::UnixStream;
use std::rc::Rc;

use schema::session_capnp::{Decision, session, usage};
use tokio::sync::mpsc;
use vat::bounds::{METERED_METHODS_LIMIT, REPORT_LINKS_LIMIT};
use vat::door::{Badge, Lease};
use vat::link::Serving;
use vat::meter::MethodUsage;
use vat::native::{Stream, SystemClock};
use vat::words::{EndReason, Rights};
use vat::{Bounds, serve};

use crate::asking::{Answer, Question};
use crate::core::{Handle, Renewal};
use crate::paced::{self, Paced};

/// Whom a session is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An app's instance.
    App {
        /// Its name.
        instance: String,
    },
    /// A service: it only reports.
    Service,
    /// An operator's shell.
    Shell {
        /// Of the person.
        uid: u32,
    },
}

/// The powerbox's end of a link that was delivered.
#[derive(Debug)]
pub struct Incoming {
    /// The link.
    pub link: u64,
    /// The process at its other end.
    pub process: u64,
    /// Who that is.
    pub who: Who,
    /// The powerbox's own word about it.
    pub badge: Badge,
    /// This end.
    pub socket: UnixStream,
}

/// One link's usage, as it was reported.
#[derive(Clone, Debug)]
pub(crate) struct Reported {
    pub(crate) link: u64,
    pub(crate) grant: u64,
    pub(crate) totals: crate::usage::Totals,
    pub(crate) methods: Vec<MethodUsage>,
    /// What was left of the lease, where the link has ended.
    pub(crate) last: Option<(u64, u64)>,
    /// Where it was ended for what its client did: what that was.
    pub(crate) misbehaved: Option<String>,
    /// It was ended because a message did not fit into what is left of a budget.
    pub(crate) exhausted: bool,
}

/// Serves what comes, for as long as it comes. Within a runtime and a `LocalSet`.
pub async fn serve_all(mut incoming: mpsc::UnboundedReceiver<Incoming>, core: Handle) {
    let clock = Rc::new(SystemClock::new());
    while let Some(arrived) = incoming.recv().await {
        let Ok(stream) = Stream::new(arrived.socket) else { continue };
        let session = Session { core: core.clone(), who: arrived.who.clone(), process: arrived.process };
        let (bounds, rate) = match arrived.who {
            Who::App { .. } => (Bounds::for_app_session(), paced::OF_AN_APP),
            Who::Service => (Bounds::for_service_session(), paced::OF_A_SERVICE),
            // Operators are served elsewhere.
            Who::Shell { .. } => continue,
        };
        let told = tell_of_pause(core.clone(), arrived.process, arrived.who.clone());
        let stream = Paced::new(stream, rate, clock.clone(), move || drop(tokio::task::spawn_local(told)));
        let serving = serve(stream, &arrived.badge, bounds, clock.clone(), move |exports| {
            exports.export::<session::Client, _>(session).client
        });
        drop(tokio::task::spawn_local(until_ended(serving, core.clone(), arrived.link, arrived.process, arrived.who)));
    }
}

/// Drives one session to its end, and tells the core of it.
pub(crate) async fn until_ended(serving: Serving, core: Handle, link: u64, process: u64, who: Who) {
    let ended = serving.await;
    let misbehaved = (ended.reason == EndReason::Misbehaved).then_some(ended.detail);
    let told = core.act(move |core| async move {
        core.session_ended(link, process, &who, misbehaved).await;
        Ok(())
    });
    // The core is gone only where all of this is.
    let _ = told.await;
}

/// Has people see who is made to wait.
async fn tell_of_pause(core: Handle, process: u64, who: Who) {
    let told = core.look(move |core| {
        core.session_is_made_to_wait(process, &who);
        Ok(())
    });
    // The core is gone only where all of this is.
    let _ = told.await;
}

struct Session {
    core: Handle,
    who: Who,
    process: u64,
}

impl Session {
    fn instance(&self) -> Result<String, capnp::Error> {
        match &self.who {
            Who::App { instance } => Ok(instance.clone()),
            _ => Err(capnp::Error::failed("only apps ask for things".into())),
        }
    }
}

/// A label must be one; whatever else it was, nothing is held under it.
fn label(text: capnp::text::Reader<'_>) -> Result<String, capnp::Error> {
    let label = text.to_str().ok().filter(|label| package::is_label(label));
    label
        .map(str::to_owned)
        .ok_or_else(|| capnp::Error::failed("a label must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'".into()))
}

/// An app's own words, bounded; what is not text in them is replaced.
fn words(text: capnp::text::Reader<'_>, limit_bytes: usize) -> String {
    let bytes = text.as_bytes();
    String::from_utf8_lossy(&bytes[..bytes.len().min(limit_bytes)]).into_owned()
}

fn decision(answer: Answer) -> Decision {
    match answer {
        Answer::Pending => Decision::Pending,
        Answer::Granted => Decision::Granted,
        Answer::Denied => Decision::Denied,
        Answer::Unannounced => Decision::Unannounced,
        Answer::TimedOut => Decision::TimedOut,
        Answer::Revoked => Decision::Revoked,
        Answer::Expired => Decision::Expired,
        Answer::Exhausted => Decision::Exhausted,
    }
}

impl session::Server for Session {
    async fn request(
        self: Rc<Self>,
        params: session::RequestParams,
        mut results: session::RequestResults,
    ) -> Result<(), capnp::Error> {
        let instance = self.instance()?;
        let params = params.get()?;
        let query = params.get_query()?;
        let Ok(label) = label(params.get_label()?) else {
            // No manifest announces what is no label.
            results.get().set_decision(Decision::Unannounced);
            return Ok(());
        };
        let question = Question {
            label,
            interface: query.get_interface(),
            hint: words(query.get_hint()?, crate::words::PHRASE_LIMIT),
            rights: Rights::read_from(params.get_rights()?),
            reason: words(params.get_reason()?, crate::words::REASON_LIMIT),
        };
        let answer = self.core.act(move |core| async move { core.ask(instance, question).await }).await?;
        results.get().set_decision(decision(answer));
        Ok(())
    }

    async fn decision(
        self: Rc<Self>,
        params: session::DecisionParams,
        mut results: session::DecisionResults,
    ) -> Result<(), capnp::Error> {
        let instance = self.instance()?;
        let label = label(params.get()?.get_label()?)?;
        let answer = self.core.wait(move |core| async move { core.decision(&instance, &label).await }).await?;
        results.get().set_decision(decision(answer));
        Ok(())
    }

    async fn list(
        self: Rc<Self>,
        _: session::ListParams,
        mut results: session::ListResults,
    ) -> Result<(), capnp::Error> {
        let instance = self.instance()?;
        let held = self.core.look(move |core| Ok(core.held(&instance))).await?;
        let mut list = results.get().init_held(u32::try_from(held.len()).unwrap_or(u32::MAX));
        for (index, one) in (0..).zip(&held) {
            let mut builder = list.reborrow().get(index);
            builder.set_label(&one.label);
            builder.set_interface(one.interface);
            one.rights.write_to(builder.reborrow().init_rights());
            builder.set_expires_at_ms(one.expires_at_ms);
            builder.set_decision(decision(one.answer));
            builder.set_open(one.open);
        }
        Ok(())
    }

    async fn release(
        self: Rc<Self>,
        params: session::ReleaseParams,
        _: session::ReleaseResults,
    ) -> Result<(), capnp::Error> {
        let instance = self.instance()?;
        let label = label(params.get()?.get_label()?)?;
        self.core.act(move |core| async move { core.give_back(&instance, &label).await }).await?;
        Ok(())
    }

    async fn report(
        self: Rc<Self>,
        params: session::ReportParams,
        _: session::ReportResults,
    ) -> Result<(), capnp::Error> {
        let usages = params.get()?.get_usage()?;
        if usages.len() as usize > REPORT_LINKS_LIMIT {
            let text = format!("a report is of at most {REPORT_LINKS_LIMIT} links. Report the others in another");
            return Err(capnp::Error::failed(text));
        }
        let self_reported = matches!(self.who, Who::App { .. });
        let mut reports = Vec::new();
        for usage in usages {
            reports.push(read_usage(usage, self_reported)?);
        }
        let process = self.process;
        let taken = self.core.look(move |core| {
            core.reported(process, &reports);
            Ok(())
        });
        taken.await?;
        Ok(())
    }

    async fn trouble(
        self: Rc<Self>,
        params: session::TroubleParams,
        _: session::TroubleResults,
    ) -> Result<(), capnp::Error> {
        if self.who != Who::Service {
            return Err(capnp::Error::failed("only services tell of trouble".into()));
        }
        let text = words(params.get()?.get_text()?, vat::native::TROUBLE_LIMIT_BYTES);
        let process = self.process;
        self.core.look(move |core| core.trouble(process, &text)).await?;
        Ok(())
    }

    async fn renew(
        self: Rc<Self>,
        params: session::RenewParams,
        mut results: session::RenewResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let asked = Renewal {
            link: params.get_link(),
            grant: params.get_grant(),
            calls: Lease::read_from(params.get_calls()?),
            bytes: Lease::read_from(params.get_bytes()?),
        };
        let process = self.process;
        let (calls, bytes) = self.core.act(move |core| async move { core.renew(process, asked).await }).await?;
        calls.write_to(results.get().init_calls());
        bytes.write_to(results.get().init_bytes());
        Ok(())
    }
}

fn read_usage(usage: usage::Reader<'_>, self_reported: bool) -> capnp::Result<Reported> {
    // A reason of a newer schema is no accusation.
    let misbehaved = usage.get_last() && usage.get_end_reason() == Ok(EndReason::Misbehaved);
    // A meter tells so many methods apart, and the others together.
    let methods = usage.get_methods()?.iter().take(METERED_METHODS_LIMIT + 1);
    Ok(Reported {
        exhausted: usage.get_last() && usage.get_end_reason() == Ok(EndReason::Exhausted),
        misbehaved: misbehaved.then(|| {
            usage.get_end_detail().map_or_else(|_| String::new(), |text| words(text, crate::words::REASON_LIMIT))
        }),
        link: usage.get_link(),
        grant: usage.get_grant(),
        totals: crate::usage::Totals {
            calls: usage.get_calls(),
            bytes_in: usage.get_bytes_in(),
            bytes_out: usage.get_bytes_out(),
            errors: usage.get_errors(),
            refused: usage.get_refused(),
            self_reported,
        },
        methods: methods.map(MethodUsage::read_from).collect::<capnp::Result<_>>()?,
        last: usage.get_last().then(|| (usage.get_unused_calls(), usage.get_unused_bytes())),
    })
}
