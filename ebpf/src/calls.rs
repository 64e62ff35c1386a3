//! Which system calls do what, and where their arguments are: the table for the probe at the end of system calls.

use std::collections::BTreeMap;

use aya::Pod;
use nix::libc;

use crate::action::Action;
use crate::layout::{
    self, CALL_ABSENT, CALL_CONNECT, CALL_FILE, CALL_LOCAL, CALL_OPEN, CALL_OWN, CALL_PATHS,
    CALL_PEER, CALL_PLAIN, CALL_SEND, CALL_SENDMSG, CALL_STDIO,
};

/// `struct call` of the probes.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    kind: u8,
    action: u8,
    first_directory: u8,
    first: u8,
    second_directory: u8,
    second: u8,
    argument: u8,
    argument2: u8,
}

/// `struct calls` of the probes.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Calls {
    pub(crate) native: Call,
    pub(crate) compat: Call,
}

const _: () = assert!(size_of::<Calls>() == layout::calls::SIZE);

#[allow(unsafe_code)]
// SAFETY: `repr(C)` and made of `u8` only: every byte pattern is a value, and nothing is padding.
unsafe impl Pod for Calls {}

impl Call {
    /// With the mark that a program of its own looks at it.
    pub(crate) fn own(self) -> Self {
        Self {
            kind: self.kind | CALL_OWN as u8,
            ..self
        }
    }
}

/// What a row is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Duty {
    /// Opens of watched files.
    Open,
    /// Connections without a state machine.
    Connect,
    /// One of the actions.
    Action(Action),
}

/// One system call.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) duty: Duty,
    /// Its number for programs of this machine's size; none where it has no such call.
    pub(crate) native: Option<libc::c_long>,
    /// Its numbers for 32-bit programs (i386; elsewhere they are not looked at).
    pub(crate) compat: &'static [u32],
    pub(crate) call: Call,
}

/// No such argument.
const X: u8 = CALL_ABSENT as u8;

const fn row(
    duty: Duty,
    kind: u32,
    native: Option<libc::c_long>,
    compat: &'static [u32],
    places: [u8; 6],
) -> Row {
    let action = match duty {
        Duty::Action(action) => action.number() as u8,
        _ => 0,
    };
    let [
        first_directory,
        first,
        second_directory,
        second,
        argument,
        argument2,
    ] = places;
    Row {
        duty,
        native,
        compat,
        call: Call {
            kind: kind as u8,
            action,
            first_directory,
            first,
            second_directory,
            second,
            argument,
            argument2,
        },
    }
}

const fn path(
    action: Action,
    native: Option<libc::c_long>,
    compat: &'static [u32],
    places: [u8; 6],
) -> Row {
    row(Duty::Action(action), CALL_PATHS, native, compat, places)
}

/// The calls that only older architectures have.
macro_rules! old {
    ($name:ident) => {{
        #[cfg(target_arch = "x86_64")]
        {
            Some(libc::$name)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            None
        }
    }};
}

const NONE: [u8; 6] = [X; 6];

