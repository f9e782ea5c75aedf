//! What the parts of one link share.

use crate::bounds::Bounds;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::link::Ended;
use crate::meter::{Meter, UsageReport};
use crate::transport::Transport;
use crate::words::EndReason;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

/// One link.
pub(crate) struct LinkState {
    pub(crate) transport: RefCell<Box<dyn Transport>>,
    pub(crate) gate: RefCell<Gate>,
    pub(crate) meter: RefCell<Meter>,
    #[allow(dead_code)]
    pub(crate) bounds: Bounds,
    pub(crate) clock: Rc<dyn Clock>,
    ended: Cell<bool>,
    ending: RefCell<Option<(EndReason, String)>>,
    pub(crate) driver: RefCell<Option<Waker>>,
}

impl LinkState {
    pub(crate) fn new(transport: Box<dyn Transport>, gate: Gate, bounds: Bounds, clock: Rc<dyn Clock>) -> Rc<LinkState> {
        Rc::new(LinkState {
            transport: RefCell::new(transport),
            gate: RefCell::new(gate),
            meter: RefCell::default(),
            bounds,
            clock,
            ended: Cell::new(false),
            ending: RefCell::new(None),
            driver: RefCell::new(None),
        })
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    pub(crate) fn is_hung_up(&self) -> bool {
        self.transport.borrow().is_hung_up()
    }

    pub(crate) fn end(&self, reason: EndReason, detail: String) {
        if !self.ended.replace(true) {
            *self.ending.borrow_mut() = Some((reason, detail));
        }
        if let Some(waker) = self.driver.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(crate) fn usage(&self) -> UsageReport {
        let mut report = self.meter.borrow_mut().take();
        (report.unused_calls, report.unused_bytes) = self.gate.borrow().unused();
        report
    }

    pub(crate) fn ended(&self) -> Ended {
        let (reason, detail) = self.ending.borrow().clone().unwrap_or((EndReason::Closed, String::new()));
        Ended { reason, detail, usage: self.usage() }
    }
}
