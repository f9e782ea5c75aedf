//! The kernel's side of the control channel, played by a test: commands as they come, answers and events as it likes.

use std::cell::Cell;
use std::os::fd::OwnedFd;

use capnp::message::{Builder, HeapAllocator};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use schema::kernel_capnp::{Image, Outcome, command, event};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use vat::door::packet::{pack, unpack};
use vat::door::{Carries, Confinement};
use vat::native::{receive, send, watch};
use vat::words::EndReason;

pub(super) fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

/// A command, as far as the tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Start { process: u64, image: Image, restart: bool },
    Stop { process: u64, kill: bool },
    Link { link: u64, grant: u64, carries: Carries, server: u64, client: u64 },
    Cut { grants: Vec<u64>, links: Vec<u64>, reason: EndReason },
    Forget(Vec<u64>),
    Notice { process: u64, label: String, reason: EndReason },
    Inventory,
    Other,
}

/// What the kernel has when a powerbox is started.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory {
    /// Number and image.
    pub(super) processes: Vec<(u64, Image)>,
    /// Number, grant, server, client.
    pub(super) links: Vec<(u64, u64, u64, u64)>,
    pub(super) tombstones: Vec<u64>,
}

pub(super) struct Kernel {
    socket: AsyncFd<OwnedFd>,
    last: Cell<u64>,
}

impl Kernel {
    /// The powerbox's end, and this one.
    pub(super) fn new() -> (OwnedFd, Kernel) {
        let (theirs, ours) = pair();
        (theirs, Kernel { socket: watch(ours).unwrap(), last: Cell::new(0) })
    }

    /// The next command.
    pub(super) async fn command(&self) -> Command {
        let packet = self.socket.async_io(Interest::READABLE, |socket| receive(socket)).await.unwrap();
        let message = unpack(&packet.expect("the powerbox is there").bytes).unwrap();
        let command = message.get_root::<command::Reader<'_>>().unwrap();
        assert_eq!(command.get_sequence(), self.last.get() + 1, "commands come in their order");
        self.last.set(command.get_sequence());
        read(command).unwrap()
    }

    /// Answers the last command.
    pub(super) fn answer(&self, outcome: Outcome) {
        let sequence = self.last.get();
        self.event(|event| {
            let mut done = event.init_done();
            done.set_sequence(sequence);
            done.set_outcome(outcome);
            done.set_detail("the test says so");
        });
    }

    /// The next command, which is answered well.
    pub(super) async fn agree(&self) -> Command {
        let command = self.command().await;
        self.answer(Outcome::Ok);
        command
    }

    /// Agrees to everything until some work is done.
    pub(super) async fn agree_until<T>(&self, mut work: JoinHandle<T>) -> T {
        loop {
            tokio::select! {
                done = &mut work => return done.unwrap(),
                command = self.agree() => self.follow(&command),
            }
        }
    }

    /// What becomes of a command that the kernel agreed to.
    pub(super) fn follow(&self, command: &Command) {
        if let Command::Start { process, .. } = command {
            self.confined(*process);
        }
    }

    pub(super) fn confined(&self, process: u64) {
        self.event(|event| {
            let mut confined = event.init_confined();
            confined.set_process(process);
            Confinement::default().write_to(confined.init_confinement());
        });
    }

    pub(super) fn quiet(&self, link: u64) {
        self.event(|event| event.init_quiet().set_link(link));
    }

    pub(super) fn link_ended(&self, link: u64, reason: EndReason) {
        self.event(|event| {
            let mut ended = event.init_link_ended();
            ended.set_link(link);
            ended.set_reason(reason);
        });
    }

    pub(super) fn restarts(&self, process: u64) {
        self.event(|event| {
            let mut exited = event.init_exited();
            exited.set_process(process);
            exited.set_code(-9);
            exited.set_will_restart(true);
        });
    }

    /// A process could not become its image, and said why.
    pub(super) fn not_begun(&self, process: u64, last: &str) {
        self.event(|event| {
            let mut exited = event.init_exited();
            exited.set_process(process);
            exited.set_code(126);
            exited.set_last(last);
        });
    }

    /// Answers the powerbox's first command: in pages of one of each, to be sure that all are read; of more where
    /// there are very many.
    pub(super) async fn give_inventory(&self, inventory: &Inventory) {
        let most = inventory.processes.len().max(inventory.links.len()).max(inventory.tombstones.len());
        let rows = if most > 100 { 500 } else { 1 };
        let pages = most.div_ceil(rows).max(1);
        for number in 0..pages {
            assert_eq!(self.command().await, Command::Inventory);
            self.event(|event| {
                let mut page = event.init_inventory();
                let processes: Vec<_> = inventory.processes.chunks(rows).nth(number).into_iter().flatten().collect();
                let mut builders = page.reborrow().init_processes(u32::try_from(processes.len()).unwrap());
                for (index, (process, image)) in (0..).zip(processes) {
                    let mut builder = builders.reborrow().get(index);
                    builder.set_process(*process);
                    builder.set_image(*image);
                    builder.set_confined(true);
                }
                let links: Vec<_> = inventory.links.chunks(rows).nth(number).into_iter().flatten().collect();
                let mut builders = page.reborrow().init_links(u32::try_from(links.len()).unwrap());
                for (index, (link, grant, server, client)) in (0..).zip(links) {
                    let mut builder = builders.reborrow().get(index);
                    builder.set_link(*link);
                    builder.set_grant(*grant);
                    builder.set_carries(Carries::Grant);
                    builder.set_server(*server);
                    builder.set_client(*client);
                }
                let tombstones = inventory.tombstones.chunks(rows).nth(number).unwrap_or_default();
                page.set_tombstones(tombstones).unwrap();
                page.set_cursor(number as u64 + 1);
                page.set_end(number + 1 == pages);
            });
            self.answer(Outcome::Ok);
        }
    }

    fn event(&self, build: impl FnOnce(event::Builder<'_>)) {
        let mut message = Builder::new(HeapAllocator::new());
        build(message.init_root());
        send(self.socket.get_ref(), &pack::<event::Owned>(&message).unwrap(), &[]).unwrap();
    }
}

fn read(command: command::Reader<'_>) -> capnp::Result<Command> {
    use command::Which;
    Ok(match command.which()? {
        Which::Start(start) => {
            let start = start?;
            Command::Start { process: start.get_process(), image: start.get_image()?, restart: start.get_restart() }
        }
        Which::Stop(stop) => {
            let stop = stop?;
            Command::Stop { process: stop.get_process(), kill: stop.get_kill() }
        }
        Which::Link(link) => {
            let link = link?;
            Command::Link {
                link: link.get_link(),
                grant: link.get_grant(),
                carries: link.get_carries()?,
                server: link.get_server(),
                client: link.get_client(),
            }
        }
        Which::Cut(cut) => {
            let cut = cut?;
            let (grants, links) = (cut.get_grants()?.iter().collect(), cut.get_links()?.iter().collect());
            Command::Cut { grants, links, reason: cut.get_reason()? }
        }
        Which::Forget(forget) => Command::Forget(forget?.get_grants()?.iter().collect()),
        Which::Notice(notice) => {
            let notice = notice?;
            let (process, notice) = (notice.get_process(), notice.get_notice()?);
            Command::Notice { process, label: notice.get_label()?.to_string()?, reason: notice.get_reason()? }
        }
        Which::Inventory(_) => Command::Inventory,
        _ => Command::Other,
    })
}
