//! Which programs can see an action, the best first: a tracepoint with the kernel's own objects; the security check
//! of the action, as a security module or at the entry of the function that asks the modules; the call's function;
//! the end of every system call.

use aya::{Btf, Ebpf};

use crate::action::Action;
use crate::attach::{self, Point};
use crate::calls::Duty;
use crate::coverage::{Coverage, State};
use crate::error::Error;
use crate::event::Class;
use crate::hooks::{Hooked, SYSCALL_EXIT};

/// A security check, with a program for each way to hook it.
struct Check {
    lsm: (&'static str, Point),
    function: (&'static str, Point),
    /// Without it, the action is not seen whole; else it is there on some kernels only, which need it.
    needed: bool,
}

macro_rules! check {
    ($name:literal, $check:literal) => {
        check!($name, $check, true)
    };
    ($name:literal, $check:literal, $needed:literal) => {
        Check {
            lsm: (concat!($name, "_lsm"), Point::Lsm($check)),
            function: (
                concat!($name, "_function"),
                Point::Function(concat!("security_", $check)),
            ),
            needed: $needed,
        }
    };
}

/// A native call's function, with its program.
macro_rules! call {
    ($name:literal) => {{
        #[cfg(target_arch = "aarch64")]
        {
            (
                concat!($name, "_call"),
                Point::Return(concat!("__arm64_sys_", $name)),
            )
        }
        #[cfg(not(target_arch = "aarch64"))]
        {
            (
                concat!($name, "_call"),
                Point::Return(concat!("__x64_sys_", $name)),
            )
        }
    }};
}

struct Plan {
    action: Action,
    tracepoint: Option<(&'static str, &'static str)>,
    checks: &'static [Check],
    calls: &'static [(&'static str, Point)],
}

const fn by_check(action: Action, checks: &'static [Check]) -> Plan {
    Plan {
        action,
        tracepoint: None,
        checks,
        calls: &[],
    }
}

const fn by_call(action: Action, calls: &'static [(&'static str, Point)]) -> Plan {
    Plan {
        action,
        tracepoint: None,
        checks: &[],
        calls,
    }
}

const fn by_tracepoint(action: Action, program: &'static str, point: &'static str) -> Plan {
    Plan {
        action,
        tracepoint: Some((program, point)),
        checks: &[],
        calls: &[],
    }
}

#[rustfmt::skip]
const PLANS: &[Plan] = &[
    by_check(Action::SetUid, &[check!("setuid", "task_fix_setuid")]),
    by_check(Action::SetGid, &[check!("setgid", "task_fix_setgid")]),
    by_check(Action::CapSet, &[check!("capset", "capset")]),
    by_check(Action::Ptrace, &[check!("ptrace", "ptrace_access_check")]),
    by_check(Action::TraceMe, &[check!("traceme", "ptrace_traceme")]),
    by_tracepoint(Action::Kill, "kill_signal", "signal_generate"),
    by_check(Action::Unlink, &[check!("unlink", "path_unlink")]),
    by_check(Action::RmDir, &[check!("rmdir", "path_rmdir")]),
    by_check(Action::MkDir, &[check!("mkdir", "path_mkdir")]),
    by_check(Action::MkNod, &[check!("mknod", "path_mknod")]),
    by_check(Action::Rename, &[check!("rename", "path_rename")]),
    by_check(Action::Link, &[check!("link", "path_link")]),
    by_check(Action::Symlink, &[check!("symlink", "path_symlink")]),
    by_check(Action::Chmod, &[check!("chmod", "path_chmod")]),
    by_check(Action::Chown, &[check!("chown", "path_chown")]),
    by_check(Action::Truncate, &[check!("truncate", "path_truncate"), check!("ftruncate", "file_truncate", false)]),
    by_check(Action::Bind, &[check!("bind", "socket_bind")]),
    by_check(Action::Listen, &[check!("listen", "socket_listen")]),
    by_check(Action::Accept, &[check!("accept", "sock_graft")]),
    by_check(Action::Send, &[check!("send", "socket_sendmsg")]),
    by_check(Action::RawSocket, &[check!("raw_socket", "socket_create")]),
    by_call(Action::Dup, &[call!("dup"), call!("dup2"), call!("dup3"), call!("fcntl")]),
    by_tracepoint(Action::Module, "module_loaded", "module_load"),
    by_check(Action::Bpf, &[check!("bpf", "bpf")]),
    by_check(Action::Mount, &[check!("mount", "sb_mount"), check!("move_mount", "move_mount", false)]),
    by_check(Action::Umount, &[check!("umount", "sb_umount")]),
    by_call(Action::Unshare, &[call!("unshare")]),
    by_call(Action::SetNs, &[call!("setns")]),
    by_check(Action::PivotRoot, &[check!("pivot_root", "sb_pivotroot")]),
    by_call(Action::UserFaultFd, &[call!("userfaultfd")]),
    by_call(Action::MemFd, &[call!("memfd_create")]),
    by_check(Action::Mprotect, &[check!("mprotect", "file_mprotect")]),
    by_check(Action::Syslog, &[check!("syslog", "syslog")]),
    by_call(Action::SysInfo, &[call!("sysinfo")]),
    by_call(Action::Personality, &[call!("personality")]),
];

