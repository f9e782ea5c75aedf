//! The main loop of a service: links come, are served, end, and what went over them is reported.

use super::born::Born;
use super::clock::SystemClock;
use super::door::{Arrived, Delivery, Door};
use super::held::Held;
use crate::bounds::{Bounds, LAST_REPORTS_LIMIT, REPORT_LINKS_LIMIT};
use crate::door::{Badge, Carries, Lease, Role};
use crate::link::{Connected, Exports, Watch, connect, serve};
use crate::meter::UsageReport;
use crate::words::{EndReason, clip};
use capnp::capability::{Client, FromClientHook};
use schema::session_capnp::session;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often a busy link is reported.
const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// How long a stopping service waits for its last report to arrive.
const LAST_REPORT_PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before asking for more of a budget again, where the powerbox could not say. A new session, which
/// comes with a powerbox that was started again, is not waited for so long.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// What went over one link, to be reported.
#[derive(Clone, Debug)]
pub struct LinkUsage {
    /// The link.
    pub link: u64,
    /// Its grant.
    pub grant: u64,
    /// Since the last report.
    pub usage: UsageReport,
    /// Where the link has ended: why, in this end's words.
    pub end: Option<(EndReason, String)>,
}

/// Reports usage over a session.
///
/// # Errors
/// Those of the call: the caller keeps the usage and reports it again over the next session.
pub async fn report(session: &session::Client, usages: &[LinkUsage]) -> capnp::Result<()> {
    for part in usages.chunks(REPORT_LINKS_LIMIT) {
        let mut request = session.report_request();
        let mut list = request.get().init_usage(part.len() as u32);
        for (index, usage) in part.iter().enumerate() {
            let mut entry = list.reborrow().get(index as u32);
            entry.set_link(usage.link);
            entry.set_grant(usage.grant);
            if let Some((reason, detail)) = &usage.end {
                entry.set_last(true);
                entry.set_end_reason(*reason);
                entry.set_end_detail(clip(detail, crate::door::DETAIL_LIMIT_BYTES));
            }
            usage.usage.write_to(entry);
        }
        request.send().promise.await?;
    }
    Ok(())
}

/// Asks the powerbox for more of a link's budgets, as [`Watch::low`] says, and returns what it answers.
async fn renew(session: &session::Client, link: u64, grant: u64, low: (Lease, Lease)) -> capnp::Result<(Lease, Lease)> {
    let mut request = session.renew_request();
    let mut builder = request.get();
    builder.set_link(link);
    builder.set_grant(grant);
    low.0.write_to(builder.reborrow().init_calls());
    low.1.write_to(builder.reborrow().init_bytes());
    let answer = request.send().promise.await?;
    let answer = answer.get()?;
    Ok((Lease::read_from(answer.get_calls()?), Lease::read_from(answer.get_bytes()?)))
}

/// A link that is being served.
struct Served {
    grant: u64,
    watch: Watch,
}

/// What the tasks of a service share.
struct Shared {
    door: Door,
    clock: Rc<SystemClock>,
    served: RefCell<BTreeMap<u64, Served>>,
    session: RefCell<Option<session::Client>>,
    /// There is a new session.
    joined: Notify,
    finals: RefCell<VecDeque<LinkUsage>>,
    /// Something is to be reported at once.
    ended: Notify,
    held: Held,
}

/// A service: what makes the root object for each link.
pub struct Service;

impl Service {
    /// Serves every link that comes until the kernel says stop or is gone. `root` makes the object for a link, by
    /// its badge, with the maker of all objects on that link; what fails breaks the link's root with that error.
    ///
    /// # Errors
    /// Those of the door, which are the process's last word: it should exit.
    pub fn run<F>(born: Born, root: F) -> io::Result<()>
    where
        F: FnMut(&Badge, &Exports) -> capnp::Result<Client> + 'static,
    {
        super::run(async { Service::serve(born.into_door()?, Held::default(), root).await })?
    }

    /// The same for a service that holds objects itself: it is given what it holds, and makes of it what serves.
    ///
    /// # Errors
    /// As for [`Service::run`].
    pub fn run_holding<F>(born: Born, make: impl FnOnce(Held) -> F) -> io::Result<()>
    where
        F: FnMut(&Badge, &Exports) -> capnp::Result<Client> + 'static,
    {
        super::run(async {
            let held = Held::default();
            let root = make(held.clone());
            Service::serve(born.into_door()?, held, root).await
        })?
    }

    /// The same within a runtime and a `LocalSet`.
    ///
    /// # Errors
    /// As for [`Service::run`].
    pub async fn serve<F>(door: Door, held: Held, mut root: F) -> io::Result<()>
    where
        F: FnMut(&Badge, &Exports) -> capnp::Result<Client> + 'static,
    {
        let shared = Rc::new(Shared {
            door,
            clock: Rc::new(SystemClock::new()),
            served: RefCell::default(),
            session: RefCell::default(),
            joined: Notify::new(),
            finals: RefCell::default(),
            ended: Notify::new(),
            held,
        });
        let reporter = tokio::task::spawn_local(shared.clone().report_always());
        let stopped = loop {
            match shared.door.next().await {
                Ok(Some(Delivery::Link(arrived))) => shared.clone().take(arrived, &mut root)?,
                Ok(Some(Delivery::Stop) | None) => break Ok(()),
                Ok(Some(Delivery::Notice(notice))) => shared.held.noticed(notice),
                // nobody gives a service things later
                Ok(Some(Delivery::Resource(..))) => {}
                Err(error) => {
                    shared.door.last(&error.to_string()).await;
                    break Err(error);
                }
            }
        };
        reporter.abort();
        shared.stop().await;
        stopped
    }
}

