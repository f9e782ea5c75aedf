//! What a running app asks for, put to the person at its terminal, one request at a time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::sync::Mutex;
use vat::Rights;

use super::confirm;
use super::gate::Gate;
use super::prompt::{self, Answer};
use super::tty::Tty;
use crate::ask::Found;
use crate::commands::approve;
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::output;
use crate::rows::Request;
use crate::spec::grant::Given;
use crate::text::{escape, words};

/// Asks for one instance.
pub(crate) struct Questions<'a> {
    node: &'a Node,
    instance: &'a str,
    current: &'a Path,
    gate: Gate,
    /// Requests that were put to the person, or pointed out where nobody could be asked.
    told: HashSet<u64>,
    /// Held from an answer until its effect is shown: an app may be given something and end before that.
    deciding: Rc<Mutex<()>>,
}

/// How a question ended.
enum End {
    Decided,
    /// Somebody else decided, it timed out, or the app withdrew it.
    Gone,
    /// Nobody can be asked here.
    NoTerminal,
}

/// What came of asking once.
enum Heard {
    Line(String),
    End(End),
}

impl<'a> Questions<'a> {
    pub(crate) fn new(node: &'a Node, instance: &'a str, current: &'a Path, gate: Gate) -> Self {
        Self { node, instance, current, gate, told: HashSet::new(), deciding: Rc::default() }
    }

    /// Free while no answer is on its way to the node.
    pub(crate) fn deciding(&self) -> Rc<Mutex<()>> {
        Rc::clone(&self.deciding)
    }

    /// Goes on for as long as the app runs. Returns only if the node cannot be asked.
    pub(crate) async fn answer_all(&mut self) -> Failure {
        let mut version = None;
        loop {
            let requests = match self.node.next_requests(self.instance, &mut version).await {
                Ok(requests) => requests,
                Err(failure) => return failure,
            };
            let new = requests.into_iter().filter(|request| self.told.insert(request.id)).collect::<Vec<_>>();
            for request in &new {
                match self.put(request, version).await {
                    Ok(End::Decided | End::Gone) => {}
                    // Said once, where nobody can be asked.
                    Ok(End::NoTerminal) => output::error(&self.node.state().told(&waiting(request))),
                    Err(failure) => output::error(&self.node.state().told(&failure.to_string())),
                }
            }
        }
    }

    /// Puts one request to the person. The terminal is theirs until they have answered.
    async fn put(&self, request: &Request, version: Option<u64>) -> Outcome<End> {
        let Some(tty) = Tty::open() else { return Ok(End::NoTerminal) };
        let gate = self.gate.clone();
        // Output that is being written is finished first.
        let Ok(_shut) = tokio::task::spawn_blocking(move || gate.shut()).await else { return Ok(End::NoTerminal) };
        let home = std::env::var_os("HOME").map(PathBuf::from);
        if tty.show(&prompt::question(request)).is_err() {
            return Ok(End::NoTerminal);
        }
        let mut open = OpenQuestion { tty: &tty, answered: false };
        let ended = self.hear_out(&tty, request, version, home.as_deref()).await?;
        open.answered = true;
        Ok(ended)
    }