/// What works on this kernel at all, found out once; each with the reason why not.
pub(crate) struct Works {
    /// Security hooks fire.
    pub(crate) lsm: Result<(), String>,
    /// Functions of the kernel can be hooked.
    pub(crate) functions: Result<(), String>,
}

impl Works {
    /// Whether a hook of this kind works, as far as was found out.
    pub(crate) fn may(&self, point: Point) -> bool {
        match point {
            Point::Lsm(_) => self.lsm.is_ok(),
            Point::Function(_) | Point::Return(_) => self.functions.is_ok(),
            Point::Tracepoint(_) => true,
        }
    }
}

/// The programs that will probably cover an action, where [`cover`] finds what is to be expected.
pub(crate) fn likely(action: Action, works: &Works) -> Vec<(&'static str, Point)> {
    let Some(plan) = PLANS.iter().find(|plan| plan.action == action) else {
        return Vec::new();
    };
    if let Some((program, point)) = plan.tracepoint {
        return vec![(program, Point::Tracepoint(point))];
    }
    let by_lsm = plan.checks.iter().map(|check| check.lsm);
    let by_function = plan.checks.iter().map(|check| check.function);
    let ways: [Vec<_>; 3] = [by_lsm.collect(), by_function.collect(), plan.calls.to_vec()];
    let may = |way: &Vec<(_, Point)>| way.first().is_some_and(|(_, point)| works.may(*point));
    ways.into_iter()
        .find(may)
        .unwrap_or_else(|| vec![SYSCALL_EXIT])
}

