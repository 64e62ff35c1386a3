//! What a denial in force adds to an execution, where the kernel lets no security hook in: its decision alone, made at
//! each execution from the same map by the same code, and refusing nothing. For measurements.

use aya::{Btf, EbpfLoader};

use crate::attach::{self, Point};
use crate::deny::{self, Denial};
use crate::error::Error;
use crate::stats::{self, ProgramStatistics};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/deny_cost.bpf.o"));

const PROGRAM: &str = "deny_cost";

/// The attached program. Dropping this detaches it.
pub struct DenyCost {
    ebpf: aya::Ebpf,
}

impl DenyCost {
    /// Loads it and puts the denials into its map. Needs CAP_BPF and CAP_PERFMON.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the object, its program or a denial.
    pub fn load(denials: &[Denial]) -> Result<Self, Error> {
        let btf = Btf::from_sys_fs().map_err(Error::NoKernelTypes)?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .load(OBJECT)
            .map_err(Error::load)?;
        for denial in denials {
            deny::insert(&mut ebpf, *denial)?;
        }
        let point = Point::Tracepoint("sched_process_exec");
        attach::attach(&mut ebpf, &btf, PROGRAM, point)?;
        Ok(Self { ebpf })
    }

    /// Its runs and their time, while the kernel counts them ([`crate::RunTime`]).
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn statistics(&self) -> Result<ProgramStatistics, Error> {
        stats::of(&self.ebpf, PROGRAM)
    }
}
