//! The powerbox's side of the control channel, as far as the stand-in needs it.

use schema::kernel_capnp::{Image, Outcome, command, event};
use std::os::fd::{BorrowedFd, OwnedFd};
use vat::door::packet::{pack, unpack};
use vat::door::{Badge, Carries, ResourceKind};
use vat::words::EndReason;

/// What the kernel says that a row waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Done { sequence: u64, outcome: Outcome, detail: String },
    Confined { process: u64, pid: u32 },
    Exited { process: u64, code: i32, last: String },
    Quiet { link: u64 },
    Other,
}

/// A process to be started.
pub(super) struct Wanted<'a> {
    pub(super) process: u64,
    pub(super) image: Image,
    pub(super) setup: &'a [u8],
    /// The user of an image that takes a folder; the kernel finds one for the others.
    pub(super) run_as: u32,
    pub(super) resources: &'a [(&'a str, ResourceKind, BorrowedFd<'a>)],
}

/// A link to be made.
pub(super) struct Link<'a> {
    pub(super) link: u64,
    /// 0: none.
    pub(super) grant: u64,
    pub(super) carries: Carries,
    pub(super) server: u64,
    pub(super) client: u64,
    pub(super) label: &'a str,
    pub(super) badge: Option<&'a Badge>,
}

/// The control channel.
pub(super) struct Channel {
    socket: OwnedFd,
    sequence: u64,
}

impl Channel {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, sequence: 0 }
    }

    /// Asks for the inventory, as every powerbox does first.
    pub(super) fn inventory(&mut self) -> Result<u64, String> {
        self.command(&[], |command| {
            command.init_inventory().set_cursor(0);
            Ok(())
        })
    }

    pub(super) fn start(&mut self, wanted: &Wanted<'_>) -> Result<u64, String> {
        let descriptors: Vec<BorrowedFd<'_>> = wanted.resources.iter().map(|(_, _, descriptor)| *descriptor).collect();
        self.command(&descriptors, |command| {
            let mut start = command.init_start();
            start.set_process(wanted.process);
            start.set_image(wanted.image);
            start.set_name("bench");
            start.set_setup(wanted.setup);
            start.reborrow().init_limits().set_file_bytes(u64::MAX);
            start.set_run_as(wanted.run_as);
            let mut list = start.init_resources(wanted.resources.len() as u32);
            for (index, (name, kind, _)) in wanted.resources.iter().enumerate() {
                let mut resource = list.reborrow().get(index as u32);
                resource.set_name(name);
                resource.set_kind(*kind);
            }
            Ok(())
        })
    }

    pub(super) fn link(&mut self, wanted: &Link<'_>) -> Result<u64, String> {
        let badge = wanted.badge.map_or(Ok(Vec::new()), Badge::encode).map_err(|error| error.to_string())?;
        self.command(&[], |command| {
            let mut link = command.init_link();
            link.set_link(wanted.link);
            link.set_grant(wanted.grant);
            link.set_carries(wanted.carries);
            link.set_server(wanted.server);
            link.set_client(wanted.client);
            link.set_label(wanted.label);
            link.set_server_badge(&badge);
            link.set_client_badge(&badge);
            Ok(())
        })
    }

    pub(super) fn cut(&mut self, grants: &[u64]) -> Result<u64, String> {
        self.command(&[], |command| {
            let mut cut = command.init_cut();
            cut.reborrow().set_grants(grants)?;
            cut.set_reason(EndReason::Revoked);
            Ok(())
        })
    }

    pub(super) fn forget(&mut self, grants: &[u64]) -> Result<u64, String> {
        self.command(&[], |command| command.init_forget().set_grants(grants))
    }

    /// The next thing that the kernel says.
    pub(super) fn next(&self) -> Result<Said, String> {
        let packet = vat::native::receive(&self.socket)
            .map_err(|error| format!("cannot read the control channel: {error}"))?
            .ok_or("the kernel is gone")?;
        let message = unpack(&packet.bytes).map_err(|error| error.to_string())?;
        read(&message).map_err(|error| format!("the kernel said something strange: {error}"))
    }

    fn command(
        &mut self,
        descriptors: &[BorrowedFd<'_>],
        fill: impl FnOnce(command::Builder<'_>) -> Result<(), capnp::Error>,
    ) -> Result<u64, String> {
        self.sequence += 1;
        let mut message = capnp::message::Builder::new_default();
        let mut command: command::Builder<'_> = message.init_root();
        command.set_sequence(self.sequence);
        fill(command).map_err(|error| error.to_string())?;
        let bytes = pack::<command::Owned>(&message).map_err(|error| error.to_string())?;
        vat::native::send(&self.socket, &bytes, descriptors)
            .map_err(|error| format!("cannot command the kernel: {error}"))?;
        Ok(self.sequence)
    }
}

fn read(message: &capnp::message::Reader<capnp::serialize::OwnedSegments>) -> Result<Said, capnp::Error> {
    let event: event::Reader<'_> = message.get_root()?;
    Ok(match event.which()? {
        event::Done(done) => {
            let done = done?;
            let detail = done.get_detail()?.to_string()?;
            Said::Done { sequence: done.get_sequence(), outcome: done.get_outcome()?, detail }
        }
        event::Confined(confined) => {
            let confined = confined?;
            Said::Confined { process: confined.get_process(), pid: confined.get_pid() }
        }
        event::Exited(exited) => {
            let exited = exited?;
            let last = exited.get_last()?.to_string()?;
            Said::Exited { process: exited.get_process(), code: exited.get_code(), last }
        }
        event::Quiet(quiet) => Said::Quiet { link: quiet?.get_link() },
        _ => Said::Other,
    })
}
