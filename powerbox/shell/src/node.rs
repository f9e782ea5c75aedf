//! The way to the node: through the operator door, with the link to the powerbox that comes back through it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use capnp::capability::FromClientHook;
use schema::operator_capnp::operator;
use tokio::sync::{oneshot, watch};
use vat::door::{Carries, Identity, Notice, Peer, Resource};
use vat::native::{Arrived, Delivery, Door, SystemClock};
use vat::{Bounds, Exports};

pub(crate) use vat::door::ResourceKind;

use crate::failure::{Doing as _, Failure, Outcome};
use crate::output;
use crate::state::State;

/// A powerbox that reads a long log again after a crash still answers within this.
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);
/// The word about a link that was cut is sent when it is cut.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);
/// After this a person wonders.
const PATIENCE: Duration = Duration::from_secs(2);
/// A folder's service must be started and confined before its link comes.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A node that this command talks to.
pub(crate) struct Node {
    state: State,
    powerbox: watch::Receiver<operator::Client>,
    doorway: Rc<Doorway>,
}

/// An object in this command's own hands.
pub(crate) struct Opened<T> {
    /// It breaks when its grant is taken away.
    pub(crate) object: T,
    /// Makes what can be passed to it.
    pub(crate) exports: Exports,
}

impl Node {
    /// Comes to the node with that state.
    pub(crate) async fn connect(state: &State) -> Outcome<Self> {
        let door = vat::native::connect_operator(state.path()).map_err(|error| unreachable(state, &error))?;
        let doorway = Rc::new(Doorway::new(door));
        tokio::task::spawn_local(Rc::clone(&doorway).receive());
        let greeting = doorway.claim(Wanted::Powerbox, GREETING_TIMEOUT);
        let greeting = saying(greeting, "latch: waiting for the node's powerbox to answer").await.map_err(|error| {
            Failure::new("the node does not talk to this command")
                .because(error)
                .next(format!("latch doctor; its log is {}", state.log_file().display()))
        })?;
        let (sender, powerbox) = watch::channel(use_link(greeting, Peer::Powerbox)?.object);
        tokio::task::spawn_local(Rc::clone(&doorway).follow_powerbox(sender));
        Ok(Self { state: state.clone(), powerbox, doorway })
    }

    /// Where the node keeps its state, and how commands for it are written.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Where questions to the powerbox go.
    pub(crate) fn operator(&self) -> operator::Client {
        self.powerbox.borrow().clone()
    }

    /// Asks again whenever the powerbox dies over the question: it is started again, and this command finds it at its
    /// door. For questions that change nothing, or nothing more the second time.
    pub(crate) async fn persist<T, F: Future<Output = Outcome<T>>>(&self, ask: impl Fn() -> F) -> Outcome<T> {
        let mut powerbox = self.powerbox.clone();
        loop {
            powerbox.mark_unchanged();
            let failure = match ask().await {
                Err(failure) if failure.is_lost() => failure,
                answered => return answered,
            };
            // However long that takes: what is open works on meanwhile. An error: the node itself has ended.
            if powerbox.changed().await.is_err() {
                return Err(failure);
            }
        }
    }

    /// Hands over something that this command opened; the token by which the powerbox is told of it.
    pub(crate) async fn send_resource(
        &self,
        kind: ResourceKind,
        path: &Path,
        identity: Identity,
        thing: OwnedFd,
    ) -> Outcome<u64> {
        let token = self.doorway.next_token.get();
        self.doorway.next_token.set(token + 1);
        let path = path.to_str().ok_or_else(|| {
            Failure::new(format!("cannot give {}", path.display()))
                .because("its path is not UTF-8")
                .next("rename it, or give the folder above it")
        })?;
        let name = if kind == ResourceKind::Folder { "folder" } else { "package" };
        let resource = Resource { token, path: path.to_owned(), identity, ..Resource::new(kind, name) };
        self.doorway.door.resource(resource, thing.as_fd()).await.map_err(|error| lost(&error))?;
        Ok(token)
    }

    /// The raw link with that label, as it comes.
    pub(crate) async fn raw_link(&self, label: &str) -> Outcome<std::os::unix::net::UnixStream> {
        let arrived = self.claim(label).await?;
        Ok(arrived.socket)
    }

    /// The object with that label, as its link comes.
    pub(crate) async fn object<T: FromClientHook>(&self, label: &str) -> Outcome<Opened<T>> {
        self.doorway.holds_object.set(true);
        use_link(self.claim(label).await?, Peer::Service)
    }

    /// Tells an object that was taken away from a powerbox that is away: the node says at the door why a link ended.
    pub(crate) async fn explain(&self, failure: Failure) -> Failure {
        if !failure.is_lost() || !self.doorway.holds_object.get() {
            return failure;
        }
        let mut notice = self.doorway.notice.subscribe();
        let said = tokio::time::timeout(NOTICE_TIMEOUT, notice.wait_for(Option::is_some)).await;
        let Ok(Ok(said)) = said else { return failure };
        let Some(notice) = said.as_ref() else { return failure };
        let reason = vat::words::reason_name(notice.reason);
        let why = if notice.detail.is_empty() { reason.to_owned() } else { format!("{reason}: {}", notice.detail) };
        Failure::new("what this command had opened was taken from it").because(why).next("latch log -n 5")
    }

