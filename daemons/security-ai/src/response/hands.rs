//! What acts: signals by pidfd, units through systemd, executions through the probes. It does what a plan says and
//! knows nothing of why.

use super::plan::Act;
use super::record::Before;
use crate::proc::Proc;
use crate::process::Identity;
use crate::watcher::{Command, Commander};
use nix::libc::{AF_INET, AF_INET6};
use nix::poll::{PollFd, PollFlags, poll};
use quantumos_ebpf::Denial;
use quantumos_service::systemd::{Systemd, SystemdError, UNIT, unit_interface};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// How long the end of a process that was killed is waited for, in milliseconds.
const DYING: u16 = 5000;
/// Networks as systemd has them: family, address, bits.
pub(super) type Networks = Vec<(i32, Vec<u8>, u32)>;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The target is not there any more.
    Gone(String),
    /// It was refused: nothing has changed.
    Refused(String),
    /// There was no answer: it may have been done.
    Unsure(String),
}

impl Trouble {
    /// In words.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Gone(text) | Self::Refused(text) | Self::Unsure(text) => text,
        }
    }
}

impl From<SystemdError> for Trouble {
    fn from(error: SystemdError) -> Self {
        match error {
            SystemdError::NoSuchUnit => Self::Gone("the unit is not there any more".into()),
            SystemdError::Refused(reason) => Self::Refused(reason),
            SystemdError::NoAnswer(reason) => Self::Unsure(reason),
        }
    }
}

/// What acts.
#[derive(Debug, Clone)]
pub struct Hands {
    pub(crate) proc: Proc,
    pub(crate) systemd: Systemd,
    pub(crate) probes: Option<Commander>,
}

