//! Moves a link: one future for reading, handling and writing.

use super::fault::Fault;
use super::network::Network;
use super::state::LinkState;
use crate::link::Ended;
use capnp::capability::Client;
use capnp_rpc::RpcSystem;
use capnp_rpc::rpc_twoparty_capnp::Side;
use futures::task::AtomicWaker;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// How often the engine is polled again within one turn while it wakes itself. From a message that came to its result
/// it is about four times.
const ROUNDS: usize = 64;

/// Rounds in which an ended link settles: enough to break every call of ours that waits.
const LAST_ROUNDS: usize = 100_000;

/// Wakes the task only when the engine is not being polled anyway. Handlers may be woken from other threads: one side
/// says "woken" and looks for "polling", the other says "not polling" and looks for "woken", and one of the two must see
/// what the other said. Only sequentially consistent operations promise that.
struct Turn {
    woken: AtomicBool,
    polling: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polling.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

/// What the other end is being waited for, and since when.
#[derive(Clone, Copy)]
struct Wait {
    /// It is another wait when this changes.
    mark: u64,
    since_ns: u64,
}

impl Wait {
    /// Goes on waiting where nothing has changed, else begins anew. How long it has been.
    fn go_on(wait: &mut Option<Wait>, mark: Option<u64>, now_ns: u64) -> Option<u64> {
        *wait = mark.map(|mark| match *wait {
            Some(wait) if wait.mark == mark => wait,
            _ => Wait { mark, since_ns: now_ns },
        });
        wait.map(|wait| now_ns.saturating_sub(wait.since_ns))
    }
}

/// How long the other end is being waited for.
#[derive(Default)]
struct Patience {
    /// For the rest of a frame.
    rest: Option<Wait>,
    /// To read anything of what it is sent.
    reading: Option<Wait>,
    timer: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// The engine of one link.
pub(crate) struct Engine {
    state: Rc<LinkState>,
    system: Option<RpcSystem<Side>>,
    turn: Arc<Turn>,
    waker: Waker,
    patience: Patience,
}

impl Engine {
    pub(crate) fn serve(state: Rc<LinkState>, root: Client) -> Engine {
        let network = Network::new(state.clone(), Side::Server);
        Engine::new(state, RpcSystem::new(Box::new(network), Some(root)))
    }

    pub(crate) fn connect(state: Rc<LinkState>) -> (Client, Engine) {
        let network = Network::new(state.clone(), Side::Client);
        let mut system = RpcSystem::new(Box::new(network), None);
        let root = system.bootstrap(Side::Server);
        (root, Engine::new(state, system))
    }

    fn new(state: Rc<LinkState>, system: RpcSystem<Side>) -> Engine {
        let turn = Turn { woken: AtomicBool::new(true), polling: AtomicBool::new(false), task: AtomicWaker::new() };
        let turn = Arc::new(turn);
        let waker = Waker::from(turn.clone());
        state.set_driver(waker.clone());
        Engine { state, system: Some(system), turn, waker, patience: Patience::default() }
    }

    pub(crate) fn state(&self) -> &Rc<LinkState> {
        &self.state
    }

    /// Ready when the link has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        self.turn.task.register(context.waker());
        self.turn.polling.store(true, Ordering::Release);
        self.state.begin_turn();
        self.rounds(ROUNDS);
        let waker = self.waker.clone();
        let mut inner = Context::from_waker(&waker);
        self.state.flush(&mut inner);
        self.wait_patiently(&mut inner);
        if self.state.is_deaf() && !self.state.is_paused() && !self.turn.woken.load(Ordering::Acquire) {
            self.state.end(crate::words::EndReason::Closed, String::new());
        }
        if self.state.is_ended() {
            self.finish();
            return Poll::Ready(self.state.ended());
        }
        self.turn.polling.store(false, Ordering::SeqCst);
        if self.turn.woken.load(Ordering::SeqCst) || self.state.is_paused() {
            self.state.clock.wake_after_others(context.waker());
        }
        Poll::Pending
    }

    /// Polls the engine until it has nothing more to do.
    fn rounds(&mut self, limit: usize) {
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..limit {
            if !self.turn.woken.swap(false, Ordering::AcqRel) {
                return;
            }
            let Some(system) = &mut self.system else { return };
            // It must not take other links of this process with it if it fails on what a peer sent. Nothing of it is
            // used afterwards.
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(system).poll(&mut context)));
            if polled.is_err() {
                // its parts may be borrowed for ever: dropping them could fail again
                std::mem::forget(self.system.take());
                self.state.fault(&Fault::Engine);
            }
        }
    }

    /// Cuts a link whose other end does not go on with a frame, or takes nothing of what it is sent.
    fn wait_patiently(&mut self, context: &mut Context<'_>) {
        let (state, patience) = (&self.state, &mut self.patience);
        let (begun_frame, stuck_at_bytes) = (state.begun_frame(), state.stuck_at_bytes());
        if begun_frame.is_none() && stuck_at_bytes.is_none() {
            // a timer that runs is left to run: the next wait may need it
            (patience.rest, patience.reading) = (None, None);
            return;
        }
        let (now_ns, limit_ns) = (state.clock.now_ns(), state.bounds.patience_ns);
        let rest_ns = Wait::go_on(&mut patience.rest, begun_frame, now_ns);
        let reading_ns = Wait::go_on(&mut patience.reading, stuck_at_bytes, now_ns);
        if rest_ns.is_some_and(|waited_ns| waited_ns >= limit_ns) {
            return state.fault(&Fault::SlowFrame);
        }
        if reading_ns.is_some_and(|waited_ns| waited_ns >= limit_ns) {
            return state.fault(&Fault::NotReading);
        }
        let left_ns = limit_ns - rest_ns.max(reading_ns).unwrap_or(0);
        loop {
            let timer = patience.timer.get_or_insert_with(|| state.clock.sleep(left_ns));
            if timer.as_mut().poll(context).is_pending() {
                return;
            }
            patience.timer = None;
        }
    }

    /// Lets go of everything. No handler starts or goes on after this; calls of ours that wait are broken.
    fn finish(&mut self) {
        self.turn.woken.store(true, Ordering::Release);
        self.rounds(LAST_ROUNDS);
        // what it says at last: why the link ended
        self.state.flush(&mut Context::from_waker(Waker::noop()));
        if let Some(system) = self.system.take() {
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(system)));
            debug_assert!(dropped.is_ok(), "the engine cannot be let go of");
        }
        self.state.transport.borrow_mut().close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.system.is_some() && !std::thread::panicking() {
            self.state.end(crate::words::EndReason::Closed, "this end let go of it".to_owned());
            self.finish();
        }
    }
}
