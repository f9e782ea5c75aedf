//! The core: one thread that owns the state, the log and the control channel. Everything that changes anything happens
//! here, in steps between which others take their turn; what must not be half done is ordered by the log.

mod door;
mod events;
mod expiry;
mod figures;
mod handle;
mod ids;
mod links;
mod processes;
mod recovery;
mod revoke;
mod sign;
mod stop;
#[cfg(test)]
mod tests;
mod upkeep;

pub use handle::{Handle, Jobs};
pub(crate) use links::Renewal;
pub(crate) use processes::{Start, setup};
pub use revoke::{Cut, QUIET_PATIENCE};
pub(crate) use sign::SIGNER_LABEL;

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use schema::setup_capnp::powerbox_setup;
use tokio::sync::{mpsc, watch};
use vat::native::Door;

use crate::bells::Bells;
use crate::compile::Compiler;
use crate::control::Control;
use crate::index::Index;
use crate::live::Live;
use crate::log::{Log, Reached};
use crate::problem::Problem;
use crate::record::{Entry, Record};
use crate::sessions::Incoming;
use crate::state::State;
use crate::usage::UsageLog;
use crate::warnings::{Cause, Warnings};

/// Who decides where no person does.
pub const THE_NODE: &str = "the node";

/// What the kernel told this process at its beginning.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Owner of the state: an operator besides uid 0.
    pub state_uid: u32,
    /// Less confinement than a full one is allowed.
    pub reduced: bool,
    /// What the kernel itself found missing.
    pub kernel_missing: Vec<String>,
    /// By what the memory of processes is limited, and why not by more.
    pub memory_limits: String,
}

impl Setup {
    /// From the bytes of the beginning.
    pub fn read(bytes: &[u8]) -> capnp::Result<Self> {
        let message =
            capnp::serialize::read_message_from_flat_slice(&mut &*bytes, capnp::message::ReaderOptions::new())?;
        let setup = message.get_root::<powerbox_setup::Reader<'_>>()?;
        let mut kernel_missing = Vec::new();
        for missing in setup.get_kernel_missing()? {
            kernel_missing.push(missing?.to_string().unwrap_or_default());
        }
        let memory_limits = setup.get_memory_limits()?.to_string().unwrap_or_default();
        Ok(Self { state_uid: setup.get_state_uid(), reduced: setup.get_reduced(), kernel_missing, memory_limits })
    }
}

/// What the core is made of.
pub struct Parts {
    /// The powerbox's own.
    pub folder: PathBuf,
    /// From the beginning.
    pub setup: Setup,
    /// The log, open.
    pub log: Log,
    /// What the log adds up to.
    pub state: State,
    /// For a faster start.
    pub index: Index,
    /// To the kernel.
    pub control: OwnedFd,
    /// From the kernel.
    pub door: Door,
    /// Where links to sessions of apps and services go.
    pub sessions: mpsc::UnboundedSender<Incoming>,
    /// Where links to shells go.
    pub operators: mpsc::UnboundedSender<Incoming>,
    /// What people should know of the start.
    pub warnings: Vec<String>,
    /// How this process is confined.
    pub confinement: vat::door::Confinement,
}

/// The one owner of everything.
pub struct Core {
    pub(crate) folder: PathBuf,
    pub(crate) state: RefCell<State>,
    pub(crate) live: RefCell<Live>,
    pub(crate) bells: Bells,
    pub(crate) control: Control,
    pub(crate) setup: Setup,
    pub(crate) warnings: RefCell<Warnings>,
    pub(crate) confinement: vat::door::Confinement,
    pub(crate) compiler: Compiler,
    pub(crate) usage: RefCell<UsageLog>,
    pub(crate) next_id: Cell<u64>,
    pub(crate) recovering: Cell<bool>,
    inventory: RefCell<recovery::Inventory>,
    pub(crate) stopping: Cell<bool>,
    pub(crate) signing: sign::Signing,
    log: RefCell<Log>,
    index: RefCell<Option<Index>>,
    reached: watch::Receiver<Reached>,
    door: Door,
    sessions: mpsc::UnboundedSender<Incoming>,
    operators: mpsc::UnboundedSender<Incoming>,
}

impl Core {
    /// The core, within a tokio runtime and a `LocalSet`.
    pub fn new(parts: Parts) -> std::io::Result<Rc<Self>> {
        let reached = parts.log.reached();
        let usage = UsageLog::open(&parts.folder);
        let now_ms = crate::clock::now_ms(parts.state.last_at_ms);
        Ok(Rc::new(Self {
            folder: parts.folder,
            next_id: Cell::new(parts.state.reserved + 1),
            state: RefCell::new(parts.state),
            live: RefCell::default(),
            bells: Bells::default(),
            control: Control::new(parts.control)?,
            setup: parts.setup,
            warnings: RefCell::new(Warnings::new(parts.warnings, now_ms)),
            confinement: parts.confinement,
            compiler: Compiler::default(),
            usage: RefCell::new(usage),
            recovering: Cell::new(true),
            inventory: RefCell::default(),
            stopping: Cell::new(false),
            signing: sign::Signing::default(),
            log: RefCell::new(parts.log),
            index: RefCell::new(Some(parts.index)),
            reached,
            door: parts.door,
            sessions: parts.sessions,
            operators: parts.operators,
        }))
    }

