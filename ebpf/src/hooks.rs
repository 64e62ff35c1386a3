//! Which programs can see a class, the best first, and the trial that shows whether one really fires: a program
//! attaches to a security hook without complaint where BPF is not among the active security
//! modules, and then never runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use aya::{Btf, Ebpf};

use crate::actions::Works;
use crate::attach::{self, Point};
use crate::calls::Duty;
use crate::coverage::{Coverage, State};
use crate::error::Error;
use crate::event::Class;
use crate::maps;

/// A program that can see a class.
struct Hook {
    class: Class,
    program: &'static str,
    point: Point,
    /// A second program that sees the rest, with its duty there.
    rest: Option<Duty>,
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

/// The program at the end of system calls.
pub(crate) const SYSCALL_EXIT: (&str, Point) = ("syscall_exit", Point::Tracepoint("sys_exit"));

/// What is attached.
#[derive(Default)]
pub(crate) struct Hooked {
    /// Programs, in the order in which they were attached.
    pub(crate) programs: Vec<&'static str>,
    /// What is seen by system calls, and whether by a program of the call's own.
    duties: BTreeMap<Duty, bool>,
}

impl Hooked {
    /// Attaches a program, unless it is attached.
    pub(crate) fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        btf: &Btf,
        program: &'static str,
        point: Point,
    ) -> Result<(), Error> {
        if !self.programs.contains(&program) {
            attach::attach(ebpf, btf, program, point)?;
            self.programs.push(program);
        }
        Ok(())
    }

    /// Detaches a program.
    pub(crate) fn detach(&mut self, ebpf: &mut Ebpf, program: &'static str) {
        attach::detach(ebpf, program);
        self.programs.retain(|other| *other != program);
    }

    /// Has system calls looked at.
    pub(crate) fn add_duty(&mut self, ebpf: &mut Ebpf, duty: Duty, own: bool) -> Result<(), Error> {
        self.duties.insert(duty, own);
        maps::set_calls(ebpf, &self.duties)
    }

    /// Has system calls left alone again; the probe at their end goes with the last that needs it.
    pub(crate) fn remove_duty(&mut self, ebpf: &mut Ebpf, duty: Duty) -> Result<(), Error> {
        if self.duties.remove(&duty).is_none() {
            return Ok(());
        }
        maps::set_calls(ebpf, &self.duties)?;
        if self.duties.values().all(|own| *own) {
            self.detach(ebpf, SYSCALL_EXIT.0);
        }
        Ok(())
    }
}

/// Finds out whether security hooks fire and whether functions can be hooked, with the programs for opens. The best that
/// works stays attached, for [`cover`] to find.
pub(crate) fn find_out(
    ebpf: &mut Ebpf,
    btf: &Btf,
    wanted: [bool; 2],
    hooked: &mut Hooked,
) -> Result<Works, Error> {
    let mut lsm = Err("lsm: not asked for".to_owned());
    let mut functions = Err("fentry: not asked for".to_owned());
    let hooks: Vec<&Hook> = HOOKS
        .iter()
        .filter(|hook| hook.class == Class::Open)
        .filter(|hook| match hook.point {
            Point::Lsm(_) => wanted[0],
            Point::Function(_) => wanted[1],
            _ => false,
        })
        .collect();
    let ahead: Vec<_> = hooks
        .iter()
        .map(|hook| (hook.program, hook.point))
        .collect();
    attach::check(ebpf, btf, &ahead);
    // The best is tried last, alone, and stays.
    for (place, hook) in hooks.iter().enumerate().rev() {
        let label = hook.point.label();
        let found = match hook.point {
            Point::Lsm(_) => &mut lsm,
            _ => &mut functions,
        };
        *found = match hooked.attach(ebpf, btf, hook.program, hook.point) {
            Err(error) => Err(format!("{label}: {}", attach::reason(&error))),
            Ok(()) => {
                let silent = matches!(trial(ebpf, hook)?, Trial::Silent);
                let better = hooks[..place]
                    .iter()
                    .any(|better| attach::is_loaded(ebpf, better.program));
                if silent || better {
                    hooked.detach(ebpf, hook.program);
                }
                match silent {
                    true => Err(format!("{label}: attached, but it does not fire")),
                    false => Ok(()),
                }
            }
        };
    }
    Ok(Works { lsm, functions })
}

/// The programs that will probably cover a class: of the first hook that works as far as is known.
pub(crate) fn likely(class: Class, works: &Works) -> Vec<(&'static str, Point)> {
    let mut hooks = HOOKS.iter().filter(|hook| hook.class == class);
    let Some(hook) = hooks.find(|hook| works.may(hook.point)) else {
        return Vec::new();
    };
    let rest = hook.rest.map(|_| SYSCALL_EXIT);
    [(hook.program, hook.point)]
        .into_iter()
        .chain(rest)
        .collect()
}

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
        rest: Some(Duty::Connect),
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
        rest: Some(Duty::Open),
        misses: "opens through io_uring, and files whose descriptor another thread replaces at once",
        ..Hook::new(Class::Open, SYSCALL_EXIT.0, SYSCALL_EXIT.1)
    },
];

/// Attaches the first hook of `class` that works, and notes its programs.
pub(crate) fn cover(
    ebpf: &mut Ebpf,
    btf: &Btf,
    class: Class,
    works: &Works,
    hooked: &mut Hooked,
) -> Result<Coverage, Error> {
    let mut reasons = Vec::new();
    for hook in HOOKS.iter().filter(|hook| hook.class == class) {
        let label = hook.point.label();
        let works = match hook.point {
            Point::Lsm(_) => &works.lsm,
            Point::Function(_) => &works.functions,
            _ => &Ok(()),
        };
        if let Err(reason) = works {
            reasons.push(reason.clone());
            continue;
        }
        if let Err(error) = hooked.attach(ebpf, btf, hook.program, hook.point) {
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
                hooked.detach(ebpf, hook.program);
                continue;
            }
        };
        let mut hooks = label;
        if let Some(duty) = hook.rest {
            state = State::Partial;
            reasons.insert(0, format!("not seen: {}", hook.misses));
            let (program, point) = SYSCALL_EXIT;
            match hooked.attach(ebpf, btf, program, point) {
                Ok(()) => {
                    hooked.add_duty(ebpf, duty, false)?;
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
            action: None,
            hook: hooks,
            state,
            reason: reasons.join("; "),
        });
    }
    let reason = reasons.join("; ");
    Ok(Coverage {
        class,
        action: None,
        hook: String::new(),
        state: State::Unavailable,
        reason,
    })
}

/// Takes the programs for opens away that [`find_out`] left, where opens aren't asked for.
pub(crate) fn uncover_opens(ebpf: &mut Ebpf, hooked: &mut Hooked) {
    for hook in HOOKS.iter().filter(|hook| hook.class == Class::Open) {
        // The end of system calls serves others, too, and is never left.
        if hook.rest.is_none() && hooked.programs.contains(&hook.program) {
            hooked.detach(ebpf, hook.program);
        }
    }
}

/// Opens a file and looks whether that was seen.
pub(crate) fn opens_fire(ebpf: &Ebpf) -> Result<bool, Error> {
    let hook = HOOKS.iter().find(|hook| hook.class == Class::Open);
    match hook {
        Some(hook) => Ok(!matches!(provoke(ebpf, hook)?, Trial::Silent)),
        None => Ok(true),
    }
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
    provoke(ebpf, hook)
}

fn provoke(ebpf: &Ebpf, hook: &Hook) -> Result<Trial, Error> {
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
