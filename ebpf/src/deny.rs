//! Executions that the kernel refuses, by a policy map that the security hook of an execution asks. The hook is
//! attached with the first entry and detached with the last, so that a host that denies nothing pays nothing.

use std::collections::BTreeSet;

use aya::maps::HashMap;
use aya::{Btf, Ebpf, Pod};

use crate::actions::Works;
use crate::attach::{self, Point};
use crate::error::Error;
use crate::hooks::Hooked;
use crate::layout;

const MAP: &str = "denied";
const PROGRAM: &str = "deny_exec";
const POINT: Point = Point::Lsm("bprm_check_security");

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Denial {
    /// Executing this file, as program, script or interpreter.
    File {
        /// Inode number.
        inode: u64,
        /// Device, major number.
        device_major: u32,
        /// Device, minor number.
        device_minor: u32,
        /// Only in this cgroup (v2 id); everywhere when none.
        cgroup: Option<u64>,
    },
    /// Executing anything in this cgroup (v2 id).
    Group(u64),
}

/// `struct deny_key` of the probes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Key {
    inode: u64,
    cgroup: u64,
    device: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<Key>() == layout::deny_key::SIZE);

#[allow(unsafe_code)]
// SAFETY: `repr(C)`, integers only, and nothing is padding: every byte pattern is a value.
unsafe impl Pod for Key {}

impl From<Denial> for Key {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::File {
                inode,
                device_major,
                device_minor,
                cgroup,
            } => Self {
                inode,
                cgroup: cgroup.unwrap_or(0),
                device: device_major << 20 | device_minor & 0xf_ffff,
                reserved: 0,
            },
            Denial::Group(cgroup) => Self {
                inode: 0,
                cgroup,
                device: 0,
                reserved: 0,
            },
        }
    }
}

/// The entries in force.
#[derive(Default)]
pub(crate) struct Policy {
    entries: BTreeSet<Denial>,
}

impl Policy {
    /// The entries in force.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Denial> {
        self.entries.iter().copied()
    }

    pub(crate) fn add(
        &mut self,
        ebpf: &mut Ebpf,
        works: &Works,
        hooked: &mut Hooked,
        denial: Denial,
    ) -> Result<(), Error> {
        let refuse = |reason| Error::Settings {
            what: format!("deny {denial:?}"),
            reason,
        };
        match denial {
            Denial::File { inode: 0, .. } => return Err(refuse("no file has inode 0")),
            // The root group is everything, our own host's way back in among it.
            Denial::Group(0 | 1) => return Err(refuse("the root group can't be denied")),
            Denial::File { .. } | Denial::Group(_) => {}
        }
        if let Err(reason) = &works.lsm {
            return Err(Error::NothingAttached(reason.clone()));
        }
        insert(ebpf, denial)?;
        self.entries.insert(denial);
        let btf = Btf::from_sys_fs().map_err(Error::NoKernelTypes)?;
        let attached = hooked.attach(ebpf, &btf, PROGRAM, POINT);
        if let Err(error) = attached {
            let reason = attach::reason(&error);
            self.remove(ebpf, hooked, denial)?;
            return Err(Error::NothingAttached(reason));
        }
        Ok(())
    }

    /// Whether it was there.
    pub(crate) fn remove(
        &mut self,
        ebpf: &mut Ebpf,
        hooked: &mut Hooked,
        denial: Denial,
    ) -> Result<bool, Error> {
        if !self.entries.remove(&denial) {
            return Ok(false);
        }
        map(ebpf)?.remove(&Key::from(denial)).map_err(failed)?;
        if self.entries.is_empty() {
            hooked.detach(ebpf, PROGRAM);
        }
        Ok(true)
    }
}

/// Puts a denial into the map that the program asks.
pub(crate) fn insert(ebpf: &mut Ebpf, denial: Denial) -> Result<(), Error> {
    map(ebpf)?.insert(Key::from(denial), 1, 0).map_err(failed)
}

fn map(ebpf: &mut Ebpf) -> Result<HashMap<&mut aya::maps::MapData, Key, u8>, Error> {
    let found = ebpf.map_mut(MAP).ok_or(Error::Missing(MAP))?;
    HashMap::try_from(found).map_err(failed)
}

fn failed(source: aya::maps::MapError) -> Error {
    Error::Map { map: MAP, source }
}
