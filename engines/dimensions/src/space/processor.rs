//! Processors: the model's name from `cpuinfo`, the counts from sysfs.

use std::collections::BTreeSet;

use crate::{State, text};

/// The host's processors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// The model as the kernel names it, if it does.
    pub model: Option<String>,
    /// Logical processors that are online.
    pub online: Option<u64>,
    /// Logical processors that may come online.
    pub possible: Option<u64>,
    /// The package and core of each logical processor.
    pub topology: BTreeSet<(i64, i64)>,
}

impl Processor {
    pub(super) fn put(&self, state: &mut State) {
        state.put_some("CpuModel", self.model.as_ref());
        state.put_some("CpusOnline", self.online);
        state.put_some("CpusPossible", self.possible);
        if !self.topology.is_empty() {
            let packages: BTreeSet<i64> =
                self.topology.iter().map(|(package, _)| *package).collect();
            state.put("CpuPackages", packages.len());
            state.put("CpuCores", self.topology.len());
        }
    }
}

/// The first processor's model from `/proc/cpuinfo`: `model name` on x86, `Model` on some ARM
/// boards, `uarch` on RISC-V, else implementer and part.
#[must_use]
pub fn model(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name)
                .then(|| text::clip(value))
                .filter(|value| !value.is_empty())
        })
    };
    field("model name")
        .or_else(|| field("Model"))
        .or_else(|| field("uarch"))
        .or_else(|| {
            Some(text::clip(&format!(
                "implementer {} part {}",
                field("CPU implementer")?,
                field("CPU part")?
            )))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn models() {
        for (cpuinfo, want) in [
            (
                "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Intel(R) Xeon(R) Processor\n",
                Some("Intel(R) Xeon(R) Processor"),
            ),
            (
                "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
                Some("implementer 0x41 part 0xd0c"),
            ),
            ("hart: 0\nuarch: sifive,u74-mc\n", Some("sifive,u74-mc")),
            ("model name:\n", None),
            ("", None),
        ] {
            assert_eq!(model(cpuinfo).as_deref(), want);
        }
    }

    #[test]
    fn cores_are_counted_once() {
        let processor = Processor {
            topology: [(0, 0), (0, 0), (0, 1), (1, 0)].into_iter().collect(),
            ..Processor::default()
        };
        let mut state = State::new();
        processor.put(&mut state);
        assert_eq!(
            state,
            State::new()
                .with("CpuPackages", 2_u64)
                .with("CpuCores", 3_u64)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in any::<String>()) {
            let _ = model(&text);
        }
    }
}
