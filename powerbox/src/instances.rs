//! Instances of apps: started, waited for, stopped, started again.

use std::rc::Rc;
use std::time::Duration;

use capnp::message::Builder;
use package::Limits;
use schema::kernel_capnp::Image;
use schema::setup_capnp::sandbox_setup;
use vat::door::ResourceKind;
use vat::words::EndReason;

use crate::core::{Core, Start, THE_NODE, setup, spawn};
use crate::deciding::{Choice, Preset};
use crate::live::Kind;
use crate::output::OUTPUT_LIMIT_BYTES;
use crate::problem::Problem;
use crate::record::{Exited, Holder, Installed, Ran, Record};
use crate::words::{PHRASE_LIMIT, plain};

/// The code of a run whose end nobody saw.
pub(crate) const UNKNOWN_CODE: i32 = -1;
/// At most so many instances are remembered.
const INSTANCES_LIMIT: usize = 1_000;
/// Arguments of one run, with what they are packed in, fit into one message to the kernel.
const ARGUMENTS_LIMIT_BYTES: usize = 32 * 1024;
/// A detached app that fails is started again after 1 s, 2 s, … up to this.
const PAUSE_LIMIT: Duration = Duration::from_secs(300);
/// So many failures in a row, and it is given up.
const FAILURES_LIMIT: u32 = 10;
/// Who ran so long has not failed at once.
const RAN_WELL_MS: u64 = 60_000;
/// Linear memory that a node gives to one app, whatever its manifest asks for.
const MEMORY_LIMIT_BYTES: u64 = 4 << 30;
/// What a sandbox needs beside the guest's memory: measured about 10 MiB; generous, as this only guards the host.
const SANDBOX_BYTES: u64 = 256 << 20;
/// What a guest gets that asks for nothing.
const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;

/// How a person starts an app.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) app: String,
    /// Empty: the first that is free.
    pub(crate) instance: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) detached: bool,
    /// What is decided already, by label.
    pub(crate) presets: Vec<(String, Choice)>,
    pub(crate) shell: u64,
    pub(crate) uid: u32,
}

impl Core {
    /// Starts an app. Returns the instance's name and the process.
    pub(crate) async fn run(self: &Rc<Self>, wish: Wish) -> Result<(String, u64), Problem> {
        self.need_room()?;
        let package = self.package(&wish.app)?;
        if wish.arguments.iter().map(|argument| argument.len() + 16).sum::<usize>() > ARGUMENTS_LIMIT_BYTES {
            return Err(Problem::refused(
                "the arguments are longer than 32 KiB in all. Put them into a file that the app may read",
            ));
        }
        let instance = self.free_instance(&wish, &package)?;
        let by = format!("uid {}", wish.uid);
        for (label, choice) in wish.presets {
            let preset = self.preset(&by, &package, &instance, &label, wish.shell, wish.uid, choice).await?;
            self.live.borrow_mut().presets.insert((instance.clone(), label), preset);
        }
        let process = self.new_id()?;
        let run = Ran {
            instance: instance.clone(),
            app: wish.app,
            version: package.manifest.version.clone(),
            digest: package.digest,
            process,
            detached: wish.detached,
            arguments: wish.arguments,
            shell: if wish.detached { 0 } else { wish.shell },
            uid: wish.uid,
        };
        self.live.borrow_mut().failures.remove(&instance);
        self.replace_by_presets(&by, &instance).await?;
        let started = self.start(&by, run, &package).await;
        if started.is_err() {
            self.live.borrow_mut().presets.retain(|(of, _), _| *of != instance);
        }
        started?;
        Ok((instance, process))
    }

    fn package(&self, app: &str) -> Result<Installed, Problem> {
        let none = || {
            let app = plain(app, PHRASE_LIMIT);
            Problem::refused(format!("no package {app} is installed. Install one with `latch install {app}.latch`"))
        };
        self.state.borrow().packages.get(app).cloned().ok_or_else(none)
    }