/// Attaches the best hook of `action` that works.
pub(crate) fn cover(
    ebpf: &mut Ebpf,
    btf: &Btf,
    action: Action,
    works: &Works,
    hooked: &mut Hooked,
) -> Result<Coverage, Error> {
    let mut reasons = Vec::new();
    let row = |hook: String, state: State, reasons: &[String]| Coverage {
        class: action.class(),
        action: Some(action),
        hook,
        state,
        reason: reasons.join("; "),
    };
    let Some(plan) = PLANS.iter().find(|plan| plan.action == action) else {
        return Ok(row(String::new(), State::Unavailable, &reasons));
    };
    let mut all = |ways: &[(&'static str, Point, bool)], hooked: &mut Hooked| {
        try_all(ebpf, btf, ways, hooked)
    };

    if let Some((program, point)) = plan.tracepoint {
        match all(&[(program, Point::Tracepoint(point), true)], hooked) {
            Ok(hook) => return Ok(row(hook, State::Active, &reasons)),
            Err(reason) => reasons.push(reason),
        }
    }
    for (works, pick) in [(&works.lsm, true), (&works.functions, false)] {
        if plan.checks.is_empty() {
            break;
        }
        let ways: Vec<_> = plan
            .checks
            .iter()
            .map(|check| {
                let (program, point) = if pick { check.lsm } else { check.function };
                (program, point, check.needed)
            })
            .collect();
        match works.clone().and_then(|()| all(&ways, hooked)) {
            Ok(hook) => return Ok(row(hook, State::Active, &reasons)),
            Err(reason) => reasons.push(reason),
        }
    }
    if !plan.calls.is_empty() {
        let ways: Vec<_> = plan
            .calls
            .iter()
            .map(|(program, point)| (*program, *point, true))
            .collect();
        match works.functions.clone().and_then(|()| all(&ways, hooked)) {
            Ok(hook) => {
                hooked.add_duty(ebpf, Duty::Action(action), true)?;
                reasons.insert(0, "not seen: 32-bit calls".to_owned());
                return Ok(row(hook, State::Partial, &reasons));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    if action == Action::Kill {
        return Ok(row(String::new(), State::Unavailable, &reasons));
    }
    let (program, point) = SYSCALL_EXIT;
    match all(&[(program, point, true)], hooked) {
        Ok(hook) => {
            hooked.add_duty(ebpf, Duty::Action(action), false)?;
            let misses = misses(action);
            if misses.is_empty() {
                return Ok(row(hook, State::Active, &reasons));
            }
            reasons.insert(0, format!("not seen: {misses}"));
            Ok(row(hook, State::Partial, &reasons))
        }
        Err(reason) => {
            reasons.push(reason);
            Ok(row(String::new(), State::Unavailable, &reasons))
        }
    }
}

/// Takes the hooks of an action away; others keep theirs.
pub(crate) fn uncover(ebpf: &mut Ebpf, action: Action, hooked: &mut Hooked) -> Result<(), Error> {
    hooked.remove_duty(ebpf, Duty::Action(action))?;
    let Some(plan) = PLANS.iter().find(|plan| plan.action == action) else {
        return Ok(());
    };
    let checks = plan
        .checks
        .iter()
        .flat_map(|check| [check.lsm.0, check.function.0]);
    let calls = plan.calls.iter().map(|(program, _)| *program);
    let tracepoint = plan.tracepoint.map(|(program, _)| program);
    for program in checks.chain(calls).chain(tracepoint) {
        if hooked.programs.contains(&program) {
            hooked.detach(ebpf, program);
        }
    }
    Ok(())
}

/// What the end of system calls does not show.
fn misses(action: Action) -> &'static str {
    match action {
        Action::Truncate => "truncate() by path",
        Action::Ptrace => "process_vm_writev(), /proc/PID/mem and the like",
        Action::SetUid | Action::SetGid | Action::CapSet => "what it was before",
        Action::Send => "io_uring, 32-bit sendmsg(), all but the first message of sendmmsg()",
        Action::Mount => "io_uring, where a mount that is moved came from",
        _ => match action.class() {
            Class::File => "io_uring; paths are the caller's strings",
            Class::Socket => "io_uring, 32-bit socketcall()",
            _ => "",
        },
    }
}

/// Attaches all programs that are needed and those of the others that this kernel has; or none.
fn try_all(
    ebpf: &mut Ebpf,
    btf: &Btf,
    ways: &[(&'static str, Point, bool)],
    hooked: &mut Hooked,
) -> Result<String, String> {
    let mut labels = Vec::new();
    let mut fresh = Vec::new();
    for (program, point, needed) in ways {
        let there = hooked.programs.contains(program);
        match hooked.attach(ebpf, btf, program, *point) {
            Ok(()) => {
                labels.push(point.label());
                if !there {
                    fresh.push(*program);
                }
            }
            Err(_) if !needed => {}
            Err(error) => {
                for program in fresh {
                    hooked.detach(ebpf, program);
                }
                return Err(format!("{}: {}", point.label(), attach::reason(&error)));
            }
        }
    }
    Ok(labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_plan() {
        let planned: Vec<_> = PLANS.iter().map(|plan| plan.action).collect();
        let looked_for: Vec<_> = Action::ALL
            .iter()
            .filter(|action| **action != Action::Denied)
            .copied()
            .collect();
        assert_eq!(planned, looked_for);
    }
}