/// Every call that is looked at.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row(Duty::Open, CALL_OPEN, old!(SYS_open), &[5], NONE),
    row(Duty::Open, CALL_OPEN, old!(SYS_creat), &[8], NONE),
    row(Duty::Open, CALL_OPEN, Some(libc::SYS_openat), &[295], NONE),
    row(Duty::Open, CALL_OPEN, Some(libc::SYS_openat2), &[437], NONE),
    row(Duty::Open, CALL_OPEN, Some(libc::SYS_open_by_handle_at), &[342], NONE),
    // The older socketcall() is not followed.
    row(Duty::Connect, CALL_CONNECT, Some(libc::SYS_connect), &[362], NONE),

    path(Action::Unlink, old!(SYS_unlink), &[10], [X, 0, X, X, X, X]),
    path(Action::Unlink, Some(libc::SYS_unlinkat), &[301], [0, 1, X, X, 2, X]),
    path(Action::RmDir, old!(SYS_rmdir), &[40], [X, 0, X, X, X, X]),
    path(Action::MkDir, old!(SYS_mkdir), &[39], [X, 0, X, X, 1, X]),
    path(Action::MkDir, Some(libc::SYS_mkdirat), &[296], [0, 1, X, X, 2, X]),
    path(Action::MkNod, old!(SYS_mknod), &[14], [X, 0, X, X, 1, 2]),
    path(Action::MkNod, Some(libc::SYS_mknodat), &[297], [0, 1, X, X, 2, 3]),
    path(Action::Rename, old!(SYS_rename), &[38], [X, 0, X, 1, X, X]),
    path(Action::Rename, Some(libc::SYS_renameat), &[302], [0, 1, 2, 3, X, X]),
    path(Action::Rename, Some(libc::SYS_renameat2), &[353], [0, 1, 2, 3, X, X]),
    path(Action::Link, old!(SYS_link), &[9], [X, 0, X, 1, X, X]),
    path(Action::Link, Some(libc::SYS_linkat), &[303], [0, 1, 2, 3, X, X]),
    path(Action::Symlink, old!(SYS_symlink), &[83], [X, 1, X, 0, X, X]),
    path(Action::Symlink, Some(libc::SYS_symlinkat), &[304], [1, 2, X, 0, X, X]),
    path(Action::Chmod, old!(SYS_chmod), &[15], [X, 0, X, X, 1, X]),
    path(Action::Chmod, Some(libc::SYS_fchmodat), &[306], [0, 1, X, X, 2, X]),
    path(Action::Chmod, Some(452), &[452], [0, 1, X, X, 2, X]),
    path(Action::Chown, old!(SYS_chown), &[182, 212], [X, 0, X, X, 1, 2]),
    path(Action::Chown, old!(SYS_lchown), &[16, 198], [X, 0, X, X, 1, 2]),
    path(Action::Chown, Some(libc::SYS_fchownat), &[298], [0, 1, X, X, 2, 3]),
    row(Duty::Action(Action::Chmod), CALL_FILE, Some(libc::SYS_fchmod), &[94], [X, 0, X, X, 1, X]),
    row(Duty::Action(Action::Chown), CALL_FILE, Some(libc::SYS_fchown), &[95, 207], [X, 0, X, X, 1, 2]),
    row(Duty::Action(Action::Truncate), CALL_FILE, Some(libc::SYS_ftruncate), &[93, 194], [X, 0, X, X, X, X]),

    row(Duty::Action(Action::Bind), CALL_LOCAL, Some(libc::SYS_bind), &[361], NONE),
    row(Duty::Action(Action::Listen), CALL_LOCAL, Some(libc::SYS_listen), &[363], [X, X, X, X, 1, X]),
    row(Duty::Action(Action::Accept), CALL_PEER, Some(libc::SYS_accept), &[], NONE),
    row(Duty::Action(Action::Accept), CALL_PEER, Some(libc::SYS_accept4), &[364], NONE),
    row(Duty::Action(Action::Send), CALL_SEND, Some(libc::SYS_sendto), &[369], NONE),
    row(Duty::Action(Action::Send), CALL_SENDMSG, Some(libc::SYS_sendmsg), &[], NONE),
    row(Duty::Action(Action::Send), CALL_SENDMSG, Some(libc::SYS_sendmmsg), &[], NONE),
    plain(Action::RawSocket, Some(libc::SYS_socket), &[359], NONE),
    row(Duty::Action(Action::Dup), CALL_STDIO, Some(libc::SYS_dup), &[41], NONE),
    row(Duty::Action(Action::Dup), CALL_STDIO, old!(SYS_dup2), &[63], NONE),
    row(Duty::Action(Action::Dup), CALL_STDIO, Some(libc::SYS_dup3), &[330], NONE),
    // An argument tells that this is fcntl(), which does more than that.
    row(Duty::Action(Action::Dup), CALL_STDIO, Some(libc::SYS_fcntl), &[55, 221], [X, X, X, X, 1, X]),

    plain(Action::Module, Some(libc::SYS_init_module), &[128], NONE),
    plain(Action::Module, Some(libc::SYS_finit_module), &[350], NONE),
    plain(Action::Bpf, Some(libc::SYS_bpf), &[357], NONE),
    path(Action::Mount, Some(libc::SYS_mount), &[21], [X, 1, X, 0, 3, X]),
    path(Action::Mount, Some(libc::SYS_move_mount), &[429], [2, 3, X, 1, 4, X]),
    path(Action::Umount, Some(libc::SYS_umount2), &[52], [X, 0, X, X, 1, X]),
    plain(Action::Unshare, Some(libc::SYS_unshare), &[310], [X, X, X, X, 0, X]),
    plain(Action::SetNs, Some(libc::SYS_setns), &[346], [X, X, X, X, 0, 1]),
    path(Action::PivotRoot, Some(libc::SYS_pivot_root), &[217], [X, 0, X, 1, X, X]),
    plain(Action::UserFaultFd, Some(libc::SYS_userfaultfd), &[374], [X, X, X, X, 0, X]),
    plain(Action::MemFd, Some(libc::SYS_memfd_create), &[356], [X, 0, X, X, 1, X]),
    plain(Action::Mprotect, Some(libc::SYS_mprotect), &[125], [X, X, X, X, 2, X]),
    plain(Action::Mprotect, Some(libc::SYS_pkey_mprotect), &[380], [X, X, X, X, 2, X]),
    plain(Action::Syslog, Some(libc::SYS_syslog), &[103], NONE),
    plain(Action::SysInfo, Some(libc::SYS_sysinfo), &[116], NONE),
    plain(Action::Personality, Some(libc::SYS_personality), &[136], [X, X, X, X, 0, X]),

    plain(Action::SetUid, Some(libc::SYS_setuid), &[23, 213], NONE),
    plain(Action::SetUid, Some(libc::SYS_setreuid), &[70, 203], NONE),
    plain(Action::SetUid, Some(libc::SYS_setresuid), &[164, 208], NONE),
    plain(Action::SetGid, Some(libc::SYS_setgid), &[46, 214], NONE),
    plain(Action::SetGid, Some(libc::SYS_setregid), &[71, 204], NONE),
    plain(Action::SetGid, Some(libc::SYS_setresgid), &[170, 210], NONE),
    plain(Action::CapSet, Some(libc::SYS_capset), &[185], NONE),
    // Whether it is TRACEME is in its first argument.
    plain(Action::Ptrace, Some(libc::SYS_ptrace), &[26], [X, X, X, X, 0, X]),
];