    /// The instance's name, which must not be running. Held from here on by being marked as starting.
    fn free_instance(&self, wish: &Wish, package: &Installed) -> Result<String, Problem> {
        let name = &package.manifest.name;
        let (state, live) = (self.state.borrow(), self.live.borrow());
        let is_running = |instance: &str| {
            live.process_of(&Holder::Instance(instance.to_owned())).is_some()
                || state.instances.get(instance).is_some_and(|row| row.running)
        };
        let instance = if wish.instance.is_empty() {
            let numbered = (2..=INSTANCES_LIMIT).map(|number| format!("{name}#{number}"));
            let free = std::iter::once(name.clone()).chain(numbered).find(|instance| !is_running(instance));
            free.ok_or_else(|| Problem::refused(format!("too many instances of {name} are running. Stop some")))?
        } else {
            wish.instance.clone()
        };
        if !is_instance_name(&instance) {
            return Err(Problem::refused(
                "an instance's name must be 1 to 80 characters of a-z, 0-9, '-' and '#', beginning with a letter. Choose another",
            ));
        }
        if is_running(&instance) {
            return Err(Problem::refused(format!(
                "{instance} is running already. Stop it with `latch stop {instance}`, or give the new one another name"
            )));
        }
        match state.instances.get(&instance) {
            Some(row) if row.run.app != *name => Err(Problem::refused(format!(
                "{instance} is an instance of {}, and what it was granted is not for {name}. Choose another name",
                row.run.app
            ))),
            None if state.instances.len() >= INSTANCES_LIMIT => Err(Problem::refused(format!(
                "{INSTANCES_LIMIT} instances are remembered already. Uninstall apps that you do not need"
            ))),
            _ => Ok(instance),
        }
    }

    async fn start(self: &Rc<Self>, by: &str, run: Ran, package: &Installed) -> Result<(), Problem> {
        let opened = {
            let package = package.clone();
            async move || crate::compile::blocking(move || Core::open_installed(&package)).await
        };
        let component = self.compiled(package.manifest.component, opened).await?;
        let (instance, process) = (run.instance.clone(), run.process);
        let mut resources = vec![("component", ResourceKind::Memory, component)];
        if run.detached {
            let [first, second] = crate::output::open(&instance)?;
            resources.push(("output.0", ResourceKind::File, Rc::new(first)));
            resources.push(("output.1", ResourceKind::File, Rc::new(second)));
        }
        let limits = allowed(package.manifest.limits);
        let setup = sandbox_setup(&run, limits);
        // Somebody else may have started it while this compiled.
        if self.state.borrow().instances.get(&instance).is_some_and(|row| row.running) {
            return Err(Problem::refused(format!("{instance} was started meanwhile. Give the new one another name")));
        }
        let shell = run.shell;
        self.commit(by, Record::Ran(run)).await?;
        crate::fault::point("run.recorded");
        let started = self
            .start_process(Start {
                process,
                image: Image::Sandbox,
                kind: Kind::App { instance: instance.clone() },
                name: instance.clone(),
                setup,
                resources,
                claim: None,
                folder: None,
                restart: false,
                memory_bytes: limits.memory_bytes.max(DEFAULT_MEMORY_BYTES) + SANDBOX_BYTES,
                cpu_seconds: 0,
            })
            .await;
        if let Err(problem) = started {
            self.record_exit(&instance, process, UNKNOWN_CODE, &problem.to_string());
            return Err(problem);
        }
        let linked = self.link_run(&instance, process, shell).await;
        if linked.is_err() {
            self.stop_process(process, true);
        }
        self.bells.processes.ring();
        linked
    }

    async fn link_run(self: &Rc<Self>, instance: &str, process: u64, shell: u64) -> Result<(), Problem> {
        // The session comes first: with its last stream an app begins, and a quick one has ended right after.
        self.link_session(process).await?;
        if shell != 0 {
            for stream in ["stdin", "stdout", "stderr"] {
                self.link_stream(shell, process, &format!("{instance}/{stream}")).await?;
            }
        }
        Ok(())
    }

