//! Which programs can see a class, the best first, and the trial that shows whether one really fires: a program
//! attaches to a security hook without complaint where BPF is not among the active security
//! modules, and then never runs.

use std::fs::File;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use aya::{Btf, Ebpf};

use crate::attach::{self, Point};
use crate::coverage::{Coverage, State};
use crate::error::Error;
use crate::event::Class;
use crate::layout::{SYSCALL_CONNECTS, SYSCALL_OPENS};
use crate::maps;

/// A program that can see a class.
struct Hook {
    class: Class,
    program: &'static str,
    point: Point,
    /// A second program that sees the rest, with its duty in the configuration map.
    rest: Option<u32>,
    /// What it does not see.
    misses: &'static str,
}

impl Hook {
    const fn new(class: Class, program: &'static str, point: Point) -> Self {
        Self {
            class,
            program,
            point,
            rest: None,
            misses: "",
        }
    }
}

const SYSCALL_EXIT: (&str, Point) = ("syscall_exit", Point::Tracepoint("sys_exit"));

/// For each class its hooks, the best first.
const HOOKS: [Hook; 9] = [
    Hook::new(
        Class::Exec,
        "process_exec",
        Point::Tracepoint("sched_process_exec"),
    ),
    Hook::new(
        Class::Exit,
        "process_exit",
        Point::Tracepoint("sched_process_exit"),
    ),
    Hook::new(
        Class::Fork,
        "process_fork",
        Point::Tracepoint("sched_process_fork"),
    ),
    Hook::new(Class::Connect, "connect_lsm", Point::Lsm("socket_connect")),
    Hook::new(
        Class::Connect,
        "connect_function",
        Point::Function("security_socket_connect"),
    ),
    Hook {
        rest: Some(SYSCALL_CONNECTS),
        misses: "UDP through io_uring",
        ..Hook::new(
            Class::Connect,
            "connect_state",
            Point::Tracepoint("inet_sock_set_state"),
        )
    },
    Hook::new(Class::Open, "open_lsm", Point::Lsm("file_open")),
    Hook::new(
        Class::Open,
        "open_function",
        Point::Function("security_file_open"),
    ),
    Hook {
        rest: Some(SYSCALL_OPENS),
        misses: "opens through io_uring, and files whose descriptor another thread replaces at once",
        ..Hook::new(Class::Open, SYSCALL_EXIT.0, SYSCALL_EXIT.1)
    },
];

/// Attaches the first hook of `class` that works, and adds its programs to `attached`.
pub(crate) fn cover(
    ebpf: &mut Ebpf,
    btf: &Btf,
    class: Class,
    attached: &mut Vec<&'static str>,
) -> Result<Coverage, Error> {
    let mut reasons = Vec::new();
    for hook in HOOKS.iter().filter(|hook| hook.class == class) {
        let label = hook.point.label();
        if let Err(error) = attach_once(ebpf, btf, hook.program, hook.point, attached) {
            reasons.push(format!("{label}: {}", attach::reason(&error)));
            continue;
        }
        let mut state = match trial(ebpf, hook)? {
            Trial::Fired => State::Active,
            Trial::NotTried(why) => {
                reasons.push(format!("not tried: {why}"));
                State::Attached
            }
            Trial::Silent => {
                reasons.push(format!("{label}: attached, but it does not fire"));
                attach::detach(ebpf, hook.program);
                attached.retain(|program| *program != hook.program);
                continue;
            }
        };
        let mut hooks = label;
        if let Some(duty) = hook.rest {
            state = State::Partial;
            reasons.insert(0, format!("not seen: {}", hook.misses));
            let (program, point) = SYSCALL_EXIT;
            match attach_once(ebpf, btf, program, point, attached) {
                Ok(()) => {
                    maps::add_syscalls(ebpf, duty)?;
                    if program != hook.program {
                        hooks = format!("{hooks}, {}", point.label());
                    }
                }
                Err(error) => {
                    let why = attach::reason(&error);
                    reasons.insert(0, format!("TCP only: {}: {why}", point.label()));
                }
            }
        }
        return Ok(Coverage {
            class,
            hook: hooks,
            state,
            reason: reasons.join("; "),
        });
    }
    let reason = reasons.join("; ");
    Ok(Coverage {
        class,
        hook: String::new(),
        state: State::Unavailable,
        reason,
    })
}

fn attach_once(
    ebpf: &mut Ebpf,
    btf: &Btf,
    program: &'static str,
    point: Point,
    attached: &mut Vec<&'static str>,
) -> Result<(), Error> {
    if !attached.contains(&program) {
        attach::attach(ebpf, btf, program, point)?;
        attached.push(program);
    }
    Ok(())
}

enum Trial {
    Fired,
    Silent,
    NotTried(String),
}

/// Does what the hook must see, and looks whether it was seen. Tracepoints need no trial.
fn trial(ebpf: &Ebpf, hook: &Hook) -> Result<Trial, Error> {
    if matches!(hook.point, Point::Tracepoint(_)) {
        return Ok(Trial::Fired);
    }
    let seen = |ebpf| {
        Ok(maps::counters(ebpf, "seen")?
            .get(&hook.class)
            .copied()
            .unwrap_or(0))
    };
    let before: u64 = seen(ebpf)?;
    let done = match hook.class {
        Class::Open => File::open("/proc/self/stat").map(drop),
        _ => connect_nowhere(),
    };
    if seen(ebpf)? > before {
        return Ok(Trial::Fired);
    }
    Ok(match done {
        Ok(()) => Trial::Silent,
        Err(error) => Trial::NotTried(error.to_string()),
    })
}

/// Tries to connect where nobody listens. The security hook sees it whatever the family, so this needs
/// no network. Fails only if there was no attempt.
fn connect_nowhere() -> std::io::Result<()> {
    let name = format!("quantumos/trial/{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name)?;
    match UnixStream::connect_addr(&address) {
        Err(error) if error.kind() != ErrorKind::ConnectionRefused => Err(error),
        _ => Ok(()),
    }
}
