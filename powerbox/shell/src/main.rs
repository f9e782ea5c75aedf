//! `latch`: the command by which a person runs a node, decides who may have what, and looks at what happened.
//!
//! The command is a vat like any other: it comes to the node's operator door, gets a link to the powerbox, and whatever
//! else it uses arrives as a link of its own. It holds no secret, and its rights are those of the person who runs it.
#![forbid(unsafe_code)]

mod ask;
mod author;
mod cli;
mod commands;
mod failure;
mod folder;
mod guarded;
mod hosted;
mod json;
mod keys;
mod node;
mod output;
mod rows;
mod secret_file;
mod signals;
mod spec;
mod state;
mod store;
mod supervise;
mod terminal;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::try_parse().unwrap_or_else(|error| {
        cli::tell(&error, std::env::args_os());
        std::process::exit(cli::exit_code(&error))
    });
    let runs = matches!(cli.command, cli::Command::Run(_));
    let state = state::State::choose(cli.state.as_deref());
    let code = match commands::dispatch(cli, &state) {
        Ok(code) => code,
        Err(failure) => {
            output::error(&state::told(&state, &failure.to_string()));
            if runs { failure.run_code() } else { failure.exit_code() }
        }
    };
    output::close();
    // A thread may still wait for input that nobody will read: it does not keep the process.
    std::process::exit(i32::from(code))
}