    /// Waits until a run has ended; how.
    pub(crate) async fn wait(self: &Rc<Self>, instance: &str, process: u64) -> Result<(i32, String), Problem> {
        self.bells
            .processes
            .until(|| {
                let state = self.state.borrow();
                match state.instances.get(instance) {
                    Some(row) if row.run.process == process && row.running => None,
                    Some(row) if row.run.process == process => Some(Ok((row.code, row.last.clone()))),
                    _ => Some(Err(Problem::refused(format!(
                        "there was no such run of {}. `latch ps` lists what runs",
                        plain(instance, PHRASE_LIMIT)
                    )))),
                }
            })
            .await
    }

    /// Stops an instance, and forgets that it should run.
    pub(crate) async fn stop(self: &Rc<Self>, by: &str, instance: &str, kill: bool) -> Result<(), Problem> {
        let known = self.state.borrow().instances.get(instance).map(|row| (row.wanted, row.running));
        let process = self.live.borrow().process_of(&Holder::Instance(instance.to_owned()));
        let none = || {
            Problem::refused(format!("there is no instance {}. `latch ps` lists them", plain(instance, PHRASE_LIMIT)))
        };
        let (wanted, running) = known.ok_or_else(none)?;
        if wanted {
            self.commit(by, Record::Stopped(instance.to_owned())).await?;
        } else if !running {
            return Err(Problem::refused(format!("{instance} is not running. `latch run` starts it")));
        }
        // Once more, for one that does not listen: a second stop may be a kill.
        let stopping = self.process_named(instance);
        if let Some(process) = process.or(stopping) {
            self.stop_process(process, kill);
        }
        Ok(())
    }

    fn process_named(&self, name: &str) -> Option<u64> {
        let live = self.live.borrow();
        let is_it = |kind: &Kind| matches!(kind, Kind::App { instance } if instance == name);
        live.processes.iter().find(|(_, known)| is_it(&known.kind)).map(|(process, _)| *process)
    }

    /// The kernel says that an app's process ended.
    pub(crate) fn app_exited(self: &Rc<Self>, instance: &str, process: u64, code: i32, last: &str) {
        self.live.borrow_mut().presets.retain(|(of, _), _| of != instance);
        self.record_exit(instance, process, code, last);
        let row = self.state.borrow().instances.get(instance).filter(|row| row.run.process == process).cloned();
        let Some(row) = row.filter(|row| row.wanted && !self.stopping.get()) else { return };
        if code == 0 {
            // It has done what it was for.
            self.record_stopped(instance);
            return;
        }
        let ran_ms = row.exited_at_ms.saturating_sub(row.started_at_ms);
        let failures = {
            let mut live = self.live.borrow_mut();
            let failures = live.failures.entry(instance.to_owned()).or_default();
            *failures = if ran_ms >= RAN_WELL_MS { 1 } else { *failures + 1 };
            *failures
        };
        if failures > FAILURES_LIMIT {
            self.record_stopped(instance);
            self.warn(format!("{instance} failed {failures} times in a row and is not started again"));
            return;
        }
        let pause = Duration::from_secs(1 << (failures - 1).min(16)).min(PAUSE_LIMIT);
        let (core, instance) = (self.clone(), instance.to_owned());
        spawn(async move {
            tokio::time::sleep(pause).await;
            core.run_again(&instance).await;
        });
    }

    fn record_stopped(&self, instance: &str) {
        if let Err(problem) = self.record(THE_NODE, Record::Stopped(instance.to_owned())) {
            self.warn(problem.to_string());
        }
    }

