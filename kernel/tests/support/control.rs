//! The powerbox's side of the control protocol, as plain values.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use capnp::message::Builder;
use schema::kernel_capnp::{Image, Outcome, command, event};
use vat::door::packet::{pack, unpack};
use vat::door::{Carries, Resource};
use vat::words::EndReason;

use super::Fake;
use super::packets::Socket;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Done { sequence: u64, outcome: Outcome, detail: String },
    Confined { process: u64, pid: u32, uid: u32, profile: String },
    Exited { process: u64, code: i32, last: String, will_restart: bool, restarts: u32 },
    LinkEnded { link: u64, reason: EndReason },
    Quiet { link: u64 },
    Shell { process: u64, uid: u32, gone: bool },
    Resource { resource: u64, shell: u64, what: Resource },
    Page(Rows),
    Usage { process: u64, resident_bytes: u64 },
    Stopping,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Number, name, pid, confined, shell.
    pub processes: Vec<(u64, String, u32, bool, bool)>,
    /// Number, grant, server, client.
    pub links: Vec<(u64, u64, u64, u64)>,
    pub tombstones: Vec<u64>,
    cursor: u64,
    end: bool,
}

/// What to start, with usual values.
pub struct Start<'a> {
    pub process: u64,
    pub image: Image,
    pub setup: Vec<u8>,
    pub resources: Vec<(Resource, BorrowedFd<'a>)>,
    pub claims: Vec<u64>,
    pub folder: Option<Resource>,
    pub restart: bool,
    pub run_as: u32,
    pub memory_bytes: u64,
    pub file_bytes: u64,
}

pub struct Powerbox {
    pub fake: Fake,
    control: Socket,
    sequence: u64,
    /// Events that came while an answer was awaited.
    seen: VecDeque<(Event, Vec<OwnedFd>)>,
}

impl Powerbox {
    pub fn new(fake: Fake, control: Socket) -> Powerbox {
        Powerbox { fake, control, sequence: 0, seen: VecDeque::new() }
    }

    /// Sends a command and waits for its answer.
    pub fn ask(&mut self, descriptors: &[BorrowedFd<'_>], write: impl FnOnce(command::Builder<'_>)) -> Outcome {
        self.sequence += 1;
        let mut message = Builder::new_default();
        let mut command = message.init_root::<command::Builder<'_>>();
        command.set_sequence(self.sequence);
        write(command);
        self.control.send(&pack::<command::Owned>(&message).unwrap(), descriptors).unwrap();
        loop {
            let (event, descriptors) = self.receive().expect("an answer");
            if let Event::Done { sequence, outcome, detail } = event {
                assert_eq!(sequence, self.sequence);
                if outcome != Outcome::Ok {
                    eprintln!("answered {outcome:?}: {detail}");
                }
                return outcome;
            }
            self.seen.push_back((event, descriptors));
        }
    }

    pub fn send_raw(&self, bytes: &[u8]) {
        self.control.send(bytes, &[]).unwrap();
    }

    /// The next event, in order.
    pub fn next(&mut self) -> Event {
        self.next_with().0
    }

    pub fn next_with(&mut self) -> (Event, Vec<OwnedFd>) {
        self.seen.pop_front().unwrap_or_else(|| self.receive().expect("an event"))
    }