impl Hands {
    /// What has to be known to undo an act, read before it is done.
    ///
    /// # Errors
    /// When the target is not there, or can't be asked; nothing should be done then.
    pub async fn before(&self, act: &Act) -> Result<Vec<Before>, Trouble> {
        match act {
            Act::Throttle {
                unit,
                quota,
                io_weight,
            } => {
                let object = self.systemd.unit(unit).await?;
                let mut before = self.kind(&object).await?;
                for (property, set) in [("CPUQuotaPerSecUSec", *quota), ("IOWeight", *io_weight)] {
                    before.push(Before::Number {
                        property: property.into(),
                        was: self.number(&object, unit, property).await?,
                        set,
                    });
                }
                Ok(before)
            }
            Act::Isolate(unit) => {
                let object = self.systemd.unit(unit).await?;
                let mut before = self.kind(&object).await?;
                for property in ["IPAddressDeny", "IPAddressAllow"] {
                    before.push(Before::Networks {
                        property: property.into(),
                        was: self.networks(&object, unit, property).await?,
                    });
                }
                Ok(before)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether what is set on a unit goes with it.
    async fn kind(&self, object: &OwnedObjectPath) -> Result<Vec<Before>, Trouble> {
        let transient = self.systemd.property(object, UNIT, "Transient").await?;
        let is_transient = bool::try_from(transient).unwrap_or(false);
        Ok(is_transient
            .then_some(Before::Transient)
            .into_iter()
            .collect())
    }

    /// Does it; gives what there is to say about that, or nothing.
    ///
    /// # Errors
    /// When it could not be done.
    pub async fn act(&self, act: &Act, before: &[Before]) -> Result<String, Trouble> {
        match act {
            Act::None => Ok(String::new()),
            Act::Throttle { unit, .. } => {
                let properties = before.iter().filter_map(|before| match before {
                    Before::Number { property, set, .. } => {
                        Some((property.as_str(), Variant::from(*set)))
                    }
                    Before::Networks { .. } | Before::Transient => None,
                });
                self.set(unit, properties.collect()).await
            }
            Act::Isolate(unit) => {
                // What is allowed goes before what is denied, so nothing may be allowed.
                let properties = vec![
                    ("IPAddressAllow", Variant::from(Networks::new())),
                    ("IPAddressDeny", Variant::from(Networks::new())),
                    ("IPAddressDeny", Variant::from(everything())),
                ];
                self.set(unit, properties).await
            }
            Act::FreezeUnit(unit) => self.unit_call("FreezeUnit", unit).await,
            Act::KillUnit(unit) => {
                self.let_die(unit).await;
                self.signal(unit, Signal::KILL).await
            }
            Act::StopProcess(identity) => {
                send(&hold(&self.proc, *identity)?, Signal::STOP)?;
                Ok(String::new())
            }
            Act::KillProcess(identity) => {
                let process = hold(&self.proc, *identity)?;
                send(&process, Signal::KILL)?;
                Ok(ended(process).await)
            }
            Act::DenyFile { .. } | Act::DenyGroups(_) => self.deny(&denials(act)).await,
        }
    }

    /// Undoes it; gives what there is to say about that, or nothing. Denials in `others` stay.
    ///
    /// # Errors
    /// When it could not be undone.
    pub async fn undo(
        &self,
        act: &Act,
        before: &[Before],
        others: &BTreeSet<Denial>,
    ) -> Result<String, Trouble> {
        match act {
            Act::None | Act::KillProcess(_) | Act::KillUnit(_) => Ok(String::new()),
            Act::Throttle { unit, .. } => self.restore_numbers(unit, before).await,
            Act::Isolate(unit) => {
                let mut properties = Vec::new();
                for before in before {
                    if let Before::Networks { property, was } = before {
                        properties.push((property.as_str(), Variant::from(Networks::new())));
                        if !was.is_empty() {
                            properties.push((property.as_str(), Variant::from(was.clone())));
                        }
                    }
                }
                self.set(unit, properties).await
            }
            Act::FreezeUnit(unit) => self.unit_call("ThawUnit", unit).await,
            Act::StopProcess(identity) => {
                send(&hold(&self.proc, *identity)?, Signal::CONT)?;
                Ok(String::new())
            }
            Act::DenyFile { .. } | Act::DenyGroups(_) => {
                for denial in denials(act).difference(others) {
                    self.denial(*denial, false).await?;
                }
                Ok(String::new())
            }
        }
    }

    async fn restore_numbers(&self, unit: &str, before: &[Before]) -> Result<String, Trouble> {
        // With a file it keeps what was set on it when it is not loaded.
        let object = self.systemd.load(unit).await?;
        let (mut back, mut left) = (Vec::new(), Vec::new());
        for before in before {
            if let Before::Number { property, was, set } = before {
                // What somebody else has set since is theirs.
                if self.number(&object, unit, property).await? == *set {
                    back.push((property.as_str(), Variant::from(*was)));
                } else {
                    left.push(property.as_str());
                }
            }
        }
        if !back.is_empty() {
            self.set(unit, back).await?;
        }
        if left.is_empty() {
            return Ok(String::new());
        }
        Ok(format!(
            "{} was changed since and stays",
            left.join(" and ")
        ))
    }

    async fn property(
        &self,
        object: &OwnedObjectPath,
        unit: &str,
        name: &str,
    ) -> Result<OwnedVariant, Trouble> {
        let interface = unit_interface(unit)
            .ok_or_else(|| Trouble::Refused(format!("{unit} has no {name}")))?;
        Ok(self.systemd.property(object, interface, name).await?)
    }

    pub(super) async fn number(
        &self,
        object: &OwnedObjectPath,
        unit: &str,
        name: &str,
    ) -> Result<u64, Trouble> {
        let value = self.property(object, unit, name).await?;
        u64::try_from(value).map_err(|_| Trouble::Refused(format!("{name} of {unit} is no number")))
    }

    pub(super) async fn networks(
        &self,
        object: &OwnedObjectPath,
        unit: &str,
        name: &str,
    ) -> Result<Networks, Trouble> {
        let value = self.property(object, unit, name).await?;
        Networks::try_from(value)
            .map_err(|_| Trouble::Refused(format!("{name} of {unit} is no list of networks")))
    }

    pub(super) async fn text(
        &self,
        object: &OwnedObjectPath,
        interface: &str,
        name: &str,
    ) -> Result<String, Trouble> {
        let value = self.systemd.property(object, interface, name).await?;
        String::try_from(value).map_err(|_| Trouble::Refused(format!("{name} is no text")))
    }

    async fn set(&self, unit: &str, values: Vec<(&str, Variant<'_>)>) -> Result<String, Trouble> {
        self.systemd.set_properties(unit, values).await?;
        Ok(String::new())
    }

    /// Thaws a unit that is frozen, and none of its processes runs an instruction. A unit that died frozen stays so for
    /// systemd, which then neither thaws nor starts it.
    async fn let_die(&self, unit: &str) {
        let thawed = async {
            let object = self.systemd.unit(unit).await?;
            if self.text(&object, UNIT, "FreezerState").await? == "running" {
                return Ok(String::new());
            }
            self.signal(unit, Signal::STOP).await?;
            self.unit_call("ThawUnit", unit).await
        };
        // It dies all the same.
        if let Err(trouble) = thawed.await {
            tracing::debug!(unit, reason = Trouble::text(&trouble), "it was not thawed");
        }
    }

    async fn signal(&self, unit: &str, signal: Signal) -> Result<String, Trouble> {
        let body = (unit, "all", signal.as_raw());
        self.systemd.manager::<_, ()>("KillUnit", &body).await?;
        Ok(String::new())
    }

    async fn unit_call(&self, method: &str, unit: &str) -> Result<String, Trouble> {
        self.systemd.manager::<_, ()>(method, &(unit,)).await?;
        Ok(String::new())
    }

    /// Adds all denials or none.
    async fn deny(&self, denials: &BTreeSet<Denial>) -> Result<String, Trouble> {
        let mut added = Vec::new();
        for denial in denials {
            if let Err(trouble) = self.denial(*denial, true).await {
                for denial in added {
                    // The first reason is the one that matters.
                    let _ = self.denial(denial, false).await;
                }
                return Err(trouble);
            }
            added.push(*denial);
        }
        Ok(String::new())
    }

    async fn denial(&self, denial: Denial, on: bool) -> Result<(), Trouble> {
        let probes = self.probes.as_ref();
        let probes = probes.ok_or_else(|| Trouble::Refused("no probes are loaded".into()))?;
        let done = crate::objects::command(probes, |done| Command::Deny(denial, on, done)).await;
        done.unwrap_or_else(|| Err("the thread that holds the probes has ended".into()))
            .map_err(Trouble::Refused)
    }
}

/// All networks.
pub(super) fn everything() -> Networks {
    vec![(AF_INET, vec![0; 4], 0), (AF_INET6, vec![0; 16], 0)]
}

/// The entries of the policy that an act makes.
#[must_use]
pub fn denials(act: &Act) -> BTreeSet<Denial> {
    match act {
        Act::DenyGroups(groups) => groups.iter().copied().map(Denial::Group).collect(),
        Act::DenyFile { file, groups } => {
            let denial = |cgroup| Denial::File {
                inode: file.inode,
                device_major: file.device_major,
                device_minor: file.device_minor,
                cgroup,
            };
            let everywhere = groups.is_empty().then_some(None);
            let each = groups.iter().copied().map(Some);
            each.chain(everywhere).map(denial).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// A hold on a process that is exactly this one.
///
/// # Errors
/// When it has ended, or can't be held.
pub fn hold(proc: &Proc, identity: Identity) -> Result<OwnedFd, Trouble> {
    let Identity { pid, .. } = identity;
    let gone = || Trouble::Gone(format!("process {pid} has ended"));
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(gone)?;
    let process = pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
        Errno::SRCH => gone(),
        error => Trouble::Refused(format!("process {pid}: {error}")),
    })?;
    // From here on the descriptor means one process; if the start is right as well, it is the right one.
    match proc.identity(pid) {
        Some(now) if now == identity => Ok(process),
        Some(_) => Err(Trouble::Gone(format!(
            "process {pid} has ended, and another one has its number"
        ))),
        None => Err(gone()),
    }
}

fn send(process: &OwnedFd, signal: Signal) -> Result<(), Trouble> {
    pidfd_send_signal(process, signal).map_err(|error| match error {
        Errno::SRCH => Trouble::Gone("the process has ended".into()),
        error => Trouble::Refused(format!("the signal was not sent: {error}")),
    })
}

/// Waits for the end of a process that was killed; says if it doesn't come.
async fn ended(process: OwnedFd) -> String {
    let waiting = tokio::task::spawn_blocking(move || {
        let mut descriptors = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, DYING)
    });
    match waiting.await {
        Ok(Ok(1..)) => String::new(),
        Ok(Ok(_)) => "the kernel has not ended it yet".into(),
        Ok(Err(error)) => format!("whether it has ended is not known: {error}"),
        Err(error) => format!("whether it has ended is not known: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_number_that_another_process_has_by_now_is_not_held() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let proc = Proc::new("/proc");
        let now = proc.identity(child.id()).unwrap();
        let earlier = Identity {
            start: now.start - 1,
            ..now
        };
        let held = hold(&proc, now);
        let reused = hold(&proc, earlier);
        let none = hold(&proc, Identity { pid: 0, start: 1 });
        child.kill().unwrap();
        child.wait().unwrap();
        let ended = hold(&proc, now);
        // What was held stays the process that it was: nobody else is signalled through it.
        let held = held.unwrap();
        assert!(matches!(send(&held, Signal::KILL), Err(Trouble::Gone(_))));
        let words = |trouble: Result<OwnedFd, Trouble>| match trouble {
            Err(Trouble::Gone(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(words(reused).contains("another one has its number"));
        assert!(words(none).contains("has ended") && words(ended).contains("has ended"));
    }
}
