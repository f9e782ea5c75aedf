//! `latch run`

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::thread::JoinHandle;

use clap::Args;
use tokio::signal::unix::SignalKind;

use super::{Context, grant, install};
use vat::door::EXIT_STOPPED;

use crate::ask::{Choice, Found, Run as Start};
use crate::failure::{EXIT_FAILED, EXIT_RUN_NOT_FOUND, EXIT_RUN_NOT_STARTED, Failure, Outcome};
use crate::folder;
use crate::node::Node;
use crate::output;
use crate::rows::Grant;
use crate::signals::{self, Signals};
use crate::spec::grant::Labelled;
use crate::terminal::confirm;
use crate::terminal::gate::Gate;
use crate::terminal::pump::{self, Output};
use crate::terminal::questions::Questions;
use crate::text::escape;

/// How the kernel tells of a process that it killed.
const KILLED: i32 = -9;

/// Runs an app, and asks you on this terminal what it may have
///
/// It starts with nothing: what it asks for shows on this terminal, and you choose. Without a terminal, a request waits
/// in `latch requests`.
///
/// Standard input and output are the app's. On a terminal only its text and colours pass, unless --raw is given.
/// Ctrl-C asks it to stop; a second Ctrl-C ends it. Either way latch then ends as an interrupted program does: with 130.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch run search -- TODO
  latch run --trust ./search.latch -- -i todo
  latch run search --grant folder=host:./docs,ro,expires=1h -- TODO
  latch run --detach --name watcher search -- TODO

Exit codes: the app's own, and, with the reason on standard error unless the signal was yours,
  124    the app went over a limit: of memory, of its stack, of computing without a pause
  125    latch or the node failed, or the command line makes no sense
  126    the app was not begun: its package was refused, or it could not be started
  127    there is no such app or file
  128+N  signal N ended it: 130 after Ctrl-C, unless the app ends with a code of its own; 134 where it trapped, as a
         panic does; 143 where it was stopped
How a grant is written: latch grant --help")]
pub(crate) struct Run {
    /// An installed app, or a package to install and run
    #[arg(value_name = "APP|FILE.latch")]
    app: String,
    /// What the app is told
    #[arg(value_name = "ARGS")]
    pub(crate) arguments: Vec<String>,
    /// The instance's name [default: the app's, with #2, #3 … while it is taken]
    #[arg(long)]
    name: Option<String>,
    /// Leaves it running in the background, and starts it again with the node
    #[arg(long, short)]
    detach: bool,
    /// Gives it something before it starts: label=offer[,ro|,append|,rw][,expires=1h]…
    #[arg(long, value_name = "LABEL=OFFER[,…]")]
    grant: Vec<String>,
    /// Takes the packages of this file's author from now on
    #[arg(long)]
    trust: bool,
    /// Sends every byte that the app prints to the terminal, for full-screen apps that you trust with it
    #[arg(long)]
    raw: bool,
}

/// Runs; the exit code is the app's.
pub(crate) async fn run(context: &Context, command: Run) -> Outcome<u8> {
    let presets: Result<Vec<Labelled>, String> =
        command.grant.iter().map(|text| Labelled::parse(text, &context.current)).collect();
    let presets = presets.map_err(Failure::usage)?;
    let node = Node::connect(&context.state).await?;
    let started = start(&node, &command, &presets).await;
    let (instance, process) = started.map_err(|failure| match failure.exit_code() {
        EXIT_FAILED => failure.code(EXIT_RUN_NOT_STARTED),
        _ => failure,
    })?;
    if command.detach {
        let name = escape::line(&instance);
        let hint = format!("{name} runs (latch logs {name}; latch stop {name})");
        context.done(&hint, &serde_json::json!({ "instance": instance, "process": process }))?;
        return Ok(0);
    }
    let foreground = Foreground { context, node: &node, instance, process, told: Cell::new(None) };
    foreground.run(command.raw).await
}

