//! What the kernel knows of a loaded program: how much the verifier had to look at, and what it costs to run.

use std::os::fd::OwnedFd;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::ProgramInfo;

use crate::error::Error;

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStatistics {
    /// Its name in the object.
    pub program: &'static str,
    /// Instructions that the verifier went through; none before kernel 5.16.
    pub verified_instructions: Option<u32>,
    /// Runs, counted only while [`RunTime`] lives or `kernel.bpf_stats_enabled` is 1.
    pub runs: u64,
    /// Time in the program, counted only while [`RunTime`] lives or `kernel.bpf_stats_enabled` is 1.
    pub run_time: Duration,
}

/// While this lives, the kernel measures every program's runs and their time.
#[derive(Debug)]
pub struct RunTime {
    _switch: OwnedFd,
}

impl RunTime {
    /// Starts to measure. Needs CAP_SYS_ADMIN; without it, `kernel.bpf_stats_enabled` does the same.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn measure() -> std::io::Result<Self> {
        let switch = aya::sys::enable_stats(aya::sys::Stats::RunTime);
        Ok(Self {
            _switch: switch.map_err(|error| error.io_error)?,
        })
    }
}

/// Asks the kernel about `program`.
pub(crate) fn of(ebpf: &Ebpf, program: &'static str) -> Result<ProgramStatistics, Error> {
    let found = ebpf.program(program).ok_or(Error::Missing(program))?;
    let info: ProgramInfo = found.info().map_err(|source| Error::Program {
        program,
        source: Box::new(source),
    })?;
    Ok(ProgramStatistics {
        program,
        verified_instructions: info.verified_instruction_count(),
        runs: info.run_count(),
        run_time: info.run_time(),
    })
}
