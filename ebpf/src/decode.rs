//! Records to events. A record is untrusted: whatever its bytes, decoding ends in an event or in an error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::action::{Action, ActionEvent, Peer, Target, normalized};
use crate::event::{
    Ancestor, ConnectEvent, Context, Event, ExecEvent, ExitEvent, FileId, ForkEvent, Namespaces,
    OpenEvent, ProcessKey,
};
use crate::layout::{
    self, action_event, ancestor, connect_event, event_header, exec_event, exit_event, fork_event,
    open_event,
};

/// Why a record is not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record ends before its fields or strings do.
    #[error("the record has {have} bytes, its content needs {need}")]
    Short {
        /// Bytes that are there.
        have: usize,
        /// Bytes that are needed.
        need: usize,
    },
    /// The record's kind is unknown.
    #[error("unknown kind of event {0}")]
    Kind(u32),
    /// The action is unknown, or not of the record's class.
    #[error("unknown action {0}")]
    Action(u32),
    /// The address family of a connection is neither IPv4 nor IPv6.
    #[error("unknown address family {0}")]
    Family(u32),
}

/// Decodes one record.
///
/// # Errors
///
/// When the record is too short for what it says it holds, or of an unknown kind.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let record = Record(bytes);
    let kind = record.u32(event_header::KIND)?;
    match kind {
        layout::EVENT_EXEC => Ok(Event::Exec(Box::new(exec(record)?))),
        layout::EVENT_EXIT => exit(record).map(Event::Exit),
        layout::EVENT_FORK => fork(record).map(Event::Fork),
        layout::EVENT_CONNECT => connect(record).map(Event::Connect),
        layout::EVENT_OPEN => open(record).map(Event::Open),
        layout::EVENT_PRIVILEGE
        | layout::EVENT_FILE
        | layout::EVENT_SOCKET
        | layout::EVENT_KERNEL => Ok(Event::Action(Box::new(action(record, kind)?))),
        other => Err(DecodeError::Kind(other)),
    }
}

#[derive(Clone, Copy)]
struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    fn bytes(self, at: usize, len: usize) -> Result<&'a [u8], DecodeError> {
        let need = at.saturating_add(len);
        let have = self.0.len();
        self.0
            .get(at..need)
            .ok_or(DecodeError::Short { have, need })
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(at, N)?);
        Ok(array)
    }

    fn u32(self, at: usize) -> Result<u32, DecodeError> {
        self.array(at).map(u32::from_ne_bytes)
    }

    fn u64(self, at: usize) -> Result<u64, DecodeError> {
        self.array(at).map(u64::from_ne_bytes)
    }

    fn comm(self, at: usize) -> Result<Vec<u8>, DecodeError> {
        Ok(until_zero(self.bytes(at, 16)?).to_vec())
    }

    fn context(self) -> Result<Context, DecodeError> {
        Ok(Context {
            time: self.u64(event_header::TIME_NS)?,
            process: ProcessKey {
                pid: self.u32(event_header::PID)?,
                start_time: self.u64(event_header::START_NS)?,
            },
            tid: self.u32(event_header::TID)?,
            parent: ProcessKey {
                pid: self.u32(event_header::PPID)?,
                start_time: self.u64(event_header::PARENT_START_NS)?,
            },
            uid: self.u32(event_header::UID)?,
            gid: self.u32(event_header::GID)?,
            euid: self.u32(event_header::EUID)?,
            egid: self.u32(event_header::EGID)?,
            cgroup_id: self.u64(event_header::CGROUP_ID)?,
            comm: self.comm(event_header::COMM)?,
        })
    }

    /// The fields INODE, DEVICE, MODE and OWNER, wherever the struct has them.
    fn file(
        self,
        inode: usize,
        device: usize,
        mode: usize,
        owner: usize,
    ) -> Result<FileId, DecodeError> {
        let device = self.u32(device)?;
        Ok(FileId {
            inode: self.u64(inode)?,
            device_major: device >> 20,
            device_minor: device & 0xf_ffff,
            mode: self.u32(mode)?,
            owner: self.u32(owner)?,
        })
    }
}

/// Takes consecutive strings from the end of a record.
struct Strings<'a> {
    record: Record<'a>,
    at: usize,
}

