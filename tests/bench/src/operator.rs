//! A shell that is open already: what starting an app takes without starting the `latch` command as well.

use schema::operator_capnp::operator;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use vat::Bounds;
use vat::door::Carries;
use vat::native::{Arrived, Delivery, Door, SystemClock, connect_operator};

/// Starts an app so many times, one after the other; the time from each request to the first byte of output, in
/// microseconds.
pub(crate) fn until_first_byte(state: &Path, app: &str, count: u32) -> Result<Vec<f64>, String> {
    let runs = async {
        let door = connect_operator(state).map_err(|error| format!("cannot reach the node: {error}"))?;
        let shell = Shell::open(door).await?;
        let mut times_us = Vec::new();
        for _ in 0..count {
            times_us.push(shell.run(app).await?);
        }
        Ok(times_us)
    };
    vat::native::run(runs).map_err(|error| format!("no runtime: {error}"))?
}

struct Shell {
    door: Door,
    operator: operator::Client,
}

impl Shell {
    /// The first link is the one to the powerbox.
    async fn open(door: Door) -> Result<Self, String> {
        let arrived = next_link(&door).await?;
        if arrived.carries != Carries::Session {
            return Err("the first link is not a session".into());
        }
        let stream = arrived.into_stream().map_err(|error| format!("no session: {error}"))?;
        let connected = vat::connect(stream, Bounds::for_peer(vat::Peer::Powerbox), Rc::new(SystemClock::new()));
        tokio::task::spawn_local(connected.driving);
        Ok(Self { door, operator: capnp::capability::FromClientHook::new(connected.root.hook) })
    }

    async fn run(&self, app: &str) -> Result<f64, String> {
        let start = Instant::now();
        let mut request = self.operator.run_request();
        request.get().set_app(app);
        let response = request.send().promise;
        let (response, first) = futures::join!(response, self.first_byte(start));
        let (took_us, mut output) = first?;
        let failed = |error: capnp::Error| format!("{app} did not run: {error}");
        let response = response.map_err(failed)?;
        let started = response.get().map_err(failed)?;
        // the next start is not to meet the end of this one
        let mut wait = self.operator.wait_request();
        wait.get().set_instance(started.get_instance().map_err(failed)?);
        wait.get().set_process(started.get_process());
        output.read_to_end(&mut Vec::new()).await.map_err(|error| format!("{app}'s output broke: {error}"))?;
        wait.send().promise.await.map_err(failed)?;
        Ok(took_us)
    }

    /// Takes an app's three streams, and reads the first byte of its output; gives what it took and the stream.
    async fn first_byte(&self, start: Instant) -> Result<(f64, tokio::net::UnixStream), String> {
        let mut output = None;
        let mut others = Vec::new();
        for _ in 0..3 {
            let arrived = next_link(&self.door).await?;
            let is_output = arrived.label.ends_with("/stdout");
            let stream = arrived.into_raw().map_err(|error| format!("no stream: {error}"))?;
            if is_output {
                output = Some(stream);
            } else {
                others.push(stream);
            }
        }
        let mut output = output.ok_or("no link is standard output")?;
        output.read_u8().await.map_err(|error| format!("nothing was printed: {error}"))?;
        Ok((start.elapsed().as_secs_f64() * 1e6, output))
    }
}

async fn next_link(door: &Door) -> Result<Arrived, String> {
    loop {
        match door.next().await.map_err(|error| format!("the door failed: {error}"))? {
            Some(Delivery::Link(arrived)) => return Ok(arrived),
            Some(_) => {}
            None => return Err("the node closed the door".into()),
        }
    }
}
