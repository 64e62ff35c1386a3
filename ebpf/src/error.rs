//! What can go wrong between this crate and the kernel.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel has no type information at `/sys/kernel/btf/vmlinux` (`CONFIG_DEBUG_INFO_BTF`), or
    /// it cannot be read.
    #[error("no kernel type information (BTF): {0}")]
    NoKernelTypes(#[source] aya::BtfError),
    /// The object or its maps were refused: most often CAP_BPF and CAP_PERFMON are missing.
    #[error("cannot load the probes: {0}")]
    Load(#[source] Box<aya::EbpfError>),
    /// Not one class of event could be attached; each with the reason.
    #[error("no probe could be attached: {0}")]
    NothingAttached(String),
    /// A map could not be read or changed.
    #[error("eBPF map {map}: {source}")]
    Map {
        /// The map's name in the object.
        map: &'static str,
        /// What the kernel said.
        #[source]
        source: aya::maps::MapError,
    },
    /// A program could not be loaded, attached or asked about.
    #[error("eBPF program {program}: {source}")]
    Program {
        /// The program's name in the object.
        program: &'static str,
        /// What the kernel said.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// The embedded object lacks something that this crate knows: a fault of the build.
    #[error("the embedded object has no {0}")]
    Missing(&'static str),
    /// The rings cannot be waited for.
    #[error("cannot wait for events: {0}")]
    Wait(#[source] nix::errno::Errno),
    /// The settings ask for what the kernel cannot do.
    #[error("{what}: {reason}")]
    Settings {
        /// Which setting, with its value.
        what: String,
        /// Why it is refused.
        reason: &'static str,
    },
}

impl Error {
    pub(crate) fn load(error: aya::EbpfError) -> Self {
        Self::Load(Box::new(error))
    }
}
