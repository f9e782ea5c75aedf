//! The command line: every command with its help. What a command does stands in `commands/`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands as c;
use crate::supervise::Supervise;

const GROUPS: &str = "\
The node       up, down, status, doctor
Apps           new, build, install, run, ps, stop, logs, uninstall, trust
Deciding       offers, requests, approve, deny, grants, grant, revoke, why, log
Your own hands ls, cat, put, get, rm

Begin with:
  latch up
  latch run --trust search.latch -- TODO      it asks for a folder; you pick one
  latch grants                                who holds what, right now
  latch revoke search:docs                    take it away, while it runs

Exit codes: 0 done; 1 refused or failed (standard error says what, why, and what next); 2 usage.
Under `run` the app's own code passes through, 128+N if signal N ended it; 125 latch or the node failed, 126 the app
could not be started, 127 there is no such app.";

/// Runs apps that you do not trust and gives them exactly what you hand them.
#[derive(Debug, Parser)]
#[command(name = "latch", version, after_help = GROUPS, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// The node's folder [default: $LATCH_STATE, else $XDG_STATE_HOME/latch, else ~/.local/state/latch]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Prints JSON, for programs: a listing is one array, `log` one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts the node in the background
    Up(c::up::Up),
    /// Stops the node in order, with everything that runs on it
    Down(c::down::Down),
    /// Shows the node: its processes, what holds them in, what is wrong
    Status(c::status::Status),
    /// Looks for what is wrong with this machine or node, and says what to do
    Doctor(c::doctor::Doctor),

    /// Makes a folder with a new app in it, ready to build
    New(c::author::New),
    /// Builds and signs an app: makes its .latch package
    Build(c::author::Build),
    /// Installs a package; without one, lists what is installed
    Install(c::install::Install),
    /// Runs an app, and asks you on this terminal what it may have
    Run(c::run::Run),
    /// Lists instances of apps
    Ps(c::ps::Ps),
    /// Stops instances; what they were granted stays theirs
    Stop(c::stop::Stop),
    /// Shows what a detached run printed
    Logs(c::logs::Logs),
    /// Removes a package, its instances and what they were granted
    Uninstall(c::uninstall::Uninstall),
    /// Takes an author's packages from now on; without one, lists the authors
    Trust(c::trust::Trust),

    /// Lists what can be granted
    Offers(c::offers::Offers),
    /// Lists what apps ask for and nobody has decided
    Requests(c::requests::Requests),
    /// Gives an app what it asks for
    Approve(c::approve::Approve),
    /// Refuses what an app asks for
    Deny(c::deny::Deny),
    /// Lists who holds what
    Grants(c::grants::Grants),
    /// Gives an app something before it asks, or again after it was taken away
    Grant(c::grant::Grant),
    /// Takes grants away, at once, with everything derived from them
    Revoke(c::revoke::Revoke),
    /// Tells how a holder came by an object: who asked, with which words, who decided
    Why(c::why::Why),
    /// Shows the record of everything that was decided, or proves that it is whole
    Log(c::log::Log),

    /// Lists a directory
    Ls(c::files::ls::Ls),
    /// Prints files
    Cat(c::files::cat::Cat),
    /// Stores a local file, or standard input
    Put(c::files::put::Put),
    /// Fetches a file
    Get(c::files::get::Get),
    /// Removes files or empty directories
    Rm(c::files::rm::Rm),

    /// Keeps a kernel running: what `latch up` leaves in the background
    #[command(hide = true)]
    Supervise(Supervise),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_a_group() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(GROUPS.lines().take(4).any(|line| line.split([' ', ',']).any(|word| word == name)), "{name}");
        }
    }

    #[test]
    fn an_apps_own_options_stay_its_own() {
        let cli = Cli::try_parse_from(["latch", "run", "search", "--grant", "docs=host:/x,ro", "--", "-i", "--json"]);
        let Ok(Cli { command: Command::Run(run), json: false, .. }) = cli else { panic!("not read as a run") };
        assert_eq!(run.arguments, ["-i", "--json"]);
    }
}
