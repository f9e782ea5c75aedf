//! The compiler's processes: started, waited for with patience, and never left behind.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use capnp::message::Builder;
use schema::kernel_capnp::Image;
use schema::setup_capnp::compile_setup;
use vat::door::ResourceKind;

use super::{AT_ONCE, COMPILED_LIMIT_BYTES};
use crate::bells::Bell;
use crate::core::{Core, Start, setup};
use crate::live::Kind;
use crate::problem::Problem;

/// Processor time of one compilation. The search app takes one second.
const CPU_SECONDS: u64 = 60;
/// Memory of one compilation.
const MEMORY_BYTES: u64 = 1 << 30;
/// Time of one compilation by the clock, for one that stands still uses no processor time. On a machine with one core,
/// which all places share half and half with everything else, an honest one has used up its processor time by then.
const PATIENCE: Duration = Duration::from_secs(2 * AT_ONCE as u64 * CPU_SECONDS);
/// The same for the check, which nobody's component is part of: it takes 10 ms, and 3,000 times that on a machine that
/// cannot be used.
const CHECK_PATIENCE: Duration = Duration::from_secs(30);

/// What a process of the compiler is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// To say what it makes code for.
    Check,
    /// To compile a component.
    Component,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Task::Check => "the compiler's check",
            Task::Component => "a compilation",
        }
    }

    /// What is said where it did not end in this time.
    fn stood_still(self, patience: Duration) -> Problem {
        let seconds = patience.as_secs();
        Problem::refused(match self {
            Task::Check => format!(
                "latch-compile did not say within {seconds} s what it makes code for, and was stopped. Try again when less \
                 runs on this machine, or install a matching version"
            ),
            Task::Component => format!(
                "compiling the component did not end within {seconds} s, and was stopped: this machine has too much to do, or \
                 the component makes the compiler stand still. Try again when less runs, and if it is the same then, ask the \
                 author"
            ),
        })
    }
}

/// How long the compiler's processes are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) check: Duration,
    pub(crate) component: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { check: CHECK_PATIENCE, component: PATIENCE }
    }
}

/// Processes that somebody waits for, with exit code and last word where they have ended.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    known: RefCell<HashMap<u64, Option<(i32, String)>>>,
    bell: Bell,
    /// Tests have less of it.
    pub(crate) patience: Cell<Patience>,
}

impl Processes {
    /// A process of the compiler ended.
    pub(crate) fn ended(&self, process: u64, code: i32, last: &str) {
        if let Some(end) = self.known.borrow_mut().get_mut(&process) {
            *end = Some((code, last.to_owned()));
        }
        self.bell.ring();
    }

    async fn end_of(&self, process: u64) -> (i32, String) {
        self.bell.until(|| self.known.borrow().get(&process).cloned().flatten()).await
    }
}

/// A process that is waited for. Whoever waits no longer, for whatever reason, leaves none behind.
struct Awaited<'a> {
    core: &'a Rc<Core>,
    process: u64,
}

impl<'a> Awaited<'a> {
    fn begin(core: &'a Rc<Core>, process: u64) -> Self {
        core.compiler.processes.known.borrow_mut().insert(process, None);
        Self { core, process }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let end = self.core.compiler.processes.known.borrow_mut().remove(&self.process).flatten();
        let was_started = self.core.live.borrow().processes.contains_key(&self.process);
        if end.is_none() && was_started {
            self.core.stop_process(self.process, true);
        }
    }
}

impl Core {
    /// Has the compiler do something, with what it is given and into this memory.
    pub(super) async fn run_compiler(
        self: &Rc<Self>,
        task: Task,
        mut resources: Vec<(&str, ResourceKind, Rc<OwnedFd>)>,
        memory: &Rc<OwnedFd>,
    ) -> Result<(), Problem> {
        resources.push(("compiled", ResourceKind::Memory, memory.clone()));
        let mut message = Builder::new_default();
        message.init_root::<compile_setup::Builder<'_>>().set_check(task == Task::Check);
        let process = self.new_id()?;
        let _awaited = Awaited::begin(self, process);
        self.start_process(Start {
            process,
            image: Image::Compile,
            kind: Kind::Compile,
            name: task.name().to_owned(),
            setup: setup(&message),
            resources,
            claim: None,
            folder: None,
            restart: false,
            memory_bytes: MEMORY_BYTES,
            cpu_seconds: CPU_SECONDS,
            file_bytes: COMPILED_LIMIT_BYTES,
        })
        .await?;
        let patience = match (task, self.compiler.processes.patience.get()) {
            (Task::Check, patience) => patience.check,
            (Task::Component, patience) => patience.component,
        };
        let ended = tokio::time::timeout(patience, self.compiler.processes.end_of(process)).await;
        let (code, last) = ended.map_err(|_| task.stood_still(patience))?;
        outcome(code, &last)
    }
}

/// What a compiler's end means.
fn outcome(code: i32, last: &str) -> Result<(), Problem> {
    let last = crate::words::plain(last, crate::words::REASON_LIMIT);
    match code {
        0 => Ok(()),
        3 => Err(Problem::refused(format!("the component is refused: {last}. Build it with `latch build`"))),
        4 => Err(Problem::refused(format!(
            "the component is too large or too slow to compile: {last}. A component like this would keep the node busy: \
             build it smaller"
        ))),
        code if code < 0 => Err(Problem::refused(format!(
            "compiling the component was ended ({}): it took more than {CPU_SECONDS} s of processor time or {} MiB of \
             memory, or made more than {} MiB of code. Build it smaller",
            crate::record::exit_code(code),
            MEMORY_BYTES >> 20,
            COMPILED_LIMIT_BYTES >> 20
        ))),
        code => Err(Problem::refused(format!(
            "latch-compile failed with code {code}: {last}. The node's kernel.log may tell more"
        ))),
    }
}