/// Finds or installs the app and starts it: its instance's name and the node's number for the run.
async fn start(node: &Node, command: &Run, presets: &[Labelled]) -> Outcome<(String, u64)> {
    let app = find(node, command).await?;
    let mut choices = Vec::new();
    for preset in presets {
        let again = |label: &str| {
            let separator = (!command.arguments.is_empty()).then(|| "--".to_owned());
            let arguments =
                separator.into_iter().chain(command.arguments.iter().map(|argument| escape::word(argument)));
            let words = ["latch", "run", &app, "--grant"].map(str::to_owned).into_iter();
            let grant = escape::word(&format!("{label}={}", preset.written));
            words.chain([grant]).chain(arguments).collect::<Vec<_>>().join(" ")
        };
        let asked = grant::announced_rights(node, &app, &preset.label, again).await?;
        let found = Found::given(node, &preset.given).await?;
        confirm::where_it_leads(&found, preset.given.force).await?;
        let rights = found.share(node, &preset.given, asked).await?;
        choices.push((preset.label.clone(), Choice::of(node, found, &preset.given, rights).await?));
    }
    let start = Start {
        app: &app,
        instance: command.name.as_deref().unwrap_or(""),
        arguments: &command.arguments,
        detached: command.detach,
        presets: &choices,
    };
    node.run(&start).await
}

async fn find(node: &Node, command: &Run) -> Outcome<String> {
    if command.app.contains('/') || command.app.ends_with(".latch") {
        let file = Path::new(&command.app);
        if !file.exists() {
            return Err(Failure::new(format!("there is no file {}", command.app))
                .next("name a package that `latch build DIR` has made, or an app that `latch install` lists")
                .code(EXIT_RUN_NOT_FOUND));
        }
        if file.is_dir() {
            return Err(Failure::new(format!("{} is a folder, not a package", command.app))
                .next(format!("latch build {}, then run the .latch file that it names", folder::shown(file)))
                .code(EXIT_RUN_NOT_STARTED));
        }
        let (package, _) = install::install(node, file, command.trust).await?;
        return Ok(package.name);
    }
    if node.packages().await?.iter().any(|package| package.name == command.app) {
        return Ok(command.app.clone());
    }
    Err(Failure::new(format!("no app `{}` is installed", command.app))
        .next("latch install lists what is; latch install FILE.latch adds one")
        .code(EXIT_RUN_NOT_FOUND))
}

/// A run that this terminal belongs to.
struct Foreground<'a> {
    context: &'a Context,
    node: &'a Node,
    instance: String,
    process: u64,
    /// The first signal by which a person told this command, and so the app, to end.
    told: Cell<Option<SignalKind>>,
}

impl Foreground<'_> {
    async fn run(&self, raw: bool) -> Outcome<u8> {
        let gate = Gate::default();
        let outputs = self.connect(&gate, raw).await?;
        let mut questions = Questions::new(self.node, &self.instance, &self.context.current, gate);
        let deciding = questions.deciding();
        let (code, last) = {
            let mut asking = pin!(questions.answer_all());
            let ended = tokio::select! {
                ended = self.node.persist(|| self.node.wait(&self.instance, self.process)) => ended?,
                failure = asking.as_mut() => return Err(failure),
                failure = self.obey_signals() => return Err(failure),
                () = self.node.closed() => return Err(Failure::new("the node stopped, and the app with it").next("latch status")),
            };
            // It may have ended with what it was just given, and the person has yet to be told that it was.
            tokio::select! {
                biased;
                _ = deciding.lock() => {}
                _ = asking => {}
            }
            ended
        };
        // Every byte that the app wrote is shown before its end is told.
        drain(outputs).await;
        if code != 0 {
            self.tell_of_ended().await;
        }
        Ok(exit_code(&self.instance, code, &last, self.told.get()))
    }

    /// What was taken from an app, or is over or used up, stays so, without a question, until a person gives it back: says
    /// how.
    async fn tell_of_ended(&self) {
        // Where the node cannot be asked any more, the run's own end is told all the same.
        let grants = self.node.grants(true).await.unwrap_or_default();
        for (label, reason, command) in restoring(&self.instance, &grants) {
            let failure = Failure::new(format!("it lacks “{label}”, which was {reason}"));
            output::error(&self.context.state.told(&failure.next(command).to_string()));
        }
    }

    /// Joins the app's standard input and output to ours; the threads that carry its output.
    async fn connect(&self, gate: &Gate, raw: bool) -> Outcome<Vec<JoinHandle<()>>> {
        let link = async |name: &str| self.node.raw_link(&format!("{}/{name}", self.instance)).await;
        let (stdin, stdout, stderr) = (link("stdin").await?, link("stdout").await?, link("stderr").await?);
        // The input's thread may wait for ever, and nobody waits for it.
        drop(pump::input(stdin, gate.clone()));
        Ok(vec![
            pump::output(stdout, Output::Standard, gate.clone(), raw),
            pump::output(stderr, Output::Error, gate.clone(), raw),
        ])
    }

    /// The first signal asks the app to stop, the second kills it, the third leaves it to the node. Returns only where
    /// nothing is left to wait for.
    async fn obey_signals(&self) -> Failure {
        let mut signals = match Signals::watch() {
            Ok(signals) => signals,
            Err(failure) => return failure,
        };
        let first = signals.next().await;
        self.told.set(Some(first));
        for kill in [false, true] {
            let stop = async {
                // It is refused where the app has ended by now, and word of that is on its way.
                let _ = self.node.persist(|| self.node.stop(&self.instance, kill)).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = stop => {}
                _ = signals.next() => {}
            }
        }
        Failure::new("left before the app had ended")
            .because("told to, three times")
            .next("latch ps")
            .code(signals::exit_code(first.as_raw_value()))
    }
}

