//! Packages, authors and instances.

use super::{Choice, pages, rows};
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::{Author, Instance, Package, text};

/// A run to be started.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The package's name.
    pub(crate) app: &'a str,
    /// The instance's name; empty: the node picks one.
    pub(crate) instance: &'a str,
    /// What the app finds after its own name.
    pub(crate) arguments: &'a [String],
    pub(crate) detached: bool,
    /// What is granted before it starts, by label.
    pub(crate) presets: &'a [(String, Choice)],
}

/// A piece of what a detached run printed.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) output: Vec<u8>,
    /// The number of its first byte, of all that were printed.
    pub(crate) at: u64,
    /// The number after the last one that was kept when this was asked.
    pub(crate) end: u64,
}

impl Node {
    /// Installs the package behind a token; the second value is the version that it replaced, or empty.
    pub(crate) async fn install(&self, token: u64, trust_author: bool) -> Outcome<(Package, String)> {
        let mut request = self.operator().install_request();
        request.get().set_token(token);
        request.get().set_trust_author(trust_author);
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok((Package::read(results.get_package()?)?, text(results.get_replaced())?))
    }

    pub(crate) async fn packages(&self) -> Outcome<Vec<Package>> {
        pages(|cursor| async move {
            let mut request = self.operator().packages_request();
            request.get().set_cursor(cursor);
            let response = request.send().promise.await?;
            let results = response.get()?;
            Ok((rows!(results.get_rows(), Package::read), results.get_cursor()))
        })
        .await
    }

    /// Removes a package; how many grants ended with it.
    pub(crate) async fn uninstall(&self, name: &str) -> Outcome<u32> {
        let mut request = self.operator().uninstall_request();
        request.get().set_name(name);
        Ok(request.send().promise.await?.get()?.get_grants_ended())
    }

    /// Takes an author's packages from now on, or no longer.
    pub(crate) async fn trust(&self, author: &[u8], name: &str, remove: bool) -> Outcome {
        let mut request = self.operator().trust_request();
        request.get().set_author(author);
        request.get().set_name(name);
        request.get().set_remove(remove);
        request.send().promise.await?;
        Ok(())
    }

    pub(crate) async fn authors(&self) -> Outcome<Vec<Author>> {
        pages(|cursor| async move {
            let mut request = self.operator().authors_request();
            request.get().set_cursor(cursor);
            let response = request.send().promise.await?;
            let results = response.get()?;
            Ok((rows!(results.get_rows(), Author::read), results.get_cursor()))
        })
        .await
    }

    /// Starts a run; its instance's name and the node's number for it.
    pub(crate) async fn run(&self, run: &Run<'_>) -> Outcome<(String, u64)> {
        let mut request = self.operator().run_request();
        let mut parameters = request.get();
        parameters.set_app(run.app);
        parameters.set_instance(run.instance);
        parameters.set_detached(run.detached);
        let mut arguments = parameters.reborrow().init_arguments(run.arguments.len() as u32);
        for (index, argument) in (0..).zip(run.arguments) {
            arguments.set(index, argument);
        }
        let mut grants = parameters.init_grants(run.presets.len() as u32);
        for (index, (label, choice)) in (0..).zip(run.presets) {
            let mut preset = grants.reborrow().get(index);
            preset.set_label(label);
            choice.write_to(preset.init_choice());
        }
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok((text(results.get_instance())?, results.get_process()))
    }

    /// Waits for a run's end: its exit code, or minus a signal's number, and its last word.
    pub(crate) async fn wait(&self, instance: &str, process: u64) -> Outcome<(i32, String)> {
        let mut request = self.operator().wait_request();
        request.get().set_instance(instance);
        request.get().set_process(process);
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok((results.get_code(), text(results.get_last())?))
    }

    pub(crate) async fn stop(&self, instance: &str, kill: bool) -> Outcome {
        let mut request = self.operator().stop_request();
        request.get().set_instance(instance);
        request.get().set_kill(kill);
        request.send().promise.await?;
        Ok(())
    }

    pub(crate) async fn instances(&self) -> Outcome<Vec<Instance>> {
        pages(|cursor| async move {
            let mut request = self.operator().instances_request();
            request.get().set_cursor(cursor);
            let response = request.send().promise.await?;
            let results = response.get()?;
            Ok((rows!(results.get_rows(), Instance::read), results.get_cursor()))
        })
        .await
    }

    /// That there is an instance of that name, running or not.
    pub(crate) async fn know_instance(&self, name: &str) -> Outcome {
        if self.instances().await?.iter().any(|instance| instance.name == name) {
            return Ok(());
        }
        let failure = Failure::new(format!("there is no instance `{name}`"));
        Err(match name.strip_prefix('#').unwrap_or(name) {
            number if number.parse::<u64>().is_ok() => {
                failure.because("that is the number of a grant").next(format!("latch why {number}"))
            }
            _ => failure.next("latch ps --all"),
        })
    }

    /// The next piece of an instance's output, from that byte on or from the first later one that is kept.
    pub(crate) async fn logs(&self, instance: &str, from: u64) -> Outcome<Piece> {
        let mut request = self.operator().logs_request();
        request.get().set_instance(instance);
        request.get().set_from(from);
        let response = request.send().promise.await?;
        let results = response.get()?;
        Ok(Piece { output: results.get_output()?.to_vec(), at: results.get_at(), end: results.get_end() })
    }
}
