//! What processes use of the machine, as the kernel measures it.

use std::rc::Rc;

use schema::kernel_capnp::usage;

use super::Core;
use crate::live::Figures;

impl Core {
    /// Asks the kernel for the figures of every process. They come as events before the answer.
    pub(crate) async fn refresh_usage(self: &Rc<Self>) {
        let processes: Vec<u64> = {
            let live = self.live.borrow();
            std::iter::once(0)
                .chain(live.processes.iter().filter(|(_, process)| process.image.is_some()).map(|(number, _)| *number))
                .collect()
        };
        let mut answers = Vec::new();
        for process in processes {
            if let Ok(answer) = self.control.send(&[], |mut command| command.set_usage(process)) {
                answers.push(answer);
            }
        }
        for answer in answers {
            // One that ended meanwhile has no figures.
            let _ = answer.await;
        }
    }

    /// The kernel's figures of one process.
    pub(crate) fn node_usage(&self, usage: usage::Reader<'_>) {
        let figures = Figures { cpu_us: usage.get_cpu_us(), resident_bytes: usage.get_resident_bytes() };
        let mut live = self.live.borrow_mut();
        let known: std::collections::BTreeSet<u64> = live.processes.keys().copied().collect();
        live.figures.retain(|process, _| *process == 0 || known.contains(process));
        live.figures.insert(usage.get_process(), figures);
    }
}
