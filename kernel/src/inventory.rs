//! What a powerbox that was started (again) reads first: every process, link and tombstone as of one moment. What
//! changes after that moment follows as events.

use schema::kernel_capnp::Image;

use crate::control::Answer;
use crate::kernel::Kernel;

/// Rows on a page. A process has a name of at most 96 bytes and 56 of fields, so that a page stays under half a packet.
const ROWS: usize = 150;

#[derive(Default)]
pub(crate) struct Inventory {
    rows: Vec<Row>,
}

enum Row {
    Process { id: u64, image: Image, pid: u32, uid: u32, confined: bool, shell: bool, restarts: u32, name: String },
    Link { id: u64, grant: u64, carries: vat::door::Carries, server: u64, client: u64 },
    Tombstone(u64),
}

impl Kernel {
    /// Sends the page at `cursor`. The first takes the picture that the following ones show.
    pub(crate) fn list(&mut self, cursor: u64) -> Answer {
        if cursor == 0 {
            self.control.inventory.rows = self.picture();
            self.begin_telling();
        }
        let rows = std::mem::take(&mut self.control.inventory.rows);
        let from = usize::try_from(cursor).unwrap_or(usize::MAX).min(rows.len());
        let page = rows.get(from..(from + ROWS).min(rows.len())).unwrap_or_default();
        let (next, end) = ((from + page.len()) as u64, from + page.len() == rows.len());
        self.emit(vec![], |event| write_page(page, next, end, event.init_inventory()));
        if !end {
            self.control.inventory.rows = rows;
        }
        Answer::ok()
    }

    fn picture(&self) -> Vec<Row> {
        let processes = self.processes.iter().map(|(id, known)| Row::Process {
            id: *id,
            image: known.plan.as_ref().map_or(Image::Powerbox, |plan| plan.image),
            pid: known.life.as_ref().map_or(0, |life| life.pid),
            uid: known.uid,
            confined: known.life.as_ref().is_some_and(|life| life.confined),
            shell: known.plan.is_none(),
            restarts: known.restarts,
            name: known.name.clone(),
        });
        let links = self.links.iter().filter(|(_, link)| link.is_open()).map(|(id, link)| Row::Link {
            id,
            grant: link.grant,
            carries: link.carries,
            server: link.server,
            client: link.client,
        });
        processes.chain(links).chain(self.links.tombstones.iter().copied().map(Row::Tombstone)).collect()
    }
}

fn write_page(rows: &[Row], next: u64, end: bool, mut page: schema::kernel_capnp::page::Builder<'_>) {
    page.set_cursor(next);
    page.set_end(end);
    let count = |kind: fn(&Row) -> bool| u32::try_from(rows.iter().filter(|row| kind(row)).count()).unwrap_or(0);
    let mut processes = page.reborrow().init_processes(count(|row| matches!(row, Row::Process { .. })));
    let of_kind = rows.iter().filter(|row| matches!(row, Row::Process { .. }));
    for (index, row) in (0..).zip(of_kind) {
        if let Row::Process { id, image, pid, uid, confined, shell, restarts, name } = row {
            let mut entry = processes.reborrow().get(index);
            entry.set_process(*id);
            entry.set_image(*image);
            entry.set_pid(*pid);
            entry.set_uid(*uid);
            entry.set_confined(*confined);
            entry.set_shell(*shell);
            entry.set_restarts(*restarts);
            entry.set_name(name.as_str());
        }
    }
    let mut links = page.reborrow().init_links(count(|row| matches!(row, Row::Link { .. })));
    for (index, row) in (0..).zip(rows.iter().filter(|row| matches!(row, Row::Link { .. }))) {
        if let Row::Link { id, grant, carries, server, client } = row {
            let mut entry = links.reborrow().get(index);
            entry.set_link(*id);
            entry.set_grant(*grant);
            entry.set_carries(*carries);
            entry.set_server(*server);
            entry.set_client(*client);
        }
    }
    let mut tombstones = page.init_tombstones(count(|row| matches!(row, Row::Tombstone(_))));
    for (index, row) in (0..).zip(rows.iter().filter(|row| matches!(row, Row::Tombstone(_)))) {
        if let Row::Tombstone(grant) = row {
            tombstones.set(index, *grant);
        }
    }
}
