//! Starting instances of apps.

use std::rc::Rc;

use capnp::message::Builder;
use package::Limits;
use schema::kernel_capnp::Image;
use schema::package_capnp::limits as wire;
use schema::setup_capnp::sandbox_setup;
use vat::door::ResourceKind;
use vat::words::EndReason;

use crate::choosing::{Choice, Resolved};
use crate::core::{Core, Start, setup};
use crate::deciding::not_announced;
use crate::live::Kind;
use crate::output::FILE_LIMIT_BYTES;
use crate::problem::Problem;
use crate::record::{Holder, Installed, Ran, Record};
use crate::runs::UNKNOWN_CODE;
use crate::words::{PHRASE_LIMIT, plain};

/// At most so many instances are remembered.
const INSTANCES_LIMIT: usize = 1_000;
/// Arguments of one run, with what they are packed in, fit into one message to the kernel.
const ARGUMENTS_LIMIT_BYTES: usize = 32 * 1024;
/// What a sandbox needs beside the guest's memory: measured about 10 MiB; generous, as this only guards the host.
const SANDBOX_BYTES: u64 = 256 << 20;

/// How a person starts an app.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) app: String,
    /// Empty: the first that is free.
    pub(crate) instance: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) detached: bool,
    /// What it is given with the run, by label.
    pub(crate) given: Vec<(String, Choice)>,
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
        // Nothing is waited for before: two who start the same app at once get two instances.
        let claim = self.claim_instance(&wish, &package)?;
        let instance = claim.instance.clone();
        let process = self.run_claimed(wish, &package, &instance).await?;
        Ok((instance, process))
    }

    async fn run_claimed(self: &Rc<Self>, wish: Wish, package: &Installed, instance: &str) -> Result<u64, Problem> {
        let by = format!("uid {}", wish.uid);
        let mut given = Vec::new();
        for (label, choice) in wish.given {
            let announced = package.manifest.announced(&label).ok_or_else(|| not_announced(instance, &label))?;
            let resolved = self.resolve(wish.shell, wish.uid, choice, announced.interface, announced.rights).await?;
            given.push((label, resolved));
        }
        let process = self.new_id()?;
        let run = Ran {
            instance: instance.to_owned(),
            app: wish.app,
            version: package.manifest.version.clone(),
            digest: package.digest,
            process,
            detached: wish.detached,
            arguments: wish.arguments,
            shell: if wish.detached { 0 } else { wish.shell },
            uid: wish.uid,
        };
        {
            // What an earlier run did wrong is not said of the one that a person starts now.
            let mut live = self.live.borrow_mut();
            live.failures.remove(instance);
            live.unannounced.remove(instance);
        }
        self.start(&by, run, package, given).await?;
        Ok(process)
    }

    pub(crate) fn package(&self, app: &str) -> Result<Installed, Problem> {
        let none = || {
            let app = plain(app, PHRASE_LIMIT);
            Problem::refused(format!("no package {app} is installed. Install one with `latch install {app}.latch`"))
        };
        self.state.borrow().packages.get(app).cloned().ok_or_else(none)
    }

    /// Claims an instance's name, which must be free: it must not be running, and nobody be starting it.
    fn claim_instance(self: &Rc<Self>, wish: &Wish, package: &Installed) -> Result<Claim, Problem> {
        let instance = self.free_instance(wish, package)?;
        self.claim(&instance).ok_or_else(|| is_being_started(&instance))
    }

    /// Claims an instance for who starts it; nothing where somebody else is at it.
    pub(crate) fn claim(self: &Rc<Self>, instance: &str) -> Option<Claim> {
        let claimed = self.live.borrow_mut().starting.insert(instance.to_owned());
        claimed.then(|| Claim { core: self.clone(), instance: instance.to_owned() })
    }

    fn free_instance(&self, wish: &Wish, package: &Installed) -> Result<String, Problem> {
        let name = &package.manifest.name;
        let (state, live) = (self.state.borrow(), self.live.borrow());
        let is_running = |instance: &str| {
            live.starting.contains(instance)
                || live.process_of(&Holder::Instance(instance.to_owned())).is_some()
                || state.instances.get(instance).is_some_and(|row| row.running)
        };
        let instance = if wish.instance.is_empty() {
            let numbered = (2..=INSTANCES_LIMIT).map(|number| format!("{name}#{number}"));
            let free = std::iter::once(name.clone()).chain(numbered).find(|instance| !is_running(instance));
            free.ok_or_else(|| Problem::refused(format!("too many instances of {name} are running. Stop some")))?
        } else {
            wish.instance.clone()
        };
        if !package::is_instance_name(&instance) {
            return Err(Problem::refused(
                "an instance's name must be 1 to 64 characters of a-z, 0-9 and '-', then perhaps '#' and a number. It begins with \
                 a letter and is none of the system's own words. Choose another",
            ));
        }
        if live.starting.contains(&instance) {
            return Err(is_being_started(&instance));
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

    /// Starts a run of an instance that the caller has claimed, with what it is given by label.
    pub(crate) async fn start(
        self: &Rc<Self>,
        by: &str,
        run: Ran,
        package: &Installed,
        given: Vec<(String, Resolved)>,
    ) -> Result<(), Problem> {
        let opened = {
            let path = self.package_path(&package.digest);
            async move || crate::compile::blocking(move || Core::open_installed(&path)).await
        };
        let component = self.compiled(&package.manifest, opened).await?;
        let (instance, process) = (run.instance.clone(), run.process);
        let mut resources = vec![("component", ResourceKind::Memory, component)];
        if run.detached {
            let [first, second] = crate::output::open(&self.folder, &instance)?;
            resources.push(("output.0", ResourceKind::File, Rc::new(first)));
            resources.push(("output.1", ResourceKind::File, Rc::new(second)));
        }
        // The sandbox holds them to what a node gives.
        let limits = package.manifest.limits;
        let guest_bytes = limits.memory_bytes.clamp(wire::MEMORY_DEFAULT_BYTES, wire::MEMORY_MAXIMUM_BYTES);
        let setup = sandbox_setup(&run, limits);
        let (shell, detached) = (run.shell, run.detached);
        // Compiling took its time. From this look to the record nothing is waited for.
        let is_installed = |now: &Installed| now.digest == package.digest;
        if !self.state.borrow().packages.get(&run.app).is_some_and(is_installed) {
            crate::output::remove(&self.folder, &instance);
            return Err(Problem::refused(format!(
                "{} was uninstalled or replaced while it was being started. `latch run` starts what is installed now",
                run.app
            )));
        }
        self.commit(by, Record::Ran(run)).await?;
        crate::fault::point("run.recorded");
        let start = Start {
            process,
            image: Image::Sandbox,
            kind: Kind::App { instance: instance.clone() },
            name: instance.clone(),
            setup,
            resources,
            claim: None,
            folder: None,
            restart: false,
            memory_bytes: guest_bytes + SANDBOX_BYTES,
            cpu_seconds: 0,
            // These two files are all that it may write.
            file_bytes: if detached { FILE_LIMIT_BYTES } else { 0 },
        };
        let mut granted = Vec::new();
        let started = match self.give(&format!("{by} with the run"), &instance, given, &mut granted).await {
            Ok(()) => self.start_process(start).await,
            refused => refused,
        };
        let begun = match started {
            Ok(()) => {
                let linked = self.link_run(&instance, process, shell).await;
                linked.inspect_err(|_| self.stop_process(process, true))
            }
            Err(problem) => {
                self.record_exit(&instance, process, UNKNOWN_CODE, &problem.to_string());
                Err(problem)
            }
        };
        self.bells.processes.ring();
        if begun.is_err() {
            self.end_grants_soon(granted, EndReason::Closed, "the run that it was given with did not begin".into());
        }
        begun
    }

    /// Grants what a person gives with a run: recorded before there is a process that could ask, so that it is listed
    /// and can be taken away like everything else, whether or not the app ever asks.
    async fn give(
        self: &Rc<Self>,
        by: &str,
        instance: &str,
        given: Vec<(String, Resolved)>,
        granted: &mut Vec<u64>,
    ) -> Result<(), Problem> {
        for (label, resolved) in given {
            let holder = Holder::Instance(instance.to_owned());
            granted.push(self.grant(by, holder, &label, resolved, false).await?);
        }
        Ok(())
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
}

/// An instance that is being started: nobody else starts it while this lives.
pub(crate) struct Claim {
    core: Rc<Core>,
    instance: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.core.live.borrow_mut().starting.remove(&self.instance);
    }
}

fn is_being_started(instance: &str) -> Problem {
    Problem::refused(format!("{instance} is being started by somebody else. Give the new one another name"))
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
