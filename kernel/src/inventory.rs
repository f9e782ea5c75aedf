//! What a powerbox that was started (again) reads first: every process, link and tombstone as of one moment. What
//! changes after that moment follows as events.

use capnp::message::Builder;
use schema::kernel_capnp::{Image, event, page};
use vat::door::DoorError;
use vat::door::packet::pack;

use crate::control::fill;
use crate::kernel::Kernel;

/// Rows on a page. A process has a name of at most 96 bytes and 56 of fields: a page stays under half a packet.
const ROWS: usize = 150;

impl Kernel {
    /// Sends the page at `cursor`. The first request takes the picture that all pages show.
    pub(crate) fn list(&mut self, cursor: u64) -> Result<(), DoorError> {
        if cursor == 0 {
            self.control.pages = self.picture()?;
            self.control.told = true;
        }
        let page = usize::try_from(cursor).ok().and_then(|cursor| self.control.pages.get(cursor)).cloned();
        page.into_iter().for_each(|page| self.tell(page, vec![]));
        Ok(())
    }

    fn picture(&self) -> Result<Vec<Vec<u8>>, DoorError> {
        let processes: Vec<_> = self.processes.iter().collect();
        let links: Vec<_> = self.links.table.iter().filter(|(_, link)| link.open.is_some()).collect();
        let tombstones: Vec<u64> = self.links.tombstones.iter().copied().collect();
        let count = [processes.len(), links.len(), tombstones.len()].map(|rows| rows.div_ceil(ROWS)).iter().sum();
        let mut pages = Vec::new();
        let mut add = |write: &dyn Fn(page::Builder<'_>) -> capnp::Result<()>| -> Result<(), DoorError> {
            let (mut message, next) = (Builder::new_default(), pages.len() + 1);
            let mut page = message.init_root::<event::Builder<'_>>().init_inventory();
            fill!(page, set_cursor(next as u64), set_end(next == count));
            write(page)?;
            pages.push(pack::<event::Owned>(&message)?);
            Ok(())
        };
        for rows in processes.chunks(ROWS) {
            add(&|page| {
                let mut list = page.init_processes(rows.len() as u32);
                for (index, (id, known)) in (0..).zip(rows) {
                    let (mut row, life) = (list.reborrow().get(index), known.life.as_ref());
                    let image = known.plan.as_ref().map_or(Image::Powerbox, |plan| plan.image);
                    fill!(row, set_process(**id), set_image(image), set_pid(life.map_or(0, |life| life.pid)));
                    fill!(row, set_uid(known.identity.0), set_confined(life.is_some_and(|life| life.confined)));
                    fill!(
                        row,
                        set_shell(known.plan.is_none()),
                        set_restarts(known.restarts),
                        set_name(known.name.as_str())
                    );
                }
                Ok(())
            })?;
        }
        for rows in links.chunks(ROWS) {
            add(&|page| {
                let mut list = page.init_links(rows.len() as u32);
                for (index, (id, link)) in (0..).zip(rows) {
                    let mut row = list.reborrow().get(index);
                    fill!(row, set_link(**id), set_grant(link.grant), set_carries(link.carries));
                    fill!(row, set_server(link.server), set_client(link.client));
                }
                Ok(())
            })?;
        }
        for rows in tombstones.chunks(ROWS) {
            add(&|mut page| page.set_tombstones(rows))?;
        }
        Ok(pages)
    }
}
