//! What the wall costs: calls through a guarded link against calls through bare capnp-rpc on the same kind of socket.
//! "Guarded" is expiry, call and byte budgets, a method list and the meter, all on.
//!
//! Two processes each, one at a time and 64 deep, on one core and on two, subject and baseline in turn:
//! `cargo run --release -p vat --features native --example guarded_call`

use capnp::capability::FromClientHook;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};
use rustix::thread::{CpuSet, sched_setaffinity};
use schema::stream_capnp::byte_stream;
use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use vat::door::Lease;
use vat::native::{Stream, SystemClock};
use vat::{Badge, Bounds, Clock, Method, Peer, Rights};

const LATENCY_CALLS: usize = 20_000;
const RATE_CALLS: usize = 100_000;
const DEPTH: usize = 64;
const ROUNDS: usize = 5;

/// Answers at once.
struct Echo;

impl byte_stream::Server for Echo {
    async fn write(self: Rc<Self>, _: byte_stream::WriteParams) -> Result<(), capnp::Error> {
        Ok(())
    }

    async fn end(
        self: Rc<Self>,
        _: byte_stream::EndParams,
        mut results: byte_stream::EndResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_total(1);
        Ok(())
    }
}

/// A tokio socket as capnp-rpc takes it.
struct Bare(Rc<std::cell::RefCell<tokio::net::UnixStream>>);

impl AsyncRead for Bare {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut *self.0.borrow_mut()).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for Bare {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn bare(socket: UnixStream, side: Side, root: Option<capnp::capability::Client>) -> io::Result<RpcSystem<Side>> {
    socket.set_nonblocking(true)?;
    let socket = Rc::new(std::cell::RefCell::new(tokio::net::UnixStream::from_std(socket)?));
    let (input, output) = (BufReader::new(Bare(socket.clone())), BufWriter::new(Bare(socket)));
    Ok(RpcSystem::new(Box::new(VatNetwork::new(input, output, side, capnp::message::ReaderOptions::default())), root))
}

fn badge(clock: &SystemClock) -> Badge {
    let interface = <byte_stream::Client as capnp::traits::HasTypeId>::TYPE_ID;
    Badge {
        grant: 1,
        interface,
        rights: Rights::ALL,
        expires_at_ms: clock.wall_ms() + 3_600_000,
        calls: Lease::of(u64::MAX),
        bytes: Lease::of(u64::MAX),
        methods: (0..2).map(|ordinal| Method { interface, ordinal }).collect(),
        peer: Peer::App,
        holder: "bench".into(),
        object: String::new(),
        accounts: Vec::new(),
    }
}

async fn serve(socket: UnixStream, guarded: bool) -> Result<(), Box<dyn Error>> {
    if guarded {
        let clock = SystemClock::new();
        let badge = badge(&clock);
        let serving =
            vat::serve(Stream::new(socket)?, &badge, Bounds::for_peer(Peer::App), Rc::new(clock), |exports| {
                exports.export::<byte_stream::Client, _>(Echo).client
            });
        serving.await;
    } else {
        let root: byte_stream::Client = capnp_rpc::new_client(Echo);
        bare(socket, Side::Server, Some(root.client))?.await?;
    }
    Ok(())
}

/// Nanoseconds of each call one at a time, and calls a second 64 deep.
async fn measure(socket: UnixStream, guarded: bool) -> Result<(Vec<u64>, f64), Box<dyn Error>> {
    let root = if guarded {
        let connected =
            vat::connect(Stream::new(socket)?, Bounds::for_peer(Peer::Service), Rc::new(SystemClock::new()));
        tokio::task::spawn_local(connected.driving);
        byte_stream::Client::new(connected.root.hook)
    } else {
        let mut system = bare(socket, Side::Client, None)?;
        let root: byte_stream::Client = system.bootstrap(Side::Server);
        tokio::task::spawn_local(system);
        root
    };
    for _ in 0..1_000 {
        root.end_request().send().promise.await?;
    }
    let mut latencies = Vec::with_capacity(LATENCY_CALLS);
    for _ in 0..LATENCY_CALLS {
        let began = Instant::now();
        root.end_request().send().promise.await?;
        latencies.push(began.elapsed().as_nanos() as u64);
    }
    let began = Instant::now();
    let lanes: Vec<_> = (0..DEPTH)
        .map(|_| {
            let root = root.clone();
            tokio::task::spawn_local(async move {
                for _ in 0..RATE_CALLS / DEPTH {
                    root.end_request().send().promise.await?;
                }
                Ok::<(), capnp::Error>(())
            })
        })
        .collect();
    for lane in lanes {
        lane.await??;
    }
    Ok((latencies, RATE_CALLS as f64 / began.elapsed().as_secs_f64()))
}

fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// What both processes have used of the processor so far.
fn processor_us() -> io::Result<f64> {
    // clock ticks of this process and of its children that have ended: fields 14 to 17, after the name in brackets
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux shows a hundred ticks a second, whatever its own clock is
    Ok(ticks as f64 * 10_000.0)
}

fn kind(guarded: bool) -> &'static str {
    if guarded { "guarded" } else { "bare" }
}

fn one_run(guarded: bool, server_core: usize) -> Result<(Vec<u64>, f64), Box<dyn Error>> {
    let (here, there) = UnixStream::pair()?;
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve", kind(guarded), &server_core.to_string()])
        .stdin(Stdio::from(OwnedFd::from(there)))
        .spawn()?;
    let measured = vat::native::run(measure(here, guarded))?;
    server.wait()?;
    measured
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serving, how, core] = &arguments[..]
        && serving == "serve"
    {
        pin(core.parse()?)?;
        let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?);
        return vat::native::run(serve(socket, how == "guarded"))?;
    }
    pin(0)?;
    for server_core in [0, 1] {
        let mut all = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        let mut used_us = [0.0; 2];
        for _ in 0..ROUNDS {
            for guarded in [false, true] {
                let began_us = processor_us()?;
                let (latencies, rate) = one_run(guarded, server_core)?;
                used_us[usize::from(guarded)] += processor_us()? - began_us;
                let (all_latencies, rates) = &mut all[usize::from(guarded)];
                all_latencies.extend(latencies);
                rates.push(rate);
            }
        }
        let mut shown = Vec::new();
        for guarded in [false, true] {
            let (latencies, rates) = &mut all[usize::from(guarded)];
            latencies.sort_unstable();
            rates.sort_by(f64::total_cmp);
            let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
            let rate = rates[rates.len() / 2];
            let cpu_us = used_us[usize::from(guarded)] / (ROUNDS * (LATENCY_CALLS + RATE_CALLS)) as f64;
            let cores = server_core + 1;
            println!(
                "{:8} {cores} core(s): p50 {p50} ns, p99 {p99} ns, {rate:.0} calls/s, {cpu_us:.2} us of processor a call",
                kind(guarded)
            );
            shown.push((p50 as f64, rate));
        }
        println!("         latency {:.2}x, rate {:.2}x", shown[1].0 / shown[0].0, shown[1].1 / shown[0].1);
    }
    Ok(())
}