impl Shared {
    fn take<F>(self: Rc<Self>, arrived: Arrived, root: &mut F) -> io::Result<()>
    where
        F: FnMut(&Badge, &Exports) -> capnp::Result<Client>,
    {
        match (arrived.role, arrived.carries, arrived.badge.clone()) {
            (Role::Server, Carries::Grant, Some(badge)) => self.serve(arrived, &badge, root),
            (Role::Client, Carries::Session, Some(badge)) => self.join(arrived, &badge),
            (Role::Client, Carries::Grant, Some(badge)) => self.held.take(arrived, badge.peer),
            // nothing else is for a service; letting go of it tells the other end
            _ => Ok(()),
        }
    }

    fn serve<F>(self: Rc<Self>, arrived: Arrived, badge: &Badge, root: &mut F) -> io::Result<()>
    where
        F: FnMut(&Badge, &Exports) -> capnp::Result<Client>,
    {
        let (link, grant) = (arrived.id, badge.grant);
        let stream = arrived.into_stream()?;
        let bounds = Bounds::for_peer(badge.peer);
        let serving = serve(stream, badge, bounds, self.clock.clone(), |exports| {
            root(badge, exports).unwrap_or_else(capnp_rpc::new_broken_cap)
        });
        let watch = serving.watch();
        let may_renew = badge.calls.more || badge.bytes.more;
        let renewing =
            may_renew.then(|| tokio::task::spawn_local(self.clone().renew_always(link, grant, watch.clone())));
        self.served.borrow_mut().insert(link, Served { grant, watch: watch.clone() });
        tokio::task::spawn_local(async move {
            let ended = serving.await;
            renewing.iter().for_each(tokio::task::JoinHandle::abort);
            let confirmed = async {
                watch.quiet().await;
                self.served.borrow_mut().remove(&link);
                let _ = self.door.ended(link).await;
            };
            let told = async {
                let end = Some((ended.reason, ended.detail));
                self.tell_last(LinkUsage { link, grant, usage: ended.usage, end });
            };
            // First the confirmation that somebody waits for, then the figures; but these do not wait for work that goes
            // on, because what is left of a budget is wanted back for the next link.
            futures::join!(confirmed, told);
            self.ended.notify_one();
        });
        Ok(())
    }

    /// Takes the last report of a link.
    fn tell_last(&self, usage: LinkUsage) {
        let mut finals = self.finals.borrow_mut();
        if finals.len() == LAST_REPORTS_LIMIT {
            finals.pop_front();
        }
        finals.push_back(usage);
        self.ended.notify_one();
    }

    /// A session with a powerbox that was started, or started again.
    fn join(self: Rc<Self>, arrived: Arrived, badge: &Badge) -> io::Result<()> {
        let bounds = Bounds::for_peer(badge.peer);
        let Connected { root, driving, .. } = connect(arrived.into_stream()?, bounds, self.clock.clone());
        let session = session::Client::new(root.hook);
        self.held.joined(&session);
        *self.session.borrow_mut() = Some(session);
        tokio::task::spawn_local(driving);
        self.joined.notify_waiters();
        self.ended.notify_one();
        Ok(())
    }

    /// Has a link's budgets topped up for as long as it is served. What is asked says how much there was, so that an
    /// answer that was lost with a session is given again over the next one.
    async fn renew_always(self: Rc<Self>, link: u64, grant: u64, watch: Watch) {
        loop {
            let low = watch.low().await;
            let joined = self.joined.notified();
            let session = self.session.borrow().clone();
            let answer = match &session {
                Some(session) => renew(session, link, grant, low).await.ok(),
                None => None,
            };
            match answer {
                Some((calls, bytes)) => watch.renew(calls, bytes),
                None => drop(tokio::time::timeout(RENEW_PAUSE, joined).await),
            }
        }
    }

    async fn report_always(self: Rc<Self>) {
        loop {
            let _ = tokio::time::timeout(REPORT_PERIOD, self.ended.notified()).await;
            self.report_now().await;
        }
    }

    async fn report_now(&self) {
        let Some(session) = self.session.borrow().clone() else { return };
        let finals: Vec<LinkUsage> = self.finals.borrow_mut().drain(..).collect();
        if !finals.is_empty() && report(&session, &finals).await.is_err() {
            let mut kept = self.finals.borrow_mut();
            finals.into_iter().rev().for_each(|usage| kept.push_front(usage));
            return;
        }
        let mut usages = Vec::new();
        for (link, served) in self.served.borrow().iter() {
            let usage = served.watch.usage();
            if !usage.is_empty() {
                usages.push(LinkUsage { link: *link, grant: served.grant, usage, end: None });
            }
        }
        // what is lost with a powerbox that dies meanwhile is a figure, not a decision
        let _ = report(&session, &usages).await;
    }

    async fn stop(&self) {
        for served in self.served.borrow().values() {
            served.watch.end(EndReason::Stopped, "the service was stopped");
        }
        let quiet = async {
            while !self.served.borrow().is_empty() {
                self.ended.notified().await;
            }
            self.report_now().await;
        };
        let _ = tokio::time::timeout(LAST_REPORT_PATIENCE, quiet).await;
    }
}
