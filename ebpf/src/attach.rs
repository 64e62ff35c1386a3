//! Loading and attaching one program at a time, so that a hook that the kernel refuses costs nothing but itself.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aya::programs::{BtfTracePoint, FEntry, FExit, Lsm, Program, ProgramError};
use aya::{Btf, Ebpf};

use crate::error::Error;

/// Where a program attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// A type-safe tracepoint.
    Tracepoint(&'static str),
    /// A hook of the BPF security module.
    Lsm(&'static str),
    /// The entry of a kernel function.
    Function(&'static str),
    /// The return of a kernel function.
    Return(&'static str),
}

impl Point {
    /// The name shown in coverage, as a section name is written.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Tracepoint(name) => format!("tp_btf/{name}"),
            Self::Lsm(name) => format!("lsm/{name}"),
            Self::Function(name) => format!("fentry/{name}"),
            Self::Return(name) => format!("fexit/{name}"),
        }
    }
}

/// Has the kernel check programs, as many at a time as there are processors: its checks are what takes longest of a
/// start. One that it refuses is left as it was, for [`attach`] to find out why.
pub(crate) fn check(ebpf: &mut Ebpf, btf: &Btf, wanted: &[(&'static str, Point)]) {
    let mut programs: Vec<_> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| {
            let (_, point) = wanted.iter().find(|(wanted, _)| *wanted == name)?;
            program.fd().is_err().then_some((program, *point))
        })
        .collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(programs.len());
    let left = Mutex::new(programs.drain(..));
    let work = || {
        loop {
            let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((program, point)) = next else {
                return;
            };
            if let Err(error) = load(program, btf, point) {
                tracing::debug!(at = point.label(), %error, "not loaded ahead");
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does it all.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Whether a program is loaded, attached or not.
pub(crate) fn is_loaded(ebpf: &Ebpf, program: &str) -> bool {
    ebpf.program(program)
        .is_some_and(|program| program.fd().is_ok())
}

/// Unloads what was loaded ahead and is not among these.
pub(crate) fn keep_only(ebpf: &mut Ebpf, kept: &[&'static str]) {
    for (name, program) in ebpf.programs_mut() {
        if !kept.contains(&name)
            && let Err(error) = program.unload_if_loaded()
        {
            tracing::debug!(name, %error, "a program does not unload");
        }
    }
}

/// Loads and attaches `program` at `point`. On failure nothing of it stays in the kernel.
pub(crate) fn attach(
    ebpf: &mut Ebpf,
    btf: &Btf,
    program: &'static str,
    point: Point,
) -> Result<(), Error> {
    let found = ebpf.program_mut(program).ok_or(Error::Missing(program))?;
    try_attach(found, btf, point).map_err(|source| {
        if let Err(error) = found.unload_if_loaded() {
            tracing::debug!(program, %error, "a refused program does not unload");
        }
        Error::Program {
            program,
            source: Box::new(source),
        }
    })
}

/// Detaches and unloads `program`.
pub(crate) fn detach(ebpf: &mut Ebpf, program: &'static str) {
    if let Some(found) = ebpf.program_mut(program)
        && let Err(error) = found.unload_if_loaded()
    {
        tracing::debug!(program, %error, "a program does not unload");
    }
}

fn load(program: &mut Program, btf: &Btf, point: Point) -> Result<(), ProgramError> {
    if program.fd().is_ok() {
        return Ok(());
    }
    match point {
        Point::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, btf),
        Point::Lsm(name) => <&mut Lsm>::try_from(program)?.load(name, btf),
        Point::Function(name) => <&mut FEntry>::try_from(program)?.load(name, btf),
        Point::Return(name) => <&mut FExit>::try_from(program)?.load(name, btf),
    }
}

fn try_attach(program: &mut Program, btf: &Btf, point: Point) -> Result<(), ProgramError> {
    load(program, btf, point)?;
    match point {
        Point::Tracepoint(_) => <&mut BtfTracePoint>::try_from(program)?.attach().map(drop),
        Point::Lsm(_) => <&mut Lsm>::try_from(program)?.attach().map(drop),
        Point::Function(_) => <&mut FEntry>::try_from(program)?.attach().map(drop),
        Point::Return(_) => <&mut FExit>::try_from(program)?.attach().map(drop),
    }
}

trait Unload {
    fn unload_if_loaded(&mut self) -> Result<(), ProgramError>;
}

impl Unload for Program {
    fn unload_if_loaded(&mut self) -> Result<(), ProgramError> {
        if self.fd().is_err() {
            return Ok(());
        }
        match self {
            Self::BtfTracePoint(program) => program.unload(),
            Self::Lsm(program) => program.unload(),
            Self::FEntry(program) => program.unload(),
            Self::FExit(program) => program.unload(),
            _ => Ok(()),
        }
    }
}

/// The innermost causes of a refusal, without the verifier's log.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::Program { source, .. } => match source.as_ref() {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => {
                let log = verifier_log.to_string();
                let complaint = log.lines().rev().find(|line| is_complaint(line));
                match complaint {
                    Some(line) => format!("{io_error}: {}", line.trim()),
                    None => io_error.to_string(),
                }
            }
            ProgramError::SyscallError(error) => format!("{}: {}", error.call, error.io_error),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// Whether a line of the verifier's log can be its complaint: not one of the statistics that follow it.
fn is_complaint(line: &str) -> bool {
    let statistics = ["processed ", "verification time ", "stack depth "];
    !line.trim().is_empty() && !statistics.iter().any(|start| line.starts_with(start))
}
