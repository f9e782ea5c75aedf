//! Whether a cut holds: a link is flooded 64 deep and cut as the kernel cuts it, and the server tells which calls it
//! started afterwards. One would falsify the design.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::calls::Numbers;
use crate::peer::witness::{Verdict, now_ns};
use crate::peer::{Engine, Order, Peer, Reply, Work, borrowed, socket_pairs};
use crate::place::Placement;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};
use std::os::fd::OwnedFd;
use std::time::Duration;

const DEPTH: u32 = 64;
/// The flood runs at least so long before a cut, and at most twice as long.
const FLOOD_US: usize = 1_000;
/// How long a call computes where the cut is to fall into the middle of a turn: 64 of them are read at once.
const TURN_WORK_NS: u64 = 50_000;

/// What the server is at when the link is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Answering as fast as it can.
    Running,
    /// Stopped by a signal, with calls read, waiting and arriving; it goes on after the cut.
    Paused,
    /// In the middle of a turn: some calls of a batch have run, others were read and have not.
    MidTurn,
}

/// With what handlers the server has: asynchronous functions, as all of Latchkey's services do, or functions that do
/// their work before they return a future, which the library cannot hold back (shown aside).
const MOMENTS: &[(Moment, &str, bool)] = &[
    (Moment::Running, "64 deep", false),
    (Moment::Paused, "paused", false),
    (Moment::MidTurn, "mid-turn", false),
    (Moment::MidTurn, "mid-turn, eager handlers", true),
];

/// Counts calls that started too late, over many cuts.
pub(super) fn measure(scale: Scale) -> Result<Outcome, String> {
    let placements = Placement::busy()?;
    let mut cuts = 0;
    let mut scene = Scene { client: Peer::start()?, server: Peer::start()?, numbers: Numbers::new(11) };
    let mut parts = Vec::new();
    let mut started = 0;
    for &(moment, name, eager) in MOMENTS {
        let mut seen = Verdict::default();
        for &placement in &placements {
            placement.pin(scene.client.pid(), scene.server.pid())?;
            for _ in scale.rounds(50, 500, placements.len() * MOMENTS.len()) {
                seen += scene.cut_once(moment, eager)?;
                cuts += 1;
            }
        }
        started += seen.started;
        for (when, calls) in [("after cut", seen.after_cut), ("after quiet", seen.after_quiet)] {
            let part = count(format!("{name}, {when}"), calls);
            parts.push(if eager { part.aside() } else { part });
        }
    }
    Ok(Outcome {
        row: "cut-holds".into(),
        aim: Aim::AtMost(0.0),
        unit: "calls",
        against: "none",
        parts,
        note: format!("{cuts} cuts; {started} calls had started in time"),
    })
}

fn count(name: String, calls: u64) -> Part {
    let calls = calls as f64;
    Part { name, ratio: calls, p50: calls, p99: calls, baseline: 0.0, baseline_p99: 0.0, aside: false, unit: None }
}

/// A client and a server that get one link after the other.
struct Scene {
    client: Peer,
    server: Peer,
    numbers: Numbers,
}

impl Scene {
    fn cut_once(&mut self, moment: Moment, eager: bool) -> Result<Verdict, String> {
        let nanoseconds = if moment == Moment::MidTurn { TURN_WORK_NS } else { 0 };
        let kept = self.link(Work::Compute { nanoseconds, eager })?;
        self.client.order(&Order::Flood { depth: DEPTH }, &[])?;
        let wait_us = FLOOD_US + self.numbers.below(FLOOD_US);
        std::thread::sleep(Duration::from_micros(wait_us as u64));
        let cut_returned_ns = if moment == Moment::Paused { self.cut_while_paused(&kept)? } else { cut(&kept)? };
        drop(kept);
        let judged = self.server.order(&Order::Judge { cut_returned_ns }, &[])?;
        self.client.order(&Order::Disconnect, &[])?;
        match judged {
            Reply::Judged(verdict) => Ok(verdict),
            other => Err(format!("expected a verdict, got {other:?}")),
        }
    }

    /// Makes a link and keeps a duplicate of its server end, as the kernel does.
    fn link(&mut self, work: Work) -> Result<OwnedFd, String> {
        let (clients, servers) = socket_pairs(1)?;
        let engine = Engine::Guarded;
        self.server.order(&Order::Serve { links: 1, engine, work }, &borrowed(&servers))?;
        self.client.order(&Order::Connect { links: 1, engine, objects: 0 }, &borrowed(&clients))?;
        servers.into_iter().next().ok_or_else(|| "no link was made".into())
    }

    fn cut_while_paused(&mut self, kept: &OwnedFd) -> Result<u64, String> {
        let server = self.server.pid();
        let said = |what: &'static str| move |error| format!("cannot {what} the server: {error}");
        kill_process(server, Signal::STOP).map_err(said("pause"))?;
        waitpid(Some(server), WaitOptions::UNTRACED).map_err(said("wait for"))?;
        let returned = cut(kept);
        kill_process(server, Signal::CONT).map_err(said("resume"))?;
        returned
    }
}

/// Shuts the link and discards what waits in it, to its end. Returns when that was done.
fn cut(kept: &OwnedFd) -> Result<u64, String> {
    shutdown(kept, Shutdown::Both).map_err(|error| format!("cannot cut: {error}"))?;
    let mut discarded = vec![0; 64 << 10];
    loop {
        match recv(kept, &mut discarded, RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(rustix::io::Errno::AGAIN) => return Ok(now_ns()),
            // a client that is gone leaves a reset, which is told once: it is not the end
            Ok(_) | Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
            Err(error) => return Err(format!("cannot drain a cut link: {error}")),
        }
    }
}