/// For each label of the instance whose last grant ended for good: the label, how that ended, and the command that gives
/// it back as it was.
fn restoring<'a>(instance: &str, grants: &'a [Grant]) -> Vec<(&'a str, &'static str, String)> {
    let mut last: BTreeMap<&str, &'a Grant> = BTreeMap::new();
    for grant in grants.iter().filter(|grant| grant.holder == instance) {
        let known = last.entry(&grant.label).or_insert(grant);
        if known.id < grant.id {
            *known = grant;
        }
    }
    let for_good = |grant: &'a Grant| {
        let reason = grant.end_reason.filter(|reason| ["revoked", "expired", "exhausted"].contains(reason))?;
        let command = format!("latch grant {instance} {}", escape::word(&grant.written()));
        Some((grant.label.as_str(), reason, command))
    };
    last.values().copied().filter_map(for_good).collect()
}

async fn drain(outputs: Vec<JoinHandle<()>>) {
    let joined = tokio::task::spawn_blocking(|| outputs.into_iter().for_each(|output| drop(output.join())));
    // It fails only if it panics, and then there is nothing more to show.
    let _ = joined.await;
}

/// The app's own exit code; how it ended is told where it was not by itself. Where it ended because a signal `told` it
/// to, that signal's: what a shell shows for any program, and for this one where the signal comes before the app runs.
fn exit_code(instance: &str, code: i32, last: &str, told: Option<SignalKind>) -> u8 {
    if code < 0 || !last.is_empty() {
        let how = if code < 0 {
            format!("was ended by signal {}", code.unsigned_abs())
        } else {
            format!("ended with {code}")
        };
        let word =
            if last.is_empty() { String::new() } else { format!("; its process said: {}", escape::quoted(last)) };
        output::error(&format!("latch: {} {how}{word}", escape::line(instance)));
    }
    let obeyed = code == i32::from(EXIT_STOPPED) || code == KILLED;
    let code = told.filter(|_| obeyed).map_or(code, |signal| -signal.as_raw_value());
    if code < 0 { signals::exit_code(code.saturating_neg()) } else { u8::try_from(code).unwrap_or(u8::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_code_is_latchs_code() {
        assert_eq!(exit_code("a", 0, "", None), 0);
        assert_eq!(exit_code("a", 3, "", None), 3);
        assert_eq!(exit_code("a", -9, "", None), 137);
        assert_eq!(exit_code("a", 4096, "", None), 255);
        assert_eq!(exit_code("a", i32::MIN, "", None), 255);
    }

    #[test]
    fn who_interrupts_sees_the_interrupt() {
        let interrupt = Some(SignalKind::interrupt());
        assert_eq!(exit_code("a", 143, "", interrupt), 130);
        assert_eq!(exit_code("a", -9, "", interrupt), 130, "the second one kills");
        assert_eq!(exit_code("a", 143, "", Some(SignalKind::terminate())), 143);
        assert_eq!(exit_code("a", 143, "", None), 143, "another stopped it");
        assert_eq!(exit_code("a", 0, "", interrupt), 0, "it had finished");
        assert_eq!(exit_code("a", -11, "", interrupt), 139);
    }
}
