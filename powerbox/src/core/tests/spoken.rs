//! What is asked over links: a test speaks for an app's service, or for a person's shell.

use std::os::unix::net::UnixStream;

use capnp::capability::{Client, FromClientHook};
use schema::operator_capnp::operator;
use schema::session_capnp::session;
use vat::bounds::REPORT_LINKS_LIMIT;
use vat::door::{Badge, Lease, Peer};
use vat::link::{Connected, connect};
use vat::native::{LinkUsage, Stream, SystemClock, report};
use vat::{Bounds, UsageReport};

use super::kernel::Inventory;
use super::*;
use crate::core::Handle;
use crate::record::Asked;
use crate::sessions::{Incoming, Who};

/// The root of a link to this powerbox.
fn speak(node: &Node, who: Who) -> Client {
    let (handle, jobs) = Handle::new();
    let core = node.core.clone();
    spawn(async move { jobs.run(core).await });
    let (ours, theirs) = UnixStream::pair().unwrap();
    let badge = Badge {
        object: String::new(),
        accounts: Vec::new(),
        grant: 0,
        interface: 0,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::Service,
        holder: String::new(),
    };
    let (to, incoming) = mpsc::unbounded_channel();
    if matches!(who, Who::Shell { .. }) {
        spawn(crate::operator::serve_all(incoming, handle));
    } else {
        spawn(crate::sessions::serve_all(incoming, handle));
    }
    to.send(Incoming { link: 1, process: 11, who, badge, socket: theirs }).unwrap();
    let stream = Stream::new(ours).unwrap();
    let Connected { root, driving, .. } =
        connect(stream, Bounds::for_peer(Peer::Powerbox), Rc::new(SystemClock::new()));
    spawn(async move { drop(driving.await) });
    root
}

#[test]
fn more_requests_than_fit_into_a_page_are_all_listed_once() {
    run(async {
        let asked = |request: u64| {
            Record::Asked(Asked {
                request,
                instance: format!("search#{}", request / 32),
                label: format!("l{}", request % 32),
                interface: directory(),
                hint: String::new(),
                rights: Rights::READ,
                reason: String::new(),
                at_ms: 1,
            })
        };
        let node = Node::recovered((1..=1_010).map(asked).collect(), Inventory::default()).await;
        let operator = operator::Client::new(speak(&node, Who::Shell { uid: 0 }).hook);
        let (mut listed, mut pages, mut cursor) = (Vec::new(), Vec::new(), 0);
        loop {
            let mut request = operator.requests_request();
            request.get().set_cursor(cursor);
            let answer = request.send().promise.await.unwrap();
            let answer = answer.get().unwrap();
            let rows = answer.get_rows().unwrap();
            listed.extend(rows.iter().map(|row| row.get_id()));
            pages.push(rows.len());
            cursor = answer.get_cursor();
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(pages, [500, 500, 10]);
        assert_eq!(listed, (1..=1_010).collect::<Vec<_>>());
    });
}

#[test]
fn a_report_is_of_so_many_links_and_more_are_told_in_several() {
    run(async {
        let node = Node::recovered(vec![], Inventory::default()).await;
        let session = session::Client::new(speak(&node, Who::Service).hook);
        let used = |link| LinkUsage { link, grant: 1, usage: UsageReport::default(), end: None };
        let usages: Vec<LinkUsage> = (0..3 * REPORT_LINKS_LIMIT as u64).map(used).collect();
        report(&session, &usages).await.unwrap();
        let mut request = session.report_request();
        request.get().init_usage(REPORT_LINKS_LIMIT as u32 + 1);
        let refused = request.send().promise.await.err().unwrap().to_string();
        assert!(refused.contains("at most 100 links"), "{refused}");
    });
}
