//! `latch-bench`: measures Latchkey against plain peers, in one run. `cargo xtask bench` builds everything and runs it.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod awake;
mod component;
mod machine;
mod memory;
mod node;
mod operator;
mod outcome;
mod peer;
mod place;
mod rows;
mod sample;
mod stage;
mod storage;
mod wasmtime;

use clap::Parser;
use rows::{Row, Scale};
use std::process::ExitCode;

/// Measures Latchkey. A missed aim is a finding, not a failure: the exit code is 1 only where a row cannot be measured.
#[derive(Parser)]
#[command(name = "latch-bench")]
struct Arguments {
    /// Only the rows with these names, or whose names begin so
    rows: Vec<String>,
    /// One line of JSON a row on standard output
    #[arg(long)]
    json: bool,
    /// Each row under ten seconds; those of the store, which is filled first, under half a minute
    #[arg(long)]
    quick: bool,
    /// Only say which rows there are
    #[arg(long)]
    list: bool,
    /// Only say what the rows need beside a node: other programs, and guests
    #[arg(long)]
    needs: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args();
    let own_name = words.next().unwrap_or_default();
    let result = if let Some(image) = stage::program(&own_name) {
        image().map(|()| true)
    } else {
        match words.next().as_deref() {
            Some(peer::program::WORD) => peer::program::run().map(|()| true),
            Some(awake::WORD) => {
                awake::run();
                Ok(true)
            }
            _ => measure(&Arguments::parse()),
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("latch-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the rows; whether every one could be measured.
fn measure(arguments: &Arguments) -> Result<bool, String> {
    let rows = rows::selected(&arguments.rows)?;
    machine::raise_descriptor_limit()?;
    if arguments.list {
        rows.iter().for_each(|row| println!("{:<22} {}", row.name, row.about));
        return Ok(true);
    }
    if arguments.needs {
        let names: std::collections::BTreeSet<&str> = rows.iter().flat_map(|row| row.needs).copied().collect();
        names.iter().for_each(|name| println!("{name}"));
        return Ok(true);
    }
    let machine = machine::describe();
    if arguments.json {
        eprintln!("{machine}");
    } else {
        println!("{machine}\n");
    }
    let scale = if arguments.quick { Scale::Quick } else { Scale::Full };
    let measured: Vec<bool> = rows.into_iter().map(|row| run(row, scale, arguments.json)).collect();
    Ok(measured.into_iter().all(|measured| measured))
}

/// Measures one row and prints what it found; whether it could be measured.
fn run(row: &Row, scale: Scale, json: bool) -> bool {
    match (row.measure)(scale) {
        Ok(outcome) if json => println!("{}", outcome.json()),
        Ok(outcome) => println!("{}", outcome.table()),
        Err(error) => {
            eprintln!("{}: cannot be measured: {error}", row.name);
            return false;
        }
    }
    true
}
