//! Set-up, demonstration, tests and benchmarks of the whole project: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod demo;
mod guests;
mod run;
mod schema;
mod setup;
mod test;
mod toolchain;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Everything that a person does with this checkout beside plain cargo.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds or installs what building and testing need
    Setup,
    /// Builds every binary and app of the project
    Build {
        /// With the release profile, as the benchmarks use
        #[arg(long)]
        release: bool,
    },
    /// Builds the apps and the guests of the tests, with the binaries that they need
    Guests,
    /// Builds everything for release and measures it against plain programs
    Bench(bench::Arguments),
    /// Writes the Rust code of the schemas anew
    Schema,
    /// Sets up, builds, and shows the main job in a node of its own; fails where anything is not as told
    Demo,
    /// Sets up, builds and runs every test; words after -- go to `cargo test`
    Test {
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let root = root();
    let result = match Arguments::parse().command {
        Command::Setup => setup::all(&root),
        Command::Build { release } => {
            setup::building(&root).and_then(|()| build::all(&root, build::Profile::from_release(release)).map(|_| ()))
        }
        Command::Guests => setup::building(&root)
            .and_then(|()| build::latch(&root, build::Profile::Dev))
            .and_then(|binaries| guests::build(&root, &binaries).map(|_| ())),
        Command::Schema => {
            setup::schema_compiler().and_then(|()| schema::generate(&root, &root.join("schema/src/generated")))
        }
        Command::Bench(arguments) => bench::run(&root, &arguments),
        Command::Demo => demo::run(&root),
        Command::Test { arguments } => test::run(&root, &arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The checkout's own folder: the parent of this crate's.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
