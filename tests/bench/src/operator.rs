//! A shell that is open already: what starting an app takes without starting the `latch` command as well, and what an
//! object takes that a person holds in their own hands.

use capnp::capability::FromClientHook;
use schema::operator_capnp::operator;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use vat::door::{Carries, Identity, Resource, ResourceKind};
use vat::native::{Arrived, Delivery, Door, SystemClock, connect_operator};
use vat::{Bounds, Exports, Peer, Rights};

/// Starts an app so many times, one after the other; the time from each request to the first byte of output, in
/// microseconds.
pub(crate) fn until_first_byte(state: &Path, app: &str, count: u32) -> Result<Vec<f64>, String> {
    let runs = async {
        let shell = Shell::at(state).await?;
        let mut times_us = Vec::new();
        for _ in 0..count {
            times_us.push(shell.run(app).await?);
        }
        Ok(times_us)
    };
    vat::native::run(runs).map_err(|error| format!("no runtime: {error}"))?
}

/// What a shell can open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object<'a> {
    /// As offers are written: `storage:/notes`.
    Offer(&'a str),
    /// A folder of this machine.
    Folder(&'a Path),
}

/// An object over a link of its own, for as long as the shell lives.
pub(crate) struct Held<T> {
    pub(crate) object: T,
    /// Makes what can be passed to it.
    pub(crate) exports: Exports,
}

pub(crate) struct Shell {
    door: Door,
    operator: operator::Client,
}

impl Shell {
    /// Opens one at a node.
    pub(crate) async fn at(state: &Path) -> Result<Self, String> {
        Self::open(connect_operator(state).map_err(|error| format!("cannot reach the node: {error}"))?).await
    }

    /// Opens an object with all rights, and holds it under that label: what was held under it goes.
    pub(crate) async fn hold<T: FromClientHook>(&self, label: &str, object: Object<'_>) -> Result<Held<T>, String> {
        let failed = |error: capnp::Error| format!("{object:?} was not opened: {error}");
        let mut request = self.operator.open_request();
        request.get().set_label(label);
        let mut choice = request.get().init_choice();
        match object {
            Object::Offer(name) => choice.set_offer(name),
            Object::Folder(path) => choice.set_folder(self.send_folder(path).await?),
        }
        Rights::ALL.write_to(choice.reborrow().init_rights());
        // The link may come before the answer.
        let (opened, arrived) = futures::join!(request.send().promise, next_link(&self.door));
        opened.map_err(failed)?;
        use_link(arrived?, Peer::Service)
    }

    /// Hands a folder over; the token by which the powerbox is told of it.
    async fn send_folder(&self, path: &Path) -> Result<u64, String> {
        /// One at a time is on its way.
        const TOKEN: u64 = 1;
        let failed = |error: std::io::Error| format!("cannot give {}: {error}", path.display());
        let folder = std::fs::File::open(path).map_err(failed)?;
        let descriptor = std::os::fd::AsFd::as_fd(&folder);
        let resource = Resource {
            token: TOKEN,
            path: path.display().to_string(),
            identity: Identity::of(descriptor).map_err(|error| failed(error.into()))?,
            ..Resource::new(ResourceKind::Folder, "folder")
        };
        self.door.resource(resource, descriptor).await.map_err(failed)?;
        Ok(TOKEN)
    }

    /// The first link is the one to the powerbox.
    async fn open(door: Door) -> Result<Self, String> {
        let arrived = next_link(&door).await?;
        if arrived.carries != Carries::Session {
            return Err("the first link is not a session".into());
        }
        Ok(Self { door, operator: use_link(arrived, Peer::Powerbox)?.object })
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

fn use_link<T: FromClientHook>(arrived: Arrived, peer: Peer) -> Result<Held<T>, String> {
    let stream = arrived.into_stream().map_err(|error| format!("no link: {error}"))?;
    let connected = vat::connect(stream, Bounds::for_peer(peer), Rc::new(SystemClock::new()));
    tokio::task::spawn_local(connected.driving);
    Ok(Held { object: FromClientHook::new(connected.root.hook), exports: connected.exports })
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
