//! What the process of a folder can say of links: of those that it serves, and of no others.

use schema::kernel_capnp::Image;
use vat::meter::MethodUsage;
use vat::words::{EndReason, Method};

use super::kernel::Inventory;
use super::*;
use crate::record::Leased;
use crate::sessions::Reported;
use crate::usage::{LinkTotals, Totals};

/// The process that was taken over serves grant 1 on link 100, and once served grant 3 on link 102, whose lease is out. Its
/// neighbour serves grant 2 on link 101.
const EVIL: u64 = 11;
const NEIGHBOUR: u64 = 12;

async fn node() -> Node {
    let Record::Granted(of_neighbour) = granted(2, 0, "l1", read_only()) else { panic!("not a grant") };
    let other = Folder { path: "/other".into(), inode: 8, ..folder() };
    let of_neighbour = Granted { source: Source::Folder(other), ..*of_neighbour };
    let limited = Caveats { calls: Some(100), ..read_only() };
    let records = vec![
        installed(4),
        ran(10),
        granted(1, 0, "l0", read_only()),
        Record::Granted(Box::new(of_neighbour)),
        granted(3, 0, "l2", limited),
        Record::Leased(Leased { grant: 3, link: 102, calls: 40, bytes: 0 }),
        granted(4, 0, "l3", read_only()),
    ];
    let inventory = Inventory {
        processes: vec![(10, Image::Sandbox), (EVIL, Image::Folder), (NEIGHBOUR, Image::Folder)],
        links: vec![(100, 1, EVIL, 10), (101, 2, NEIGHBOUR, 10)],
        tombstones: vec![],
    };
    Node::recovered(records, inventory).await
}

/// The last report of a link, that accuses its holder.
fn accusing(link: u64, grant: u64) -> Reported {
    let method = Method { interface: 7, ordinal: 1 };
    Reported {
        link,
        grant,
        totals: Totals { calls: 3, bytes_in: 20, bytes_out: 10, ..Totals::default() },
        methods: vec![MethodUsage { method, calls: 3, errors: 0, latency_p50_ns: 1, latency_p99_ns: 1 }],
        last: Some((40, 0)),
        misbehaved: Some("it sent garbage".into()),
        exhausted: false,
    }
}

fn notes(node: &Node) -> usize {
    node.core.warnings.borrow().shown(node.core.now_ms(), |_, _| true).len()
}

#[test]
fn a_folder_that_was_taken_over_can_speak_of_its_own_links_only() {
    run(async {
        let node = node().await;
        let (before, warned) = (node.core.state.borrow().position, notes(&node));
        let links = node.core.live.borrow().links.len();
        let neighbours = [(101, 2), (100, 2), (999, 2), (102, 2)];
        // Its own grants: on links that are the neighbour's, that lead elsewhere, or that there never were.
        let own = [(101, 1), (999, 1), (102, 1), (100, 3), (999, 3), (999, 4)];
        for (link, grant) in neighbours.into_iter().chain(own).chain([(0, 0), (100, 0), (100, 77)]) {
            node.core.reported(EVIL, &[accusing(link, grant)]);
        }
        for link in 1_000..11_000 {
            node.core.reported(EVIL, &[accusing(link, 1), accusing(link, 4)]);
        }
        let (usage, live) = (node.core.usage.borrow(), node.core.live.borrow());
        for grant in 0..=4 {
            assert_eq!((usage.of(grant), usage.methods_of(grant)), (Totals::default(), &[][..]), "grant {grant}");
        }
        assert_eq!((live.links.len(), live.ended.len()), (links, 0), "what it makes up is kept");
        assert!(live.misbehaved.is_empty());
        assert_eq!((node.core.state.borrow().position, notes(&node)), (before, warned));
    });
}

#[test]
fn each_link_has_one_last_report_whether_it_comes_before_or_after_the_kernels() {
    run(async {
        for is_told_first in [true, false] {
            let node = node().await;
            let report = || (0..3).for_each(|_| node.core.reported(EVIL, &[accusing(100, 1)]));
            if is_told_first {
                report();
            }
            node.kernel.link_ended(100, EndReason::Closed);
            node.core.bells.links.until(|| (!node.core.live.borrow().open.contains_key(&1)).then_some(())).await;
            report();
            assert_eq!(node.core.usage.borrow().of(1).calls, 3);
            assert_eq!(node.core.live.borrow().misbehaved["search"], 1);
            assert!(node.core.live.borrow().ended.is_empty());
        }
    });
}

#[test]
fn what_a_link_has_used_is_counted_while_it_is_open() {
    run(async {
        let node = node().await;
        let so_far = || Reported { last: None, misbehaved: None, ..accusing(100, 1) };
        node.core.reported(EVIL, &[so_far(), so_far()]);
        assert_eq!(node.core.live.borrow().links[&100].used, LinkTotals { calls: 6, bytes: 60 });
    });
}

#[test]
fn a_lease_comes_back_though_the_powerbox_that_made_the_link_is_gone_and_with_a_dead_server_nothing_does() {
    run(async {
        let node = node().await;
        let left = |node: &Node| node.core.state.borrow().grants.get(3).unwrap().left.calls;
        assert_eq!(left(&node), Some(60));
        node.core.reported(NEIGHBOUR, &[accusing(102, 3)]);
        assert_eq!(left(&node), Some(60));
        node.core.reported(EVIL, &[accusing(102, 3)]);
        node.core.reported(EVIL, &[accusing(102, 3)]);
        assert_eq!((left(&node), node.core.usage.borrow().of(3).calls), (Some(100), 3));
        // What is started in the place of a process did not serve its links.
        node.kernel.link_ended(100, EndReason::Restarted);
        node.kernel.restarts(EVIL);
        let has_ended = || node.core.live.borrow().processes[&EVIL].backing_off.then_some(());
        node.core.bells.processes.until(has_ended).await;
        node.core.reported(EVIL, &[accusing(100, 1)]);
        assert_eq!(node.core.usage.borrow().of(1), Totals::default());
    });
}
