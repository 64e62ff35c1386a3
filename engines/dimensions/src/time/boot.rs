//! The boot chain: how long each stage took, as systemd-analyze computes it.

use crate::State;

/// Monotonic timestamps of systemd's manager, in microseconds; 0 where a stage was not.
/// Firmware and loader count backwards from the kernel's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// `FirmwareTimestampMonotonic`.
    pub firmware: u64,
    /// `LoaderTimestampMonotonic`.
    pub loader: u64,
    /// `InitRDTimestampMonotonic`.
    pub initrd: u64,
    /// `UserspaceTimestampMonotonic`.
    pub userspace: u64,
    /// `FinishTimestampMonotonic`; 0 until the boot has finished.
    pub finish: u64,
}

impl Boot {
    pub(super) fn put(self, state: &mut State) {
        let stage = |state: &mut State, key: &str, length: u64| {
            if length > 0 {
                state.put(key, length);
            }
        };
        stage(
            state,
            "BootFirmwareUSec",
            self.firmware.saturating_sub(self.loader),
        );
        stage(state, "BootLoaderUSec", self.loader);
        let kernel = if self.initrd > 0 {
            self.initrd
        } else {
            self.userspace
        };
        stage(state, "BootKernelUSec", kernel);
        if self.initrd > 0 {
            stage(
                state,
                "BootInitrdUSec",
                self.userspace.saturating_sub(self.initrd),
            );
        }
        state.put("BootFinished", self.finish > 0);
        if self.finish > 0 {
            stage(
                state,
                "BootUserspaceUSec",
                self.finish.saturating_sub(self.userspace),
            );
            stage(
                state,
                "BootTotalUSec",
                self.finish.saturating_add(self.firmware.max(self.loader)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages() {
        let state = |boot: Boot| {
            let mut state = State::new();
            boot.put(&mut state);
            state
        };
        // A machine with firmware, loader and initrd.
        assert_eq!(
            state(Boot {
                firmware: 9_000,
                loader: 4_000,
                initrd: 1_000,
                userspace: 3_000,
                finish: 8_000
            }),
            State::new()
                .with("BootFirmwareUSec", 5_000_u64)
                .with("BootLoaderUSec", 4_000_u64)
                .with("BootKernelUSec", 1_000_u64)
                .with("BootInitrdUSec", 2_000_u64)
                .with("BootUserspaceUSec", 5_000_u64)
                .with("BootTotalUSec", 17_000_u64)
                .with("BootFinished", true)
        );
        // A kernel started directly, still booting.
        assert_eq!(
            state(Boot {
                userspace: 700,
                ..Boot::default()
            }),
            State::new()
                .with("BootKernelUSec", 700_u64)
                .with("BootFinished", false)
        );
        // Values that contradict each other must not underflow.
        let odd = state(Boot {
            firmware: 1,
            loader: 2,
            initrd: 9,
            userspace: 3,
            finish: 1,
        });
        assert_eq!(odd.get("BootUserspaceUSec"), None);
    }
}
