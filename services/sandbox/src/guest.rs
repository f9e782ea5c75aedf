//! Runs one guest: what it is given, and nothing else.

use crate::bindings::latchkey::door::door as wit;
use crate::clocks::{CoarseMonotonic, CoarseWall};
use crate::limits::Limiter;
use crate::outcome::Outcome;
use crate::plumbing::Plumbing;
use crate::setup::Setup;
use crate::stopping::Stopping;
use crate::streams::Streams;
use crate::turn::{Ticker, Turn};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{CommandPre, cli, filesystem, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Streams and pollables that a guest may hold at once.
const RESOURCES_LIMIT: usize = 1_024;
/// Bytes of arguments that one call of a guest may hand over.
const CALL_LIMIT_BYTES: usize = 16 << 20;
/// Random bytes in one call.
const RANDOM_LIMIT_BYTES: u64 = 1 << 20;

/// What belongs to the guest on this side.
struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    limiter: Limiter,
    turn: Turn,
    plumbing: SharedPlumbing,
}

/// The guest waits at its door through it, and it is polled while the guest waits for something else.
#[derive(Clone)]
struct SharedPlumbing(Arc<Mutex<Plumbing>>);

impl SharedPlumbing {
    fn lock(&self) -> MutexGuard<'_, Plumbing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl wit::Host for State {
    async fn wait(&mut self, timeout_ns: Option<u64>) -> wasmtime::Result<Vec<wit::Event>> {
        self.plumbing.lock().confirm_told();
        let events = std::future::poll_fn(|context| self.plumbing.lock().poll_events(context));
        let events = match timeout_ns {
            None => events.await?,
            Some(timeout_ns) => match tokio::time::timeout(Duration::from_nanos(timeout_ns), events).await {
                Ok(events) => events?,
                Err(_) => Vec::new(),
            },
        };
        self.turn.begin();
        Ok(events)
    }

    fn send(&mut self, link: u32, bytes: Vec<u8>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.plumbing.lock().send(link, &bytes))?)
    }

    fn open_window(&mut self, link: u32, bytes: u32) -> wasmtime::Result<()> {
        self.plumbing.lock().open_window(link, bytes);
        Ok(())
    }

    fn closed(&mut self, link: u32) -> wasmtime::Result<bool> {
        Ok(self.plumbing.lock().is_closed(link))
    }

    fn close(&mut self, link: u32) -> wasmtime::Result<()> {
        self.plumbing.lock().close(link);
        Ok(())
    }
}

/// Runs the component to its end.
pub(crate) async fn run(
    engine: &Engine,
    component: &Component,
    setup: &Setup,
    streams: &Streams,
    plumbing: Plumbing,
) -> Outcome {
    let command = match prepare(engine, component) {
        Ok(command) => command,
        Err(error) => return Outcome::Refused(format!("does not fit this node: {error:#}")),
    };
    let ticker = match Ticker::start(engine.clone()) {
        Ok(ticker) => ticker,
        Err(error) => return Outcome::Refused(format!("no thread could be started: {error}")),
    };
    let plumbing = SharedPlumbing(Arc::new(Mutex::new(plumbing)));
    let mut store = store(engine, setup, streams, plumbing.clone());
    let result = {
        let running = pin!(async {
            let instance = command.instantiate_async(&mut store).await?;
            instance.wasi_cli_run().call_run(&mut store).await
        });
        let mut running = pin!(ticker.attend(running));
        let mut stopping = Stopping::new(streams);
        std::future::poll_fn(|context| beside(&plumbing, &mut stopping, running.as_mut(), context)).await
    };
    plumbing.lock().flush();
    Outcome::of(result, &store.data().limiter, &setup.limits)
}

/// Polls the guest, and its links where the guest does not do so itself.
fn beside<T>(
    plumbing: &SharedPlumbing,
    stopping: &mut Stopping<'_>,
    running: Pin<&mut impl Future<Output = wasmtime::Result<T>>>,
    context: &mut Context<'_>,
) -> Poll<wasmtime::Result<T>> {
    if let Poll::Ready(result) = running.poll(context) {
        return Poll::Ready(result);
    }
    let mut plumbing = plumbing.lock();
    if let Err(error) = plumbing.poll_beside(context) {
        return Poll::Ready(Err(error.into()));
    }
    stopping.poll(plumbing.stop_waits(), context).map(|unheard| Err(unheard.into()))
}

/// Links exactly what a guest may import: its door, standard streams, clocks, random numbers, and a file system
/// without a single folder, which the libraries of most languages cannot do without. No sockets.
fn prepare(engine: &Engine, component: &Component) -> wasmtime::Result<CommandPre<State>> {
    let mut linker = Linker::<State>::new(engine);
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(&mut linker)?;
    random::insecure::add_to_linker::<State, WasiRandom>(&mut linker, |state| state.wasi.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(&mut linker, |state| state.wasi.random())?;
    cli::exit::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(&mut linker, State::cli)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(&mut linker, State::filesystem)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(&mut linker, State::filesystem)?;
    wit::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    CommandPre::new(linker.instantiate_pre(component)?)
}

fn store(engine: &Engine, setup: &Setup, streams: &Streams, plumbing: SharedPlumbing) -> Store<State> {
    let mut wasi = WasiCtx::builder();
    wasi.args(&setup.arguments)
        .max_random_size(RANDOM_LIMIT_BYTES)
        .monotonic_clock(CoarseMonotonic::new())
        .wall_clock(CoarseWall)
        .allow_tcp(false)
        .allow_udp(false);
    streams.give(&mut wasi);
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES_LIMIT);
    let limiter = Limiter::new(&setup.limits);
    let turn = Turn::new(setup.limits.turn_ms);
    let state = State { wasi: wasi.build(), table, limiter, turn, plumbing };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(CALL_LIMIT_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().turn.count()?;
        Ok(UpdateDeadline::Continue(1))
    });
    store
}
