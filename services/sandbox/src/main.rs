//! The sandbox: one process for each running app. It loads the compiled component, gives it an empty WASI and a door,
//! and passes bytes between the guest and its links. It has no compiler and never parses what goes over a link: the
//! guest is the vat.
#![deny(unsafe_code)]

mod clocks;
mod doorway;
mod guest;
mod limits;
mod link;
mod outcome;
mod output_files;
mod plumbing;
mod setup;
mod stdio;
mod stopping;
mod streams;
mod turn;
mod unsafe_component;

mod bindings {
    //! What the guest's door looks like, from `kernel/vat/wit`.
    #![allow(missing_docs, unreachable_pub, clippy::all)]

    wasmtime::component::bindgen!({
        path: "../../kernel/vat/wit",
        world: "app",
        imports: { "latchkey:door/door.wait": async | trappable, default: trappable },
    });
}

use outcome::Outcome;
use plumbing::Plumbing;
use setup::{Setup, StreamKind};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use streams::Streams;
use vat::confine::{self, Allow, Profile};
use vat::native::{Born, Delivery, Door};

fn main() -> ExitCode {
    match live() {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => {
            eprintln!("latch-sandbox: {error}");
            ExitCode::from(outcome::NOT_BEGUN)
        }
    }
}

/// From birth to the guest's end.
fn live() -> io::Result<Outcome> {
    let mut born = Born::take()?;
    let confinement = confine::enter(Profile::Sandbox, Allow { folder: None, reduced: born.is_reduced() })
        .inspect_err(|error| born.last(&error.to_string()))
        .map_err(io::Error::other)?;
    born.confined(&confinement)?;
    let setup = Setup::read(born.setup()).map_err(io::Error::other)?;
    let component = born.take_resource("component").ok_or_else(|| io::Error::other("no component was given"))?;
    let kept = match setup.streams {
        StreamKind::Files => Some(Streams::from_files(&mut born, setup.limits.output_bytes)?),
        StreamKind::Links => None,
    };
    let mut config = setup::configure(&setup.limits);
    let (engine, component) = match unsafe_component::load(&mut config, &component.descriptor) {
        Ok(loaded) => loaded,
        Err(error) => {
            let outcome = Outcome::Refused(format!("the compiled component cannot be used: {error:#}"));
            outcome.last_word().iter().for_each(|word| born.last(word));
            return Ok(outcome);
        }
    };
    vat::native::run(async {
        let door = Arc::new(born.into_door()?);
        let mut early = Vec::new();
        let streams = match kept {
            Some(streams) => streams,
            None => Streams::from_links(&door, &mut early).await?,
        };
        let plumbing = Plumbing::new(doorway::Doorway::new(door.clone()), early);
        let outcome = guest::run(&engine, &component, &setup, &streams, plumbing).await;
        // What a stopped guest printed goes out as far as somebody reads it already.
        if outcome != Outcome::Stopped {
            tokio::select! {
                () = streams.drain() => {}
                () = told_to_stop(&door) => {}
            }
        }
        if let Some(word) = outcome.last_word() {
            door.last(&word).await;
        }
        Ok(outcome)
    })?
}

/// Returns when this process is to end, guest or no guest.
async fn told_to_stop(door: &Door) {
    while let Ok(Some(delivery)) = door.next().await {
        if matches!(delivery, Delivery::Stop) {
            return;
        }
    }
}