    /// The next event that `wanted` takes; others are passed over.
    pub fn until<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next()) {
                return found;
            }
        }
    }

    fn receive(&mut self) -> Option<(Event, Vec<OwnedFd>)> {
        let (bytes, descriptors) = self.control.receive()?;
        Some((decode(&bytes), descriptors))
    }

    pub fn start(&mut self, start: &Start<'_>) -> Outcome {
        let descriptors: Vec<_> = start.resources.iter().map(|(_, descriptor)| *descriptor).collect();
        self.ask(&descriptors, |command| {
            let mut asked = command.init_start();
            asked.set_process(start.process);
            asked.set_image(start.image);
            asked.set_name(format!("process {}", start.process));
            asked.set_setup(&start.setup);
            asked.set_restart(start.restart);
            asked.set_run_as(start.run_as);
            let mut limits = asked.reborrow().init_limits();
            limits.set_memory_bytes(start.memory_bytes);
            limits.set_file_bytes(start.file_bytes);
            let mut resources = asked.reborrow().init_resources(start.resources.len() as u32);
            for (index, (resource, _)) in start.resources.iter().enumerate() {
                resource.write_to(resources.reborrow().get(index as u32));
            }
            let mut claims = asked.reborrow().init_claims(start.claims.len() as u32);
            for (index, claim) in start.claims.iter().enumerate() {
                claims.set(index as u32, *claim);
            }
            if let Some(folder) = &start.folder {
                folder.write_to(asked.init_folder());
            }
        })
    }

    pub fn link(&mut self, link: u64, grant: u64, server: u64, client: u64) -> Outcome {
        self.link_carrying(Carries::Grant, link, grant, server, client)
    }

    pub fn link_carrying(&mut self, carries: Carries, link: u64, grant: u64, server: u64, client: u64) -> Outcome {
        self.ask(&[], |command| {
            let mut asked = command.init_link();
            asked.set_link(link);
            asked.set_grant(grant);
            asked.set_carries(carries);
            asked.set_server(server);
            asked.set_client(client);
            asked.set_label("docs");
            asked.set_server_badge(b"for the server");
            asked.set_client_badge(b"for the client");
        })
    }

    /// Cuts grants.
    pub fn cut(&mut self, grants: &[u64]) {
        let outcome = self.ask(&[], |command| {
            let mut asked = command.init_cut();
            asked.set_grants(grants).unwrap();
            asked.set_reason(EndReason::Revoked);
            asked.set_detail("by the test");
        });
        assert_eq!(outcome, Outcome::Ok);
    }

    pub fn forget(&mut self, grants: &[u64]) {
        let outcome = self.ask(&[], |command| command.init_forget().set_grants(grants).unwrap());
        assert_eq!(outcome, Outcome::Ok);
    }

    pub fn stop(&mut self, process: u64, kill: bool) -> Outcome {
        self.ask(&[], |command| {
            let mut asked = command.init_stop();
            asked.set_process(process);
            asked.set_kill(kill);
        })
    }

    /// Reads all pages.
    pub fn inventory(&mut self) -> Rows {
        let mut all = Rows::default();
        loop {
            let cursor = all.cursor;
            let outcome = self.ask(&[], |command| command.init_inventory().set_cursor(cursor));
            assert_eq!(outcome, Outcome::Ok);
            let page = self.until(|event| if let Event::Page(rows) = event { Some(rows.clone()) } else { None });
            all.processes.extend(page.processes);
            all.links.extend(page.links);
            all.tombstones.extend(page.tombstones);
            all.cursor = page.cursor;
            if page.end {
                return all;
            }
        }
    }
}

fn decode(bytes: &[u8]) -> Event {
    use event::Which;
    let message = unpack(bytes).unwrap();
    let text = |text: capnp::Result<capnp::text::Reader<'_>>| text.unwrap().to_str().unwrap().to_owned();
    match message.get_root::<event::Reader<'_>>().unwrap().which().unwrap() {
        Which::Done(done) => {
            let done = done.unwrap();
            let (sequence, outcome) = (done.get_sequence(), done.get_outcome().unwrap());
            Event::Done { sequence, outcome, detail: text(done.get_detail()) }
        }
        Which::Confined(said) => {
            let said = said.unwrap();
            let profile = text(said.get_confinement().unwrap().get_profile());
            Event::Confined { process: said.get_process(), pid: said.get_pid(), uid: said.get_uid(), profile }
        }
        Which::Exited(exited) => {
            let exited = exited.unwrap();
            Event::Exited {
                process: exited.get_process(),
                code: exited.get_code(),
                last: text(exited.get_last()),
                will_restart: exited.get_will_restart(),
                restarts: exited.get_restarts(),
            }
        }
        Which::LinkEnded(ended) => {
            let ended = ended.unwrap();
            let reason = ended.get_reason().unwrap();
            Event::LinkEnded { link: ended.get_link(), reason }
        }
        Which::Quiet(quiet) => {
            let quiet = quiet.unwrap();
            Event::Quiet { link: quiet.get_link() }
        }
        Which::Shell(shell) => {
            let shell = shell.unwrap();
            Event::Shell { process: shell.get_process(), uid: shell.get_uid(), gone: shell.get_gone() }
        }
        Which::Resource(offered) => {
            let offered = offered.unwrap();
            let what = Resource::read_from(offered.get_what().unwrap()).unwrap();
            Event::Resource { resource: offered.get_resource(), shell: offered.get_shell(), what }
        }
        Which::Inventory(page) => {
            let page = page.unwrap();
            Event::Page(Rows {
                processes: page
                    .get_processes()
                    .unwrap()
                    .iter()
                    .map(|row| {
                        let name = text(row.get_name());
                        (row.get_process(), name, row.get_pid(), row.get_confined(), row.get_shell())
                    })
                    .collect(),
                links: page
                    .get_links()
                    .unwrap()
                    .iter()
                    .map(|row| (row.get_link(), row.get_grant(), row.get_server(), row.get_client()))
                    .collect(),
                tombstones: page.get_tombstones().unwrap().iter().collect(),
                cursor: page.get_cursor(),
                end: page.get_end(),
            })
        }
        Which::Usage(usage) => {
            let usage = usage.unwrap();
            Event::Usage { process: usage.get_process(), resident_bytes: usage.get_resident_bytes() }
        }
        Which::Stopping(()) => Event::Stopping,
    }
}
