//! One file a command. Each has its arguments with their help, and what it does.

pub(crate) mod approve;
pub(crate) mod author;
pub(crate) mod cap;
pub(crate) mod deny;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod files;
pub(crate) mod fsck;
pub(crate) mod grant;
pub(crate) mod grants;
pub(crate) mod install;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod logs;
pub(crate) mod offers;
pub(crate) mod ps;
pub(crate) mod requests;
pub(crate) mod revoke;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod store;
pub(crate) mod trust;
pub(crate) mod uninstall;
pub(crate) mod up;
pub(crate) mod why;

use std::future::Future;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{Cli, Command};
use crate::failure::{Doing as _, Outcome};
use crate::node::{Node, run_on_node};
use crate::state::State;
use crate::{json, supervise};

/// What every command knows.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) state: State,
    pub(crate) json: bool,
    /// Relative paths count from here.
    pub(crate) current: PathBuf,
}

impl Context {
    /// Tells what was done: people in words, programs in JSON.
    fn done(&self, words: &str, value: &impl Serialize) -> Outcome {
        json::done(self.json, &self.state.told(words), value)
    }
}

/// Does what was asked; the exit code.
pub(crate) fn dispatch(cli: Cli, state: &Outcome<State>) -> Outcome<u8> {
    let found = || state.as_ref().map_err(Clone::clone);
    // These need no node, and the parent of a kernel must stay small.
    match cli.command {
        Command::New(command) => return author::new(state, cli.json, command).map(|()| 0),
        Command::Build(command) => return author::build(state, cli.json, command).map(|()| 0),
        Command::Cap(command) if !command.needs_node() => return cap::offline(cli.json, command).map(|()| 0),
        Command::Supervise(command) => return supervise::run(found()?, &command).map(|()| 0),
        Command::Up(command) => return up::run(found()?, cli.json, command).map(|()| 0),
        Command::Down(command) => return down::run(found()?, cli.json, &command).map(|()| 0),
        _ => {}
    }
    let current = std::env::current_dir().doing(|| "cannot tell the current folder".to_owned())?;
    let context = Context { state: found()?.clone(), json: cli.json, current };
    match cli.command {
        Command::Doctor(_) => run_on_node(doctor::run(&context))?,
        Command::Run(command) => run_on_node(run::run(&context, command))?,
        command => run_on_node(with_node(&context, command))?,
    }
}

async fn with_node(context: &Context, command: Command) -> Outcome<u8> {
    let node = &Node::connect(&context.state).await?;
    let work: std::pin::Pin<Box<dyn Future<Output = Outcome> + '_>> = match command {
        Command::Status(_) => Box::pin(status::run(context, node)),
        Command::Install(command) => Box::pin(install::run(context, node, command)),
        Command::Ps(command) => Box::pin(ps::run(context, node, command)),
        Command::Stop(command) => Box::pin(stop::run(context, node, command)),
        Command::Logs(command) => Box::pin(logs::run(context, node, command)),
        Command::Uninstall(command) => Box::pin(uninstall::run(context, node, command)),
        Command::Trust(command) => Box::pin(trust::run(context, node, command)),
        Command::Offers(_) => Box::pin(offers::run(context, node)),
        Command::Requests(command) => Box::pin(requests::run(context, node, command)),
        Command::Approve(command) => Box::pin(approve::run(context, node, command)),
        Command::Deny(command) => Box::pin(deny::run(context, node, command)),
        Command::Grants(command) => Box::pin(grants::run(context, node, command)),
        Command::Grant(command) => Box::pin(grant::run(context, node, command)),
        Command::Revoke(command) => Box::pin(revoke::run(context, node, command)),
        Command::Why(command) => Box::pin(why::run(context, node, command)),
        Command::Log(command) => Box::pin(log::run(context, node, command)),
        Command::Keys(command) => Box::pin(keys::run(context, node, command)),
        Command::Cap(command) => Box::pin(cap::run(context, node, command)),
        Command::Store(command) => Box::pin(store::run(context, node, command)),
        Command::Fsck(command) => Box::pin(fsck::run(context, node, command)),
        Command::Ls(command) => Box::pin(files::ls::run(context, node, command)),
        Command::Cat(command) => Box::pin(files::cat::run(context, node, command)),
        Command::Put(command) => Box::pin(files::put::run(context, node, command)),
        Command::Get(command) => Box::pin(files::get::run(context, node, command)),
        Command::Rm(command) => Box::pin(files::rm::run(context, node, command)),
        // Done before a node was looked for.
        Command::Up(_)
        | Command::Down(_)
        | Command::Doctor(_)
        | Command::New(_)
        | Command::Build(_)
        | Command::Run(_)
        | Command::Supervise(_) => return Ok(0),
    };
    match work.await {
        Ok(()) => Ok(0),
        Err(failure) => Err(node.explain(failure).await),
    }
}