    pub(crate) fn record_exit(&self, instance: &str, process: u64, code: i32, last: &str) {
        let last = vat::words::clip(last, vat::door::LAST_LIMIT_BYTES).to_owned();
        let exited = Exited { instance: instance.to_owned(), process, code, last };
        if let Err(problem) = self.record(THE_NODE, Record::Exited(exited)) {
            self.warn(problem.to_string());
        }
        self.bells.processes.ring();
        self.bells.requests.ring();
    }

    /// Starts a detached instance once more, as it was started before.
    pub(crate) async fn run_again(self: &Rc<Self>, instance: &str) {
        let row = self.state.borrow().instances.get(instance).cloned();
        let Some(row) = row.filter(|row| row.wanted && !row.running && !self.stopping.get()) else { return };
        let started = async {
            let package = self.package(&row.run.app)?;
            let process = self.new_id()?;
            let run =
                Ran { process, version: package.manifest.version.clone(), digest: package.digest, ..row.run.clone() };
            self.start(THE_NODE, run, &package).await
        };
        if let Err(problem) = started.await {
            self.warn(format!("{instance} could not be started again: {problem}"));
        }
    }

    /// Foreground apps end with their shell.
    pub(crate) fn stop_apps_of_shell(self: &Rc<Self>, shell: u64) {
        let theirs: Vec<u64> = {
            let state = self.state.borrow();
            state
                .instances
                .values()
                .filter(|row| row.running && row.run.shell == shell)
                .map(|row| row.run.process)
                .collect()
        };
        for process in theirs {
            self.stop_process(process, false);
        }
    }

    /// What a person gives anew with a run takes the place of what the instance held under those labels.
    async fn replace_by_presets(self: &Rc<Self>, by: &str, instance: &str) -> Result<(), Problem> {
        let replaced: Vec<u64> = {
            let (state, live) = (self.state.borrow(), self.live.borrow());
            let holder = Holder::Instance(instance.to_owned());
            let preset = |label: &str| live.presets.contains_key(&(instance.to_owned(), label.to_owned()));
            state
                .grants
                .held_by(&holder)
                .filter(|(_, node)| preset(&node.granted.label))
                .map(|(grant, _)| grant)
                .collect()
        };
        self.end_grants(by, &replaced, EndReason::Closed, "given anew with a run").await?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, which has them apart")]
    async fn preset(
        self: &Rc<Self>,
        by: &str,
        package: &Installed,
        instance: &str,
        label: &str,
        shell: u64,
        uid: u32,
        choice: Choice,
    ) -> Result<Preset, Problem> {
        let announced = package
            .manifest
            .announced(label)
            .cloned()
            .ok_or_else(|| crate::deciding::not_announced(instance, label))?;
        let resolved = self.resolve(shell, uid, choice, announced.interface, announced.rights).await?;
        Ok(Preset { by: format!("{by} with the run"), resolved })
    }
}

/// Whether this can name an instance: an app's name, or one of a person's choosing.
fn is_instance_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-#".contains(&byte);
    (1..=80).contains(&name.len())
        && name.bytes().all(fits)
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name != "host"
}

/// The limits that a node grants of those that a manifest asks for. 0 stays the sandbox's default.
fn allowed(asked: Limits) -> Limits {
    Limits {
        memory_bytes: asked.memory_bytes.min(MEMORY_LIMIT_BYTES),
        output_bytes: asked.output_bytes.min(OUTPUT_LIMIT_BYTES),
        ..asked
    }
}

fn sandbox_setup(run: &Ran, limits: Limits) -> Vec<u8> {
    let mut message = Builder::new_default();
    let mut builder = message.init_root::<sandbox_setup::Builder<'_>>();
    builder.set_name(&run.instance);
    builder.set_output(if run.detached { sandbox_setup::Output::Files } else { sandbox_setup::Output::Links });
    limits.write_to(builder.reborrow().init_limits());
    let mut arguments = builder.init_arguments(u32::try_from(run.arguments.len()).unwrap_or(0));
    for (index, argument) in (0..).zip(&run.arguments) {
        arguments.set(index, argument);
    }
    setup(&message)
}
