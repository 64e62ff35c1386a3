//! Loading and attaching one program at a time, so that a hook that the kernel refuses costs nothing but itself.

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

fn try_attach(program: &mut Program, btf: &Btf, point: Point) -> Result<(), ProgramError> {
    match point {
        Point::Tracepoint(name) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(name, btf)?;
            program.attach()?;
        }
        Point::Lsm(name) => {
            let program: &mut Lsm = program.try_into()?;
            program.load(name, btf)?;
            program.attach()?;
        }
        Point::Function(name) => {
            let program: &mut FEntry = program.try_into()?;
            program.load(name, btf)?;
            program.attach()?;
        }
        Point::Return(name) => {
            let program: &mut FExit = program.try_into()?;
            program.load(name, btf)?;
            program.attach()?;
        }
    }
    Ok(())
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
