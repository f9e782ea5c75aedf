//! Doors and links as the kernel gives them: real sockets, a third party that cuts, and the main loop of a service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity, clippy::wrong_self_convention)]
#![allow(clippy::drop_non_drop, reason = "a builder is dropped where it has done its work")]

mod common;

use capnp::ErrorKind;
use capnp::capability::FromClientHook;
use common::keeper::{ACT, HANG, Keeper, KeeperClient, NOOP};
use common::world::badge;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType};
use schema::session_capnp::session;
use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use vat::bounds::RUNNING_LIMIT;
use vat::door::{Badge, Begin, Carries, FromVat, Link, Notice, Resource, ResourceKind, Role, ToVat};
use vat::native::{Born, Delivery, Door, Held, Service, Stream, SystemClock, connect_operator, receive, send};
use vat::{Bounds, EndReason, Peer, Transport};

fn run<F: Future>(future: F) -> F::Output {
    vat::native::run(future).unwrap()
}

/// Both ends of a door, as the kernel makes it.
fn door() -> (OwnedFd, OwnedFd) {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

struct Served {
    keeper: Rc<Keeper>,
    root: KeeperClient,
    /// What the kernel keeps.
    duplicate: UnixStream,
    ended: tokio::task::JoinHandle<vat::Ended>,
}

fn serve() -> Served {
    let (here, there) = UnixStream::pair().unwrap();
    let duplicate = there.try_clone().unwrap();
    let clock = Rc::new(SystemClock::new());
    let keeper = Rc::new(Keeper::default());
    let served = keeper.clone();
    let app = Bounds::for_peer(Peer::App);
    let serving = vat::serve(Stream::new(there).unwrap(), &badge(), app, clock.clone(), |exports| {
        exports.export_shared::<KeeperClient, _>(served).0
    });
    let connected = vat::connect(Stream::new(here).unwrap(), Bounds::for_peer(Peer::Service), clock);
    spawn_local(connected.driving);
    Served { keeper, root: KeeperClient::new(connected.root.hook), duplicate, ended: spawn_local(serving) }
}

/// What the kernel does: no byte enters any more, and what waits is discarded, to the end.
fn cut(duplicate: &UnixStream) {
    duplicate.shutdown(std::net::Shutdown::Both).unwrap();
    let mut buffer = [0; 4_096];
    while !matches!(rustix::net::recv(duplicate, &mut buffer, rustix::net::RecvFlags::DONTWAIT), Ok((0, _)) | Err(_)) {}
}

#[test]
fn a_link_that_a_third_party_cuts_starts_nothing_more_and_says_that_it_has_ended() {
    run(async {
        let served = serve();
        let calls: Vec<_> = (0..RUNNING_LIMIT + 100).map(|_| served.root.call(HANG, None).promise).collect();
        while served.keeper.started.get() < RUNNING_LIMIT {
            tokio::task::yield_now().await;
        }
        cut(&served.duplicate);
        served.keeper.go_on();
        let ended = served.ended.await.unwrap();
        assert_eq!(ended.reason, EndReason::Closed);
        assert_eq!((served.keeper.started.get(), served.keeper.gone.get()), (RUNNING_LIMIT, RUNNING_LIMIT));
        for call in calls {
            assert_eq!(call.await.err().unwrap().kind, ErrorKind::Disconnected);
        }
    });
}

#[test]
fn a_cut_in_the_middle_of_a_turn_is_seen_before_the_next_call() {
    run(async {
        let served = serve();
        let duplicate = served.duplicate.try_clone().unwrap();
        *served.keeper.act.borrow_mut() = Some(Box::new(move || cut(&duplicate)));
        let calls: Vec<_> =
            (0..64).map(|at| served.root.call(if at == 5 { ACT } else { NOOP }, None).promise).collect();
        served.ended.await.unwrap();
        assert_eq!(served.keeper.started.get(), 6);
        drop(calls);
    });
}

#[test]
fn a_flood_on_one_link_keeps_no_call_of_another_waiting() {
    const FLOOD: usize = 2_000;
    /// A few turns of the flooding link; with a runtime that looks at its sockets only now and then it is all of them.
    const SERVED_MEANWHILE: usize = 100;
    run(async {
        let (flooded, neighbour) = (serve(), serve());
        let (flood, root) = (flooded.keeper.clone(), neighbour.root);
        let answered_at = Rc::new(RefCell::new(None));
        let (answered, begun) = (answered_at.clone(), Rc::new(RefCell::new(0)));
        let begun_at = begun.clone();
        *flooded.keeper.act.borrow_mut() = Some(Box::new(move || {
            *begun_at.borrow_mut() = flood.started.get();
            let (flood, answered, call) = (flood.clone(), answered.clone(), root.call(NOOP, None).promise);
            spawn_local(async move {
                call.await.unwrap();
                *answered.borrow_mut() = Some(flood.started.get());
            });
        }));
        let act_at = FLOOD / 10;
        let calls = (0..FLOOD).map(|at| flooded.root.call(if at == act_at { ACT } else { NOOP }, None).promise);
        futures::future::try_join_all(calls).await.unwrap();
        let (begun, answered) = (*begun.borrow(), answered_at.borrow().expect("the neighbour's call was answered"));
        assert!(begun < answered && answered < begun + SERVED_MEANWHILE, "called at {begun}, answered at {answered}");
    });
}

#[test]
fn a_hang_up_is_seen_although_bytes_wait_unread() {
    run(async {
        for by_the_peer in [false, true] {
            let (here, there) = UnixStream::pair().unwrap();
            let duplicate = there.try_clone().unwrap();
            let stream = Stream::new(there).unwrap();
            std::io::Write::write_all(&mut &here, b"unread").unwrap();
            assert!(!stream.is_hung_up());
            if by_the_peer {
                drop(here);
            } else {
                duplicate.shutdown(std::net::Shutdown::Both).unwrap();
            }
            assert!(stream.is_hung_up());
        }
    });
}

#[test]
fn descriptors_and_marks_in_a_link_do_nothing() {
    run(async {
        let (here, there) = UnixStream::pair().unwrap();
        let clock = Rc::new(SystemClock::new());
        let serving =
            vat::serve(Stream::new(there).unwrap(), &badge(), Bounds::for_peer(Peer::App), clock, |exports| {
                exports.export::<KeeperClient, _>(Keeper::default()).0
            });
        let ended = spawn_local(serving);
        // with the beginning of a header comes one end of a pipe, which is open as long as anybody has it
        let (open, passed) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        send(&here, &[0, 0], &[passed.as_fd(), passed.as_fd()]).unwrap();
        drop(passed);
        // where the machine takes urgent bytes at all
        let _ = rustix::net::send(&here, &[0], SendFlags::OOB);
        while rustix::io::read(&open, &mut [0; 1]) != Ok(0) {
            tokio::task::yield_now().await;
        }
        assert!(!ended.is_finished(), "it waits for the rest of the header");
        drop(here);
        assert_eq!(ended.await.unwrap().reason, EndReason::Closed);
    });
}

// --- doors ---

fn begin(resources: u16) -> Vec<u8> {
    ToVat::Begin(Begin { process: 7, setup: b"setup".to_vec(), resources, reduced: true }).encode().unwrap()
}

fn resource(name: &str) -> Resource {
    Resource::new(ResourceKind::File, name)
}

fn null() -> OwnedFd {
    rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap()
}

#[test]
fn a_process_is_told_what_it_is_and_given_its_resources() {
    let (kernel, process) = door();
    send(&kernel, &begin(2), &[]).unwrap();
    for name in ["one", "two"] {
        send(&kernel, &ToVat::Resource(resource(name)).encode().unwrap(), &[null().as_fd()]).unwrap();
    }
    let mut born = Born::at(process).unwrap();
    assert_eq!((born.process(), born.setup(), born.is_reduced()), (7, &b"setup"[..], true));
    assert_eq!(born.take_resource("two").unwrap().resource.name, "two");
    assert!(born.take_resource("two").is_none());
    let confinement = vat::door::Confinement { profile: "folder".into(), ..Default::default() };
    born.confined(&confinement).unwrap();
    let said = receive(&kernel).unwrap().unwrap();
    assert_eq!(FromVat::decode(&said.bytes).unwrap(), FromVat::Confined(confinement));
}

#[test]
fn a_beginning_that_is_none_is_refused() {
    let beginnings: [&[(Vec<u8>, usize)]; 5] = [
        &[(ToVat::Stop.encode().unwrap(), 0)],
        &[(b"garbage!".to_vec(), 0)],
        &[(begin(0), 1)],
        &[(begin(1), 0), (ToVat::Resource(resource("one")).encode().unwrap(), 0)],
        &[(begin(1), 0), (ToVat::Resource(resource("one")).encode().unwrap(), 2)],
    ];
    for packets in beginnings {
        let (kernel, process) = door();
        for (packet, descriptors) in packets {
            let given: Vec<_> = (0..*descriptors).map(|_| null()).collect();
            let given: Vec<_> = given.iter().map(AsFd::as_fd).collect();
            send(&kernel, packet, &given).unwrap();
        }
        drop(kernel);
        assert!(Born::at(process).is_err(), "{packets:?}");
    }
}

#[test]
fn a_door_gives_what_comes_and_ends_with_the_kernel() {
    run(async {
        let (kernel, process) = door();
        let door = Door::new(process).unwrap();
        let notice = Notice { link: 3, label: "docs".into(), reason: EndReason::Revoked, detail: "by Ada".into() };
        send(&kernel, &ToVat::Notice(notice.clone()).encode().unwrap(), &[]).unwrap();
        send(&kernel, &ToVat::Stop.encode().unwrap(), &[]).unwrap();
        assert!(matches!(door.next().await.unwrap(), Some(Delivery::Notice(came)) if came == notice));
        assert!(matches!(door.next().await.unwrap(), Some(Delivery::Stop)));
        door.ended(9).await.unwrap();
        door.resource(resource("docs"), null().as_fd()).await.unwrap();
        let said = receive(&kernel).unwrap().unwrap();
        assert_eq!(FromVat::decode(&said.bytes).unwrap(), FromVat::Ended { link: 9 });
        let said = receive(&kernel).unwrap().unwrap();
        assert_eq!(said.descriptors.len(), 1);
        drop(kernel);
        assert!(door.next().await.unwrap().is_none());
    });
}

#[test]
fn a_link_without_its_descriptor_is_the_end_of_a_door() {
    run(async {
        let (kernel, process) = door();
        let door = Door::new(process).unwrap();
        send(&kernel, &link(1, Role::Server, Carries::Grant, &badge()), &[]).unwrap();
        assert!(door.next().await.is_err());
    });
}

#[test]
fn the_operator_socket_is_found_however_long_its_path_is() {
    let folder = tempfile::tempdir().unwrap();
    let deep = (0..20).fold(folder.path().to_owned(), |path, _| path.join("a-folder-with-a-name-of-some-length"));
    std::fs::create_dir_all(&deep).unwrap();
    run(async {
        assert_eq!(connect_operator(&deep).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        let listener = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let near = rustix::fs::open(&deep, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&near);
        let address = rustix::net::SocketAddrUnix::new(format!("/proc/self/fd/{number}/operator")).unwrap();
        rustix::net::bind(&listener, &address).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let door = connect_operator(&deep).unwrap();
        let accepted = rustix::net::accept(&listener).unwrap();
        send(&accepted, &ToVat::Stop.encode().unwrap(), &[]).unwrap();
        assert!(matches!(door.next().await.unwrap(), Some(Delivery::Stop)));
    });
}

// --- a service ---

fn link(id: u64, role: Role, carries: Carries, badge: &Badge) -> Vec<u8> {
    let badge = badge.encode().unwrap();
    ToVat::Link(Link { id, role, carries, label: String::new(), badge }).encode().unwrap()
}

/// What a report says of one link: link, grant, calls, whether it is the last, and how it ended.
type Said = (u64, u64, u64, bool, EndReason);

/// The powerbox's end of a session.
struct Powerbox {
    reports: mpsc::UnboundedSender<Said>,
}

impl session::Server for Powerbox {
    async fn report(
        self: Rc<Self>,
        params: session::ReportParams,
        _: session::ReportResults,
    ) -> Result<(), capnp::Error> {
        for usage in params.get()?.get_usage()? {
            let ended = usage.get_end_reason()?;
            let said = (usage.get_link(), usage.get_grant(), usage.get_calls(), usage.get_last(), ended);
            self.reports.send(said).unwrap();
        }
        Ok(())
    }
}

/// Delivers a link to a service and keeps what the kernel keeps.
fn deliver(kernel: &OwnedFd, id: u64, role: Role, carries: Carries, badge: &Badge) -> (UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    send(kernel, &link(id, role, carries, badge), &[there.as_fd()]).unwrap();
    (here, there)
}

#[test]
fn a_service_serves_each_link_by_its_badge_and_confirms_and_reports_its_end() {
    run(async {
        let (kernel, process) = door();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let seen = asked.clone();
        let service =
            spawn_local(Service::serve(Door::new(process).unwrap(), Held::default(), move |badge, exports| {
                seen.borrow_mut().push(badge.holder.clone());
                if badge.holder == "missing" {
                    return Err(capnp::Error::failed("notFound: missing".into()));
                }
                Ok(exports.export::<KeeperClient, _>(Keeper::default()).0)
            }));
        // a session first, as it comes in life
        let (sender, mut reports) = mpsc::unbounded_channel();
        let (session, _kept) =
            deliver(&kernel, 1, Role::Client, Carries::Session, &Badge { peer: Peer::Powerbox, ..badge() });
        let serving = vat::serve(
            Stream::new(session).unwrap(),
            &badge(),
            Bounds::for_operator_session(),
            Rc::new(SystemClock::new()),
            |exports| exports.export::<session::Client, _>(Powerbox { reports: sender }).client,
        );
        spawn_local(serving);

        let mut uses = Vec::new();
        for (id, holder) in [(5, "one"), (6, "missing")] {
            let badge = Badge { grant: 100 + id, holder: holder.into(), ..badge() };
            let (here, kept) = deliver(&kernel, id, Role::Server, Carries::Grant, &badge);
            let clock = Rc::new(SystemClock::new());
            let connected = vat::connect(Stream::new(here).unwrap(), Bounds::for_peer(Peer::Service), clock);
            spawn_local(connected.driving);
            uses.push((KeeperClient::new(connected.root.hook), kept));
        }
        uses[0].0.call(NOOP, None).promise.await.unwrap();
        let missing = uses[1].0.call(NOOP, None).promise.await.err().unwrap();
        assert!(missing.to_string().contains("notFound: missing"), "{missing}");
        assert_eq!(*asked.borrow(), ["one", "missing"]);

        cut(&uses[0].1);
        let kernel = Door::new(kernel).unwrap();
        let said = next_word(&kernel).await;
        assert_eq!(said, FromVat::Ended { link: 5 });
        loop {
            let (link, grant, calls, last, reason) = reports.recv().await.unwrap();
            if last {
                assert_eq!((link, grant, calls, reason), (5, 105, 1, EndReason::Closed));
                break;
            }
        }

        // in order: what is open ends, is confirmed and reported, and the service is done
        send(&kernel, &ToVat::Stop.encode().unwrap(), &[]).unwrap();
        assert_eq!(next_word(&kernel).await, FromVat::Ended { link: 6 });
        let last = loop {
            let said = reports.recv().await.unwrap();
            if said.3 {
                break said;
            }
        };
        assert_eq!((last.0, last.4), (6, EndReason::Stopped));
        service.await.unwrap().unwrap();
    });
}

#[test]
fn a_service_confirms_an_end_when_the_work_that_goes_on_is_done_and_reports_it_before() {
    run(async {
        let (kernel, process) = door();
        let works = Rc::new(RefCell::new(None));
        let work = works.clone();
        let service = spawn_local(Service::serve(Door::new(process).unwrap(), Held::default(), move |_, exports| {
            *work.borrow_mut() = Some(exports.work());
            Ok(exports.export::<KeeperClient, _>(Keeper::default()).0)
        }));
        let (sender, mut reports) = mpsc::unbounded_channel();
        let powerbox = Badge { peer: Peer::Powerbox, ..badge() };
        let (session, _kept) = deliver(&kernel, 1, Role::Client, Carries::Session, &powerbox);
        let (session, clock) = (Stream::new(session).unwrap(), Rc::new(SystemClock::new()));
        spawn_local(vat::serve(session, &badge(), Bounds::for_operator_session(), clock, |exports| {
            exports.export::<session::Client, _>(Powerbox { reports: sender }).client
        }));
        let (here, kept) = deliver(&kernel, 5, Role::Server, Carries::Grant, &badge());
        let work = loop {
            match works.take() {
                Some(work) => break work,
                None => tokio::task::yield_now().await,
            }
        };
        rustix::io::ioctl_fionbio(&kernel, true).unwrap();
        let begun = work.begin();
        cut(&kept);
        while !reports.recv().await.unwrap().3 {}
        assert!(receive(&kernel).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "too early");
        std::thread::spawn(move || drop(begun));
        let kernel = Door::new(kernel).unwrap();
        assert_eq!(next_word(&kernel).await, FromVat::Ended { link: 5 });
        drop(here);
        send(&kernel, &ToVat::Stop.encode().unwrap(), &[]).unwrap();
        service.await.unwrap().unwrap();
    });
}

async fn next_word(kernel: &Door) -> FromVat {
    loop {
        match receive(kernel) {
            Ok(packet) => return FromVat::decode(&packet.unwrap().bytes).unwrap(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_service_ends_with_the_kernel() {
    run(async {
        let (kernel, process) = door();
        let service = spawn_local(Service::serve(Door::new(process).unwrap(), Held::default(), |_, exports| {
            Ok(exports.export::<KeeperClient, _>(Keeper::default()).0)
        }));
        rustix::net::shutdown(&kernel, Shutdown::Both).unwrap();
        service.await.unwrap().unwrap();
    });
}