    /// Sends commands that wait for room; never returns well.
    pub async fn control_always(&self) -> std::io::Result<()> {
        self.control.send_always().await
    }

    /// Says why the powerbox gives up, as its last word.
    pub async fn give_up(&self, problem: &Problem) {
        self.last_word(&problem.to_string()).await;
    }

    /// The powerbox's time.
    pub fn now_ms(&self) -> u64 {
        crate::clock::now_ms(self.state.borrow().last_at_ms)
    }

    /// Writes a record down and changes the state by it. It is not durable yet: wait for [`Core::durable`] before
    /// anything acts on it.
    pub fn record(&self, by: &str, record: Record) -> Result<u64, Problem> {
        let appended = self.log.borrow_mut().append(self.now_ms(), by, record);
        let entry = appended.map_err(|too_long| {
            Problem::refused(format!("this cannot be recorded: {too_long}. Ask for less at once"))
        })?;
        self.apply(&entry)?;
        if self.log.borrow().unsigned() >= crate::log::CHECKPOINT_EVERY {
            self.bells.unsigned.ring();
        }
        Ok(entry.position)
    }

    fn apply(&self, entry: &Entry) -> Result<(), Problem> {
        let applied = self.state.borrow_mut().apply(entry);
        applied.map_err(|misfit| {
            // The record is in the log and means nothing, at every later start too.
            self.warn(format!("a record did not fit: {misfit}"));
            Problem::refused(format!("this cannot be recorded ({misfit}). Look at `latch grants` and try again"))
        })
    }

    /// Waits until the log has reached the disk up to a record.
    pub async fn durable(&self, position: u64) -> Result<(), Problem> {
        let mut reached = self.reached.clone();
        let is_there = |reached: &Reached| match reached {
            Reached::Position(at) => *at >= position,
            Reached::Failed(_) => true,
        };
        let found = reached.wait_for(is_there).await.map(|reached| reached.clone());
        match found {
            Ok(Reached::Position(_)) => Ok(()),
            Ok(Reached::Failed(why)) => Err(Problem::refused(format!("{why}. The powerbox starts again and looks"))),
            Err(_) => Err(Problem::Stopping),
        }
    }

    /// Records and waits until it is durable.
    pub async fn commit(&self, by: &str, record: Record) -> Result<u64, Problem> {
        let position = self.record(by, record)?;
        self.durable(position).await?;
        Ok(position)
    }

    /// Refuses where the disk has room only for records that take something away.
    pub fn need_room(&self) -> Result<(), Problem> {
        if self.stopping.get() {
            return Err(Problem::Stopping);
        }
        if self.log.borrow().has_room() {
            return Ok(());
        }
        Err(Problem::refused(
            "the disk with the state folder is full: what is left is kept for revocations, which work. Make room there \
             and try again",
        ))
    }

    /// Waits until the log on the disk has grown beyond a record.
    pub(crate) async fn grown_beyond(&self, position: u64) {
        let mut reached = self.reached.clone();
        let _ = reached.wait_for(|reached| matches!(reached, Reached::Position(at) if *at > position)).await;
    }

    /// How far the log has reached the disk.
    pub(crate) fn reached_position(&self) -> u64 {
        match *self.reached.borrow() {
            Reached::Position(position) => position,
            Reached::Failed(_) => 0,
        }
    }

    /// Looks at the log.
    pub(crate) fn with_log<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.log.borrow())
    }

    /// Keeps something that people should know of the node itself, for `status`.
    pub(crate) fn warn(&self, text: String) {
        self.warnings.borrow_mut().add(text, self.now_ms());
    }

    /// Keeps something that happened with an app or a service, for `status`.
    pub(crate) fn warn_about(&self, name: &str, text: String) {
        self.warn_while(name, Cause::Event, text);
    }

    /// Keeps something that people should know of an app or a service as long as its cause lasts, for `status`.
    pub(crate) fn warn_while(&self, name: &str, cause: Cause, text: String) {
        self.warnings.borrow_mut().add_about(name, cause, text, self.now_ms());
    }

    /// Why the index cannot be written, if it cannot.
    pub(crate) fn index_trouble(&self) -> Option<String> {
        let why = self.index.borrow().as_ref().and_then(Index::trouble)?;
        Some(format!("the index cannot be written ({why}): it is rebuilt from the log at the next start"))
    }
}

/// Spawns a part of the core's work on its own thread.
pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) {
    // Its end is its own business: whoever waits for what it does waits at a bell.
    drop(tokio::task::spawn_local(work));
}
