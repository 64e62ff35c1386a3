//! Whether this machine can run a guest on its own processor. A /dev/kvm that opens proves nothing:
//! it is there in machines whose hypervisor only half supports it, so a kernel is booted to see.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// How QEMU runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// On this machine's processor.
    Kvm,
    /// Translated; some ten times slower.
    Tcg,
}

impl Accelerator {
    /// What works here; found out once a process. `QUANTUMOS_ACCELERATOR` (kvm or tcg) decides
    /// without trying.
    pub fn working(image: &Path) -> Self {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        *FOUND.get_or_init(|| match std::env::var("QUANTUMOS_ACCELERATOR").as_deref() {
            Ok("kvm") => Self::Kvm,
            Ok("tcg") => Self::Tcg,
            _ if opens() && has_extensions() && boots(image) => Self::Kvm,
            _ => Self::Tcg,
        })
    }

    /// QEMU's options for it.
    pub fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

fn opens() -> bool {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok()
}

fn has_extensions() -> bool {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix("flags"))
        .any(|flags| {
            flags
                .split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
}

/// The initrd answers a probe and switches the machine off.
fn boots(image: &Path) -> bool {
    Command::new("timeout")
        .args(["20", "qemu-system-x86_64"])
        .args(Accelerator::Kvm.arguments())
        .args(["-machine", "q35", "-m", "256", "-nodefaults"])
        .args(["-display", "none", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(image.join("vmlinuz"))
        .arg("-initrd")
        .arg(image.join("initrd"))
        .args(["-append", "console=ttyS0 quiet panic=-1 quantumos.probe"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("probe ok"))
}