const fn plain(
    action: Action,
    native: Option<libc::c_long>,
    compat: &'static [u32],
    places: [u8; 6],
) -> Row {
    row(Duty::Action(action), CALL_PLAIN, native, compat, places)
}

/// The table for what is to be seen: the calls by number, with those that nobody looks at any more emptied.
pub(crate) fn table(duties: &BTreeMap<Duty, bool>) -> BTreeMap<u32, Calls> {
    let mut table: BTreeMap<u32, Calls> = BTreeMap::new();
    for row in ROWS {
        let own = duties.iter().find_map(|(duty, own)| {
            rows(*duty)
                .any(|other| std::ptr::eq(other, row))
                .then_some(*own)
        });
        let call = match own {
            Some(true) => row.call.own(),
            Some(false) => row.call,
            None => Call::default(),
        };
        if let Some(number) = row.native.and_then(|number| u32::try_from(number).ok()) {
            table.entry(number).or_default().native = call;
        }
        // Programs of a call's own do not see 32-bit calls.
        if cfg!(target_arch = "x86_64") && own != Some(true) {
            for number in row.compat {
                table.entry(*number).or_default().compat = call;
            }
        }
    }
    table
}

/// The rows of a duty. TRACEME is one of ptrace()'s requests.
pub(crate) fn rows(duty: Duty) -> impl Iterator<Item = &'static Row> {
    let duty = match duty {
        Duty::Action(Action::TraceMe) => Duty::Action(Action::Ptrace),
        other => other,
    };
    ROWS.iter().filter(move |row| row.duty == duty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_number_stands_for_one_call() {
        let native: Vec<_> = ROWS.iter().filter_map(|row| row.native).collect();
        let compat: Vec<_> = ROWS.iter().flat_map(|row| row.compat).collect();
        assert_eq!(native.iter().collect::<BTreeSet<_>>().len(), native.len());
        assert_eq!(compat.iter().collect::<BTreeSet<_>>().len(), compat.len());
        let limit = layout::CALLS;
        assert!(native.iter().all(|number| *number < limit.into()));
        assert!(compat.iter().all(|number| **number < limit));
    }

    #[test]
    fn every_action_but_signals_has_a_call() {
        for action in Action::ALL {
            let some = rows(Duty::Action(*action)).next().is_some();
            let by_call = !matches!(action, Action::Kill | Action::Denied);
            assert_eq!(some, by_call, "{action}");
        }
    }
}
