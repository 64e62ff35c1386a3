//! Which systemd unit a process belongs to, remembered by control group.
//! A process is asked about only when a rule or an alert needs it.

use crate::proc::Proc;
use crate::process::Identity;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The most control groups remembered.
const CAPACITY: usize = 4096;
/// The inode number of the unified hierarchy's root: all that a host without it has for a group.
const ROOT_GROUP: u64 = 1;

/// Units by control group.
#[derive(Debug)]
pub struct Units {
    proc: Proc,
    known: RefCell<HashMap<u64, Option<Arc<str>>>>,
}

impl Units {
    /// Asks this `/proc`.
    #[must_use]
    pub fn new(proc: Proc) -> Self {
        Self {
            proc,
            known: RefCell::default(),
        }
    }

    /// The unit of a process that is in a control group. None where it has none, or where it ended before anybody asked.
    pub fn of(&self, process: Identity, group: u64) -> Option<Arc<str>> {
        let shared = group > ROOT_GROUP;
        if shared && let Some(unit) = self.known.borrow().get(&group) {
            return unit.clone();
        }
        let unit = self.proc.unit(process).map(Arc::<str>::from);
        if shared && unit.is_some() {
            let mut known = self.known.borrow_mut();
            if known.len() >= CAPACITY {
                known.clear();
            }
            known.insert(group, unit.clone());
        }
        unit
    }
}