    /// Listens until there is an answer that holds, and does what it says.
    async fn hear_out(&self, tty: &Tty, request: &Request, version: Option<u64>, home: Option<&Path>) -> Outcome<End> {
        let ask = async |cue: String| {
            tokio::select! {
                line = tty.ask(&cue) => Ok(match line {
                    Ok(Some(line)) => Heard::Line(line),
                    _ => Heard::End(End::NoTerminal),
                }),
                gone = self.gone(request.id, version) => gone.map(|()| Heard::End(End::Gone)),
            }
        };
        // Whatever was on its way to the app is no answer; who took the request back meanwhile is heard by `ask`.
        tty.settle().await;
        let ended = loop {
            let line = match ask(prompt::cue(request)).await? {
                Heard::Line(line) => line,
                Heard::End(end) => break end,
            };
            let answer = match prompt::answer(&line, request, self.current, home) {
                Ok(answer) => answer,
                Err(mistake) => {
                    let _ = tty.show(&format!("  {}\n", escape::line(&mistake)));
                    continue;
                }
            };
            let decided = match answer {
                Answer::Give(given) => match self.find(request, &given).await {
                    Ok((found, rights)) => match ask(prompt::confirmation(request, &found, &given, rights)).await? {
                        Heard::Line(line) if confirm::is_yes(&line) => {
                            self.decide(tty, self.approve(request, found, &given, rights)).await
                        }
                        Heard::Line(_) => Err("  nothing was given".to_owned()),
                        Heard::End(end) => break end,
                    },
                    Err(failure) => Err(self.node.state().told(&failure.to_string())),
                },
                Answer::No => self.decide(tty, self.deny(request, false)).await,
                Answer::Never => self.decide(tty, self.deny(request, true)).await,
            };
            // A terminal that takes no more is noticed by the next question.
            match decided {
                Ok(()) => break End::Decided,
                Err(mistake) => drop(tty.show(&format!("{mistake}\n"))),
            }
        };
        if matches!(ended, End::Gone) {
            let _ = tty.show(&format!("\n({})\n", self.decided_elsewhere(request).await));
        }
        Ok(ended)
    }

    /// What the person picked, and the rights that it is given with.
    async fn find(&self, request: &Request, given: &Given) -> Outcome<(Found, Rights)> {
        let found = Found::given(self.node, given).await?;
        let rights = found.share(self.node, given, request.rights).await?;
        Ok((found, rights))
    }

    /// Decides and shows what came of it. The error is what to tell the person before asking again.
    async fn decide(&self, tty: &Tty, deciding: impl Future<Output = Outcome<String>>) -> Result<(), String> {
        let _deciding = self.deciding.lock().await;
        let done = deciding.await.map_err(|failure| self.node.state().told(&failure.to_string()))?;
        let _ = tty.show(&format!("{done}\n"));
        Ok(())
    }

    async fn approve(&self, request: &Request, found: Found, given: &Given, rights: Rights) -> Outcome<String> {
        let granted = approve::approve(self.node, request, found, given, rights).await?;
        Ok(self.node.state().told(&granted.to_string()))
    }

    async fn deny(&self, request: &Request, always: bool) -> Outcome<String> {
        self.node.deny(request.id, always).await?;
        Ok(if always { "denied, from now on" } else { "denied" }.to_owned())
    }

    /// What became of a request that was answered without this terminal.
    async fn decided_elsewhere(&self, request: &Request) -> String {
        let grants = self.node.grants(false).await.unwrap_or_default();
        let given = grants.iter().find(|grant| grant.holder == request.instance && grant.label == request.label);
        match given {
            Some(grant) => {
                let (instance, label) = (escape::line(&request.instance), escape::line(&request.label));
                let text =
                    format!("granted meanwhile: {instance}:{label}; latch why {id} tells by whom", id = grant.id);
                self.node.state().told(&text)
            }
            None => "denied elsewhere, or the app does not ask any more".to_owned(),
        }
    }

    /// Returns when the request waits no more.
    async fn gone(&self, id: u64, mut version: Option<u64>) -> Outcome {
        while self.node.next_requests(self.instance, &mut version).await?.iter().any(|request| request.id == id) {}
        Ok(())
    }
}

/// A question on the terminal. Whoever leaves it unanswered, because the app has ended above all, says so: a cue without
/// a word after it looks as if it still waited.
struct OpenQuestion<'a> {
    tty: &'a Tty,
    answered: bool,
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let _ = self.tty.show("\n(no answer is needed any more)\n");
        }
    }
}

/// That a request waits.
fn waiting(request: &Request) -> String {
    format!(
        "latch: {} asks for a {}, {}, as \"{}\", and waits\n  next: latch approve {id} {}   (or: latch deny {id})",
        escape::line(&request.instance),
        escape::line(&request.interface_name),
        words::rights(request.rights),
        escape::line(&request.label),
        // As `latch requests` lists what it can be; nothing may be there yet.
        request.providers.first().map_or_else(|| "OFFER".to_owned(), |provider| escape::line(provider)),
        id = request.id,
    )
}