impl Strings<'_> {
    fn take(&mut self, len_field: usize) -> Result<Vec<u8>, DecodeError> {
        let len = self.record.u32(len_field)? as usize;
        let bytes = self.record.bytes(self.at, len)?.to_vec();
        self.at += len;
        Ok(bytes)
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn exec(record: Record<'_>) -> Result<ExecEvent, DecodeError> {
    let flags = record.u32(event_header::FLAGS)?;
    let has = |flag| flags & flag != 0;
    let set = |value: u32| (value != u32::MAX).then_some(value);
    let mut strings = Strings {
        record,
        at: exec_event::SIZE,
    };
    let count = record
        .u32(exec_event::ANCESTORS_LEN)?
        .min(layout::EXEC_ANCESTORS) as usize;
    let ancestors = (0..count).map(|index| {
        let at = exec_event::ANCESTORS + index * ancestor::SIZE;
        Ok(Ancestor {
            process: ProcessKey {
                pid: record.u32(at + ancestor::PID)?,
                start_time: record.u64(at + ancestor::START_NS)?,
            },
            comm: record.comm(at + ancestor::COMM)?,
        })
    });
    Ok(ExecEvent {
        context: record.context()?,
        filename: strings.take(exec_event::FILENAME_LEN)?,
        executable: strings.take(exec_event::EXECUTABLE_LEN)?,
        directory: strings.take(exec_event::DIRECTORY_LEN)?,
        terminal: strings.take(exec_event::TERMINAL_LEN)?,
        argv: strings.take(exec_event::ARGV_LEN)?,
        argv_bytes: record.u64(exec_event::ARGV_BYTES)?,
        argc: record.u32(exec_event::ARGC)?,
        argv_truncated: has(layout::FLAG_ARGV_TRUNCATED),
        argv_unreadable: has(layout::FLAG_ARGV_UNREADABLE),
        filename_truncated: has(layout::FLAG_FILENAME_TRUNCATED),
        executable_truncated: has(layout::FLAG_PATH_TRUNCATED),
        directory_truncated: has(layout::FLAG_CWD_TRUNCATED),
        file: record.file(
            exec_event::INODE,
            exec_event::DEVICE,
            exec_event::MODE,
            exec_event::OWNER,
        )?,
        deleted: has(layout::FLAG_EXE_DELETED),
        memfd: has(layout::FLAG_EXE_MEMFD),
        cap_effective: record.u64(exec_event::CAP_EFFECTIVE)?,
        cap_permitted: record.u64(exec_event::CAP_PERMITTED)?,
        login_uid: set(record.u32(exec_event::LOGIN_UID)?),
        session: set(record.u32(exec_event::SESSION_ID)?),
        namespaces: Namespaces {
            mount: record.u32(exec_event::NS_MOUNT)?,
            pid: record.u32(exec_event::NS_PID)?,
            net: record.u32(exec_event::NS_NET)?,
            user: record.u32(exec_event::NS_USER)?,
        },
        ancestors: ancestors.collect::<Result<_, _>>()?,
    })
}

fn exit(record: Record<'_>) -> Result<ExitEvent, DecodeError> {
    let status = record.u32(exit_event::CODE)?;
    let [low, high, ..] = status.to_le_bytes();
    let signal = low & 0x7f;
    Ok(ExitEvent {
        context: record.context()?,
        code: high,
        signal: (signal != 0).then_some(signal),
        core_dumped: record.u32(event_header::FLAGS)? & layout::FLAG_CORE_DUMPED != 0,
    })
}

fn fork(record: Record<'_>) -> Result<ForkEvent, DecodeError> {
    Ok(ForkEvent {
        context: record.context()?,
        child: ProcessKey {
            pid: record.u32(fork_event::CHILD_PID)?,
            start_time: record.u64(fork_event::CHILD_START_NS)?,
        },
        child_parent: record.u32(fork_event::CHILD_PPID)?,
        new_namespaces: record.u32(event_header::FLAGS)? & layout::FLAG_NEW_NAMESPACES != 0,
    })
}

fn address(family: u32, bytes: [u8; 16]) -> Result<IpAddr, DecodeError> {
    match family {
        libc_family::INET => {
            let [a, b, c, d, ..] = bytes;
            Ok(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        libc_family::INET6 => Ok(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()),
        other => Err(DecodeError::Family(other)),
    }
}

fn low(value: u32) -> u16 {
    (value & 0xffff) as u16
}

fn connect(record: Record<'_>) -> Result<ConnectEvent, DecodeError> {
    Ok(ConnectEvent {
        context: record.context()?,
        address: address(
            record.u32(connect_event::FAMILY)?,
            record.array(connect_event::ADDRESS)?,
        )?,
        port: low(record.u32(connect_event::PORT)?),
        protocol: low(record.u32(connect_event::PROTOCOL)?),
    })
}

/// `AF_*`, the same on every architecture.
mod libc_family {
    pub(super) const INET: u32 = 2;
    pub(super) const INET6: u32 = 10;
}

fn open(record: Record<'_>) -> Result<OpenEvent, DecodeError> {
    let access = record.u32(open_event::ACCESS)?;
    let mut strings = Strings {
        record,
        at: open_event::SIZE,
    };
    Ok(OpenEvent {
        context: record.context()?,
        path: strings.take(open_event::PATH_LEN)?,
        path_truncated: record.u32(event_header::FLAGS)? & layout::FLAG_PATH_TRUNCATED != 0,
        file: record.file(
            open_event::INODE,
            open_event::DEVICE,
            open_event::MODE,
            open_event::OWNER,
        )?,
        flags: record.u32(open_event::OPEN_FLAGS)?,
        read: access & layout::ACCESS_READ != 0,
        write: access & layout::ACCESS_WRITE != 0,
        created: access & layout::ACCESS_CREATED != 0,
    })
}

/// `AT_REMOVEDIR`, which makes unlinkat() remove a directory.
const REMOVE_DIRECTORY: u64 = 0x200;

fn action(record: Record<'_>, kind: u32) -> Result<ActionEvent, DecodeError> {
    let number = record.u32(action_event::ACTION)?;
    let mut action = Action::from_number(number)
        .filter(|action| action.class().index() == kind)
        .ok_or(DecodeError::Action(number))?;
    let flags = record.u32(event_header::FLAGS)?;
    let callers_strings = flags & layout::FLAG_CALLERS_STRINGS != 0;
    let argument = |index: usize| record.u64(action_event::ARGUMENTS + 8 * index);
    let arguments = [argument(0)?, argument(1)?, argument(2)?, argument(3)?];
    if callers_strings && action == Action::Unlink && arguments[0] & REMOVE_DIRECTORY != 0 {
        action = Action::RmDir;
    }
    let mut strings = Strings {
        record,
        at: action_event::SIZE,
    };
    let mut take = |len_field| {
        let text = strings.take(len_field)?;
        Ok::<_, DecodeError>(if callers_strings {
            normalized(text)
        } else {
            text
        })
    };
    let path = take(action_event::FIRST_LEN)?;
    let other = take(action_event::SECOND_LEN)?;
    let file = record.file(
        action_event::INODE,
        action_event::DEVICE,
        action_event::MODE,
        action_event::OWNER,
    )?;
    let label = record.comm(action_event::LABEL)?;
    let target = ProcessKey {
        pid: record.u32(action_event::TARGET_PID)?,
        start_time: record.u64(action_event::TARGET_START_NS)?,
    };
    let peer = match record.u32(action_event::FAMILY)? {
        0 => None,
        family => Some(Peer {
            address: address(family, record.array(action_event::ADDRESS)?)?,
            port: low(record.u32(action_event::PORT)?),
            protocol: low(record.u32(action_event::PROTOCOL)?),
        }),
    };
    Ok(ActionEvent {
        context: record.context()?,
        action,
        arguments,
        path,
        path_truncated: flags & layout::FLAG_PATH_TRUNCATED != 0,
        other,
        other_truncated: flags & layout::FLAG_OTHER_TRUNCATED != 0,
        file: (file.inode != 0).then_some(file),
        target: (target.pid != 0).then(|| Target {
            process: target,
            comm: label.clone(),
        }),
        label,
        peer,
        callers_strings,
    })
}
