//! A peer's own program: takes orders from its standard input, a socket, and answers there.

use super::calls::{self, Numbers, Took};
use super::control::Control;
use super::engine::{self, Connection};
use super::order::{Order, Reply};
use super::witness;
use schema::filesystem_capnp::directory;
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, LocalSet};
use vat::native::SystemClock;

/// The word on the command line that makes a peer of this program.
pub(crate) const WORD: &str = "peer";

/// Takes orders until the other end of the control socket is gone.
pub(crate) fn run() -> Result<(), String> {
    crate::machine::raise_descriptor_limit()?;
    let socket =
        std::io::stdin().as_fd().try_clone_to_owned().map_err(|error| format!("no control socket: {error}"))?;
    let control = Control::new(UnixStream::from(socket));
    let replies = control.sender()?;
    let (orders, taken) = mpsc::unbounded_channel();
    std::thread::spawn(move || listen(control, &orders));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot make a runtime: {error}"))?;
    LocalSet::new().block_on(&runtime, obey(taken, replies))
}

type Taken = (Order, Vec<OwnedFd>);

/// On a thread of its own, which sleeps while anything is measured.
fn listen(mut control: Control, orders: &mpsc::UnboundedSender<Taken>) {
    while let Ok(Some(order)) = control.receive::<Order>() {
        let Ok(descriptors) = control.take_descriptors(order.descriptors()) else { break };
        if orders.send((order, descriptors)).is_err() {
            break;
        }
    }
}

async fn obey(mut orders: mpsc::UnboundedReceiver<Taken>, mut replies: Control) -> Result<(), String> {
    let mut vat = Vat::new();
    while let Some((order, descriptors)) = orders.recv().await {
        let reply = vat.obey(order, descriptors).await.unwrap_or_else(Reply::Failed);
        replies.send(&reply, &[])?;
    }
    Ok(())
}

/// What a peer has.
struct Vat {
    connections: Vec<Connection>,
    objects: Vec<directory::Client>,
    numbers: Numbers,
    flood: Option<JoinHandle<()>>,
    /// Server ends that have not ended.
    serving: Rc<Cell<usize>>,
    ended: Rc<Notify>,
    raw: Option<UnixStream>,
    clock: Rc<SystemClock>,
}

impl Vat {
    fn new() -> Self {
        Self {
            connections: Vec::new(),
            objects: Vec::new(),
            numbers: Numbers::new(1),
            flood: None,
            serving: Rc::default(),
            ended: Rc::default(),
            raw: None,
            clock: Rc::default(),
        }
    }

    async fn obey(&mut self, order: Order, descriptors: Vec<OwnedFd>) -> Result<Reply, String> {
        match order {
            Order::Serve { engine, work, .. } => self.serve(engine, work, descriptors),
            Order::Connect { engine, objects, .. } => self.connect(engine, objects, descriptors).await?,
            Order::Disconnect => self.disconnect(),
            Order::Call(load) => {
                return Ok(match calls::run(load, &self.objects, &mut self.numbers).await? {
                    Took::Each(each) => Reply::EachNanoseconds(each),
                    Took::All(nanoseconds) => Reply::Nanoseconds(nanoseconds),
                });
            }
            Order::Flood { depth } => {
                let objects = self.objects.clone();
                self.flood = Some(tokio::task::spawn_local(calls::flood(depth, objects)));
            }
            Order::Calm => self.calm(),
            Order::ProcessorTime => return Ok(Reply::Nanoseconds(processor_time_ns())),
            Order::Judge { cut_returned_ns } => return Ok(Reply::Judged(self.judge(cut_returned_ns).await)),
            Order::Echo => echo(descriptors)?,
            Order::RoundTrips { count, .. } => return round_trips(&mut self.raw, descriptors, count),
        }
        Ok(Reply::Done)
    }

    fn serve(&self, engine: engine::Engine, work: super::Work, links: Vec<OwnedFd>) {
        for link in links {
            let (serving, ended, clock) = (self.serving.clone(), self.ended.clone(), self.clock.clone());
            serving.set(serving.get() + 1);
            tokio::task::spawn_local(async move {
                if let Err(error) = engine::serve(engine, link, work, clock).await {
                    eprintln!("a link failed: {error}");
                }
                serving.set(serving.get() - 1);
                ended.notify_one();
            });
        }
    }

    async fn connect(&mut self, engine: engine::Engine, objects: u32, links: Vec<OwnedFd>) -> Result<(), String> {
        for link in links {
            let connection = engine::connect(engine, link, self.clock.clone())?;
            if objects == 0 {
                self.objects.push(connection.root.clone());
            }
            for _ in 0..objects {
                self.objects.push(open(&connection.root).await.map_err(|error| format!("no object: {error}"))?);
            }
            self.connections.push(connection);
        }
        Ok(())
    }

    fn disconnect(&mut self) {
        self.calm();
        self.objects.clear();
        for connection in self.connections.drain(..) {
            connection.driver.abort();
        }
    }

    fn calm(&mut self) {
        if let Some(flood) = self.flood.take() {
            flood.abort();
        }
    }

    async fn judge(&self, cut_returned_ns: u64) -> witness::Verdict {
        while self.serving.get() > 0 {
            self.ended.notified().await;
        }
        witness::quiet();
        // whatever the library left behind gets every chance to run
        for _ in 0..TURNS_AFTER_QUIET {
            tokio::task::yield_now().await;
        }
        witness::judge(cut_returned_ns)
    }
}

/// More turns than calls that can be waiting in a link of the row.
const TURNS_AFTER_QUIET: usize = 256;

async fn open(root: &directory::Client) -> Result<directory::Client, capnp::Error> {
    let response = root.open_directory_request().send().promise.await?;
    response.get()?.get_directory()
}

/// User and system time of this process.
fn processor_time_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(used.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(used.tv_nsec).unwrap_or(0)
}

/// Answers bytes on a thread of its own; blocking, as the plainest program would.
fn echo(mut descriptors: Vec<OwnedFd>) -> Result<(), String> {
    let socket = descriptors.pop().ok_or("no socket came")?;
    let mut socket = blocking(socket)?;
    std::thread::spawn(move || {
        let mut byte = [0];
        while socket.read_exact(&mut byte).is_ok() && socket.write_all(&byte).is_ok() {}
    });
    Ok(())
}

fn round_trips(kept: &mut Option<UnixStream>, mut descriptors: Vec<OwnedFd>, count: u32) -> Result<Reply, String> {
    if let Some(socket) = descriptors.pop() {
        *kept = Some(blocking(socket)?);
    }
    let socket = kept.as_mut().ok_or("no socket came")?;
    let mut byte = [1];
    let each = (0..count).map(|_| {
        let start = Instant::now();
        socket.write_all(&byte)?;
        socket.read_exact(&mut byte)?;
        Ok(start.elapsed().as_nanos() as u64)
    });
    let each: std::io::Result<Vec<u64>> = each.collect();
    each.map(Reply::EachNanoseconds).map_err(|error| format!("a round trip failed: {error}"))
}

fn blocking(socket: OwnedFd) -> Result<UnixStream, String> {
    let socket = UnixStream::from(socket);
    socket.set_nonblocking(false).map_err(|error| format!("cannot use a socket: {error}"))?;
    Ok(socket)
}
