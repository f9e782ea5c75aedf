//! The stand-in powerbox: takes orders from the driver and commands the kernel. It confines nothing, for it must reach
//! the driver; the rest of the node does.

use super::channel::{Channel, Link, Said, Wanted};
use super::component;
use super::kernel::DRIVER_SOCKET;
use super::order::{Order, Part, Reply, Revoked};
use super::relay::{Relay, STREAMS, next_link};
use super::session;
use crate::peer::{Control, badge};
use schema::kernel_capnp::{Image, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use vat::door::{Badge, Carries, Confinement, ResourceKind};
use vat::native::{Born, CONTROL_DESCRIPTOR, take_inherited};

/// Numbers of links and grants, clear of those of processes.
const FIRST_ID: u64 = 1 << 20;
/// How long to wait before a busy kernel is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(1);
/// A prime: the grants that are revoked one after the other lie all over the table.
const SPREAD: usize = 7919;
/// The image of folders takes a folder and runs as somebody: as nobody here, in the end.
const FIRST_USER: u32 = 1_900_000_000;
/// The powerbox's own number.
const POWERBOX: u64 = 0;

pub(super) fn run() -> Result<(), String> {
    let born = Born::take().map_err(|error| format!("no door: {error}"))?;
    born.confined(&Confinement { profile: "powerbox".into(), ..Confinement::default() })
        .map_err(|error| format!("the door is closed: {error}"))?;
    let control = take_inherited(CONTROL_DESCRIPTOR).map_err(|error| format!("no control channel: {error}"))?;
    let mut driver = Control::new(connect_to_driver()?);
    let mut powerbox = Powerbox {
        born,
        channel: Channel::new(control),
        badge: badge()?,
        compiled: None,
        grants: Vec::new(),
        relays: BTreeMap::new(),
        last_id: FIRST_ID,
    };
    powerbox.channel.inventory()?;
    while let Some(order) = driver.receive::<Order>()? {
        let reply = powerbox.obey(order).unwrap_or_else(Reply::Failed);
        driver.send(&reply, &[])?;
    }
    Ok(())
}

/// The driver listens beside the images.
fn connect_to_driver() -> Result<UnixStream, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find the own program: {error}"))?;
    let socket = own.with_file_name(DRIVER_SOCKET);
    UnixStream::connect(&socket).map_err(|error| format!("cannot reach the driver at {}: {error}", socket.display()))
}

/// A grant whose link is open.
#[derive(Clone, Copy)]
struct Grant {
    /// Its number, and that of its link.
    id: u64,
    service: u64,
    client: u64,
}

struct Powerbox {
    born: Born,
    channel: Channel,
    badge: Badge,
    compiled: Option<OwnedFd>,
    grants: Vec<Grant>,
    relays: BTreeMap<u64, Relay>,
    last_id: u64,
}

impl Powerbox {
    fn obey(&mut self, order: Order) -> Result<Reply, String> {
        match order {
            Order::Compile { component } => self.compile(&component).map(|()| Reply::Done),
            Order::Start { process, part } => self.start(process, part).map(Reply::Pid),
            Order::Link { service, clients, count } => {
                for client in clients.iter().cycle().take(count as usize) {
                    let grant = self.grant(service, *client)?;
                    self.grants.push(grant);
                }
                Ok(Reply::Done)
            }
            Order::Revoke { times, at_once } => self.revoke(times, at_once).map(Reply::Revoked),
            Order::Tell { process, line } => {
                let relay = self.relays.get_mut(&process).ok_or("a process without standard streams")?;
                relay.tell(&line).map(Reply::Line)
            }
        }
    }

    /// Runs the compiler to its end.
    fn compile(&mut self, file: &Path) -> Result<(), String> {
        let component =
            std::fs::File::open(file).map_err(|error| format!("cannot open {}: {error}", file.display()))?;
        let compiled = component::memory()?;
        let process = self.new_id();
        self.channel.start(&Wanted {
            process,
            image: Image::Compile,
            setup: &component::compiler_setup(),
            run_as: 0,
            resources: &[
                ("component", ResourceKind::File, component.as_fd()),
                ("compiled", ResourceKind::Memory, compiled.as_fd()),
            ],
        })?;
        loop {
            match self.channel.next()? {
                Said::Exited { process: exited, code: 0, .. } if exited == process => break,
                Said::Exited { process: exited, code, last } if exited == process => {
                    return Err(format!("the compiler ended with {code}: {last}"));
                }
                said => refuse(&said)?,
            }
        }
        component::seal(&compiled)?;
        self.compiled = Some(compiled);
        Ok(())
    }

