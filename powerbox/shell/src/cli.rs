//! The command line: every command with its help. What a command does stands in `commands/`.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands as c;
use crate::failure::EXIT_RUN_FAILED;
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
  latch revoke search:folder                  take it away, while it runs

Exit codes: 0 done; 1 refused or failed (standard error says what, why, and what next); 2 usage.
Under `run` the app's own code passes through; the others are in `latch run --help`.";

/// Where help lists what every command takes.
const ANYWHERE: &str = "With any command";

/// Runs apps that you do not trust and gives them exactly what you hand them.
#[derive(Debug, Parser)]
#[command(name = "latch", version, after_help = GROUPS, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// The node's folder [default: $LATCH_STATE, else $XDG_STATE_HOME/latch, else ~/.local/state/latch]
    #[arg(long, global = true, value_name = "DIR", help_heading = ANYWHERE)]
    pub(crate) state: Option<PathBuf>,

    /// Prints JSON, for programs: a listing is one array, `log` one object a line
    #[arg(long, global = true, help_heading = ANYWHERE)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(c::up::Up),
    Down(c::down::Down),
    Status(c::status::Status),
    Doctor(c::doctor::Doctor),

    New(c::author::New),
    Build(c::author::Build),
    Install(c::install::Install),
    Run(c::run::Run),
    Ps(c::ps::Ps),
    Stop(c::stop::Stop),
    Logs(c::logs::Logs),
    Uninstall(c::uninstall::Uninstall),
    Trust(c::trust::Trust),

    Offers(c::offers::Offers),
    Requests(c::requests::Requests),
    Approve(c::approve::Approve),
    Deny(c::deny::Deny),
    Grants(c::grants::Grants),
    Grant(c::grant::Grant),
    Revoke(c::revoke::Revoke),
    Why(c::why::Why),
    Log(c::log::Log),

    Ls(c::files::ls::Ls),
    Cat(c::files::cat::Cat),
    Put(c::files::put::Put),
    Get(c::files::get::Get),
    Rm(c::files::rm::Rm),

    /// Keeps a kernel running: what `latch up` leaves in the background
    #[command(hide = true)]
    Supervise(Supervise),
}

/// The exit code for a command line that cannot be read. Under `run` the small codes are the app's.
pub(crate) fn exit_code(error: &clap::Error) -> i32 {
    let matches = Cli::command().ignore_errors(true).try_get_matches().ok();
    let runs = matches.is_some_and(|matches| matches.subcommand_name() == Some("run"));
    if runs && error.use_stderr() { i32::from(EXIT_RUN_FAILED) } else { error.exit_code() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
