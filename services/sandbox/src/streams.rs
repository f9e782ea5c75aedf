//! The guest's standard streams, whichever kind of run it is.

use crate::output_files::KeptOutput;
use crate::stdio::{Input, Output};
use std::fs::File;
use std::io;
use vat::door::Carries;
use vat::native::{Arrived, Born, Delivery, Door};
use wasmtime_wasi::WasiCtxBuilder;

/// Names of the two files of a detached run.
const OUTPUT_FILES: [&str; 2] = ["output.0", "output.1"];

/// Where output goes to and input comes from.
pub(crate) enum Streams {
    /// A foreground run: links to the shell.
    Links { input: Input, output: Output, error: Output },
    /// A detached run.
    Kept(KeptOutput),
}

impl Streams {
    /// The streams of a detached run.
    ///
    /// # Errors
    /// The files were not given or cannot be used.
    pub(crate) fn from_files(born: &mut Born, limit_bytes: u64) -> io::Result<Self> {
        let mut take = |name: &str| -> io::Result<File> {
            let given = born.take_resource(name).ok_or_else(|| io::Error::other(format!("{name} was not given")))?;
            Ok(File::from(given.descriptor))
        };
        let files = [take(OUTPUT_FILES[0])?, take(OUTPUT_FILES[1])?];
        KeptOutput::open(files, limit_bytes).map(Self::Kept)
    }

    /// Waits for the three links of a foreground run. What else comes meanwhile is for the guest.
    ///
    /// # Errors
    /// The door was closed first.
    pub(crate) async fn from_links(door: &Door, early: &mut Vec<Delivery>) -> io::Result<Self> {
        let (mut input, mut output, mut error) = (None, None, None);
        loop {
            let delivery = door.next().await?.ok_or_else(|| io::Error::other("the door was closed"))?;
            match delivery {
                Delivery::Link(link) if link.carries == Carries::Raw => match name(&link) {
                    "stdin" => input = Some(Input::new(link.into_raw()?)),
                    "stdout" => output = Some(Output::new(link.into_raw()?)),
                    "stderr" => error = Some(Output::new(link.into_raw()?)),
                    _ => {}
                },
                other => early.push(other),
            }
            if let (Some(input), Some(output), Some(error)) = (&input, &output, &error) {
                return Ok(Self::Links { input: input.clone(), output: output.clone(), error: error.clone() });
            }
        }
    }

    /// Makes them those of the guest.
    pub(crate) fn give(&self, wasi: &mut WasiCtxBuilder) {
        match self {
            Self::Links { input, output, error } => {
                wasi.stdin(input.clone()).stdout(output.clone()).stderr(error.clone());
            }
            Self::Kept(output) => {
                wasi.stdout(output.clone()).stderr(output.clone());
            }
        }
    }

    /// The guest was told to stop: it is to wait for no more input.
    pub(crate) fn stop_input(&self) {
        if let Self::Links { input, .. } = self {
            input.stop();
        }
    }

    /// Returns when all that the guest printed is where it belongs, or nobody takes it.
    pub(crate) async fn drain(&self) {
        if let Self::Links { output, error, .. } = self {
            output.drain().await;
            error.drain().await;
        }
    }
}

/// The label without the instance's name before it.
fn name(link: &Arrived) -> &str {
    link.label.rsplit('/').next().unwrap_or_default()
}