    fn start(&mut self, process: u64, part: Part) -> Result<u32, String> {
        let sandbox_setup = component::sandbox_setup();
        let compiled = self.compiled.as_ref().map(AsFd::as_fd);
        let code: Vec<_> = compiled.map(|code| ("component", ResourceKind::Memory, code)).into_iter().collect();
        let folder = std::fs::File::open("/").map_err(|error| format!("no folder to give: {error}"))?;
        let folder = [("folder", ResourceKind::Folder, folder.as_fd())];
        let (image, setup, resources): (Image, &[u8], &[_]) = match part {
            Part::Service => (Image::Folder, b"service", &folder),
            Part::Client => (Image::Folder, Part::CLIENT_SETUP, &folder),
            Part::Guest => (Image::Sandbox, &sandbox_setup, &code),
        };
        let run_as = FIRST_USER + u32::try_from(process).unwrap_or(0);
        self.channel.start(&Wanted { process, image, setup, run_as, resources })?;
        let pid = self.wait_until_confined(process)?;
        if part != Part::Service {
            self.stream(process)?;
        }
        if part == Part::Guest {
            self.link(&Kind { carries: Carries::Session, label: "" }, POWERBOX, process)?;
            session::serve(next_link(self.born.descriptor())?);
        }
        Ok(pid)
    }

    fn wait_until_confined(&mut self, process: u64) -> Result<u32, String> {
        loop {
            match self.channel.next()? {
                Said::Confined { process: confined, pid } if confined == process => return Ok(pid),
                Said::Exited { process: exited, code, last } if exited == process => {
                    return Err(format!("a process could not start: {code}: {last}"));
                }
                said => refuse(&said)?,
            }
        }
    }

    /// Gives a process its standard streams.
    fn stream(&mut self, process: u64) -> Result<(), String> {
        for label in STREAMS {
            self.link(&Kind { carries: Carries::Raw, label }, POWERBOX, process)?;
        }
        let relay = Relay::take(self.born.descriptor())?;
        self.relays.insert(process, relay);
        Ok(())
    }

    fn grant(&mut self, service: u64, client: u64) -> Result<Grant, String> {
        let id = self.link(&Kind { carries: Carries::Grant, label: "folder" }, service, client)?;
        Ok(Grant { id, service, client })
    }

    /// Makes a link; its number is that of its grant as well, where it has one.
    fn link(&mut self, kind: &Kind, server: u64, client: u64) -> Result<u64, String> {
        let link = self.new_id();
        let grant = if kind.carries == Carries::Grant { link } else { 0 };
        let badge = Badge { grant, ..self.badge.clone() };
        let badge = (kind.carries != Carries::Raw).then_some(&badge);
        loop {
            let (carries, label) = (kind.carries, kind.label);
            let sequence = self.channel.link(&Link { link, grant, carries, server, client, label, badge })?;
            match self.done(sequence)? {
                (Outcome::Ok, _) => return Ok(link),
                (Outcome::Busy, _) => std::thread::sleep(BUSY_PAUSE),
                (outcome, detail) => return Err(format!("the kernel did not link: {outcome:?}: {detail}")),
            }
        }
    }

    /// Revokes grants spread over all of them, so many at once, and puts new ones in their places.
    fn revoke(&mut self, times: u32, at_once: u32) -> Result<Revoked, String> {
        let mut revoked = Revoked::default();
        for turn in 0..times as usize {
            let first = turn * SPREAD;
            // neighbours in the table are grants of different holders
            let places: BTreeSet<usize> =
                (0..at_once as usize).map(|place| (first + place) % self.grants.len()).collect();
            let grants: Vec<u64> = places.iter().map(|&place| self.grants[place].id).collect();
            let start = Instant::now();
            let sequence = self.channel.cut(&grants)?;
            // a confirmation may come before the kernel is done with the last of them
            let mut confirmed = self.done_and_quiet(sequence)?;
            revoked.cut_ns.push(start.elapsed().as_nanos() as u64);
            while confirmed < grants.len() {
                confirmed += usize::from(matches!(self.channel.next()?, Said::Quiet { .. }));
            }
            revoked.quiet_ns.push(start.elapsed().as_nanos() as u64);
            let sequence = self.channel.forget(&grants)?;
            self.done(sequence)?;
            for place in places {
                let Grant { service, client, .. } = self.grants[place];
                self.grants[place] = self.grant(service, client)?;
            }
        }
        Ok(revoked)
    }

    /// Waits for the outcome of a cut; how many links were confirmed quiet until then.
    fn done_and_quiet(&mut self, sequence: u64) -> Result<usize, String> {
        let mut confirmed = 0;
        loop {
            match self.channel.next()? {
                Said::Done { sequence: answered, .. } if answered == sequence => return Ok(confirmed),
                Said::Quiet { .. } => confirmed += 1,
                _ => {}
            }
        }
    }

    /// The outcome of a command.
    fn done(&mut self, sequence: u64) -> Result<(Outcome, String), String> {
        loop {
            if let Said::Done { sequence: answered, outcome, detail } = self.channel.next()?
                && answered == sequence
            {
                return Ok((outcome, detail));
            }
        }
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// What goes over a link, and what its client calls it.
struct Kind {
    carries: Carries,
    label: &'static str,
}

/// An answer other than that all is well is an error where only that is expected.
fn refuse(said: &Said) -> Result<(), String> {
    match said {
        Said::Done { outcome, detail, .. } if *outcome != Outcome::Ok => {
            Err(format!("the kernel did not start a process: {outcome:?}: {detail}"))
        }
        _ => Ok(()),
    }
}
