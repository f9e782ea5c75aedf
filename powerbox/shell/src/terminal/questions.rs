//! What a running app asks for, put to the person at its terminal, one request at a time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::sync::Mutex;

use super::gate::Gate;
use super::prompt::{self, Answer};
use super::tty::Tty;
use crate::commands::approve;
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::Request;
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
                    Ok(End::NoTerminal) => point_out(request),
                    Err(failure) => eprintln!("{failure}"),
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
        let cue = prompt::cue(request);
        let mut open = OpenQuestion { tty: &tty, answered: false };
        loop {
            let line = tokio::select! {
                line = tty.ask(&cue) => line,
                gone = self.gone(request.id, version) => {
                    gone?;
                    let became = self.decided_elsewhere(request).await;
                    open.answered = true;
                    let _ = tty.show(&format!("\n({became})\n"));
                    return Ok(End::Gone);
                }
            };
            let Ok(Some(line)) = line else {
                open.answered = true;
                return Ok(End::NoTerminal);
            };
            let _deciding = self.deciding.lock().await;
            let said = match prompt::answer(&line, request, self.current, home.as_deref()) {
                Ok(answer) => self.decide(request, answer).await.map_err(|failure| failure.to_string()),
                Err(mistake) => Err(format!("  {}", escape::line(&mistake))),
            };
            // A terminal that takes no more is noticed by the next question.
            match said {
                Ok(done) => {
                    open.answered = true;
                    let _ = tty.show(&format!("{done}\n"));
                    return Ok(End::Decided);
                }
                Err(mistake) => drop(tty.show(&format!("{mistake}\n"))),
            }
        }
    }

    async fn decide(&self, request: &Request, answer: Answer) -> Outcome<String> {
        match answer {
            Answer::Give(given) => approve::approve(self.node, request, &given).await,
            Answer::No => self.node.deny(request.id, false).await.map(|()| "denied".to_owned()),
            Answer::Never => self.node.deny(request.id, true).await.map(|()| "denied, from now on".to_owned()),
        }
    }

    /// What became of a request that was answered without this terminal.
    async fn decided_elsewhere(&self, request: &Request) -> String {
        let grants = self.node.grants(false).await.unwrap_or_default();
        let given = grants.iter().find(|grant| grant.holder == request.instance && grant.label == request.label);
        match given {
            Some(grant) => {
                let (instance, label) = (escape::line(&request.instance), escape::line(&request.label));
                format!("granted meanwhile: {instance}:{label}; latch why {id} tells by whom", id = grant.id)
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

/// Says once that a request waits, where nobody can be asked.
fn point_out(request: &Request) {
    eprintln!("{}", waiting(request));
}

fn waiting(request: &Request) -> String {
    format!(
        "latch: {} asks for a {}, {}, as \"{}\", and waits\n  next: latch approve {id} host:PATH   (or: latch deny {id})",
        escape::line(&request.instance),
        escape::line(&request.interface_name),
        words::rights(request.rights),
        escape::line(&request.label),
        id = request.id,
    )
}