    /// Waits until the node closes the door.
    pub(crate) async fn closed(&self) {
        let mut open = self.doorway.open.subscribe();
        // An error means that the sender is gone, which it cannot be while `self` lives.
        let _ = open.wait_for(|open| !open).await;
    }

    async fn claim(&self, label: &str) -> Outcome<Arrived> {
        let claimed = self.doorway.claim(Wanted::Label(label.to_owned()), DELIVERY_TIMEOUT).await;
        claimed.map_err(|error| Failure::new("what was granted did not come").because(error).next("latch status"))
    }
}

/// Says on a terminal what is waited for, where it takes long.
async fn saying<F: Future>(work: F, what: &str) -> F::Output {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(PATIENCE, work.as_mut()).await {
        return done;
    }
    if std::io::stderr().is_terminal() {
        output::error(what);
    }
    work.await
}

/// Runs what talks to a node.
pub(crate) fn run_on_node<F: Future>(work: F) -> Outcome<F::Output> {
    vat::native::run(work).doing(|| "this machine gives no event queue".to_owned())
}

/// Whether a node with that state takes shells.
pub(crate) async fn is_up(state: &State) -> bool {
    vat::native::connect_operator(state.path()).is_ok()
}

fn use_link<T: FromClientHook>(arrived: Arrived, peer: Peer) -> Outcome<Opened<T>> {
    let stream = arrived.into_stream().map_err(|error| lost(&error))?;
    let connected = vat::connect(stream, Bounds::for_peer(peer), Rc::new(SystemClock::new()));
    tokio::task::spawn_local(connected.driving);
    Ok(Opened { object: FromClientHook::new(connected.root.hook), exports: connected.exports })
}

fn unreachable(state: &State, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot reach the node of {}", state.path().display()));
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            failure.because("it is not running").next("latch up")
        }
        io::ErrorKind::PermissionDenied => failure
            .because("only its owner and root may operate it")
            .next("use a node of your own: latch --state DIR up"),
        _ => failure.because(error).next("latch doctor"),
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::new("the node let go of this command").because(error).next("latch status")
}

/// What a link that came is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Wanted {
    Powerbox,
    Label(String),
}

/// The door, and who waits for what.
struct Doorway {
    door: Door,
    next_token: Cell<u64>,
    arrived: RefCell<HashMap<Wanted, Arrived>>,
    waiting: RefCell<HashMap<Wanted, oneshot::Sender<Arrived>>>,
    open: watch::Sender<bool>,
    /// Whether a link to an object came.
    holds_object: Cell<bool>,
    /// The last word about a link that ended.
    notice: watch::Sender<Option<Notice>>,
}

impl Doorway {
    fn new(door: Door) -> Self {
        Self {
            door,
            next_token: Cell::new(1),
            arrived: RefCell::default(),
            waiting: RefCell::default(),
            open: watch::Sender::new(true),
            holds_object: Cell::new(false),
            notice: watch::Sender::new(None),
        }
    }

    /// Takes what comes until the door closes.
    async fn receive(self: Rc<Self>) {
        while let Ok(Some(delivery)) = self.door.next().await {
            match delivery {
                Delivery::Link(link) => self.deliver(link),
                Delivery::Stop => break,
                Delivery::Notice(notice) => drop(self.notice.send_replace(Some(notice))),
                // Those are for services.
                Delivery::Resource(..) => {}
            }
        }
        self.open.send_replace(false);
        self.waiting.borrow_mut().clear();
    }

    fn deliver(&self, link: Arrived) {
        let wanted = match link.carries {
            Carries::Session => Wanted::Powerbox,
            Carries::Grant | Carries::Raw => Wanted::Label(link.label.clone()),
        };
        let unclaimed = match self.waiting.borrow_mut().remove(&wanted) {
            Some(waiting) => waiting.send(link).err(),
            None => Some(link),
        };
        if let Some(link) = unclaimed {
            self.arrived.borrow_mut().insert(wanted, link);
        }
    }

    /// A powerbox that was started again makes a new link to every shell.
    async fn follow_powerbox(self: Rc<Self>, powerbox: watch::Sender<operator::Client>) {
        while let Ok(link) = self.claim(Wanted::Powerbox, Duration::MAX).await {
            if let Ok(opened) = use_link(link, Peer::Powerbox) {
                powerbox.send_replace(opened.object);
            }
        }
    }

    /// The link that is wanted, when it comes; else why it does not.
    async fn claim(&self, wanted: Wanted, timeout: Duration) -> Result<Arrived, String> {
        if let Some(link) = self.arrived.borrow_mut().remove(&wanted) {
            return Ok(link);
        }
        if !*self.open.borrow() {
            return Err("it closed the door".to_owned());
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(wanted.clone(), sender);
        match tokio::time::timeout(timeout, receiver).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(_)) => Err("it closed the door".to_owned()),
            Err(_) if wanted == Wanted::Powerbox => Err(format!(
                "nothing came within {} s: it has no room for one more command, or its powerbox cannot start",
                timeout.as_secs()
            )),
            Err(_) => Err(format!("nothing came within {} s", timeout.as_secs())),
        }
    }
}
