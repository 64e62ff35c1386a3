//! Memory of the host and of its NUMA nodes, from `meminfo` texts.

use crate::{
    State,
    health::Checks,
    text::{self, ParseError},
};

/// Memory and swap, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Memory that the kernel manages.
    pub total: u64,
    /// What could be given to programs without swapping, by the kernel's estimate.
    pub available: u64,
    /// Swap space.
    pub swap_total: u64,
    /// Unused swap space.
    pub swap_free: u64,
}

impl Memory {
    /// Reads `/proc/meminfo`.
    ///
    /// # Errors
    /// A value that is no number of kB, or no `MemTotal` or `MemAvailable` at all.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut memory = Self::default();
        let (mut has_total, mut has_available) = (false, false);
        for (index, line) in text.lines().enumerate() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let field = match key {
                "MemTotal" => {
                    has_total = true;
                    &mut memory.total
                }
                "MemAvailable" => {
                    has_available = true;
                    &mut memory.available
                }
                "SwapTotal" => &mut memory.swap_total,
                "SwapFree" => &mut memory.swap_free,
                _ => continue,
            };
            *field = kilobytes(value).ok_or_else(|| {
                ParseError::new("meminfo", index + 1, format!("{key} is {value:?}, not kB"))
            })?;
        }
        for (key, seen) in [("MemTotal", has_total), ("MemAvailable", has_available)] {
            if !seen {
                return Err(ParseError::new(
                    "meminfo",
                    text.lines().count(),
                    format!("no {key}"),
                ));
            }
        }
        Ok(memory)
    }

    pub(super) fn put(&self, state: &mut State) {
        state.put("MemoryTotal", self.total);
        state.put("MemoryAvailable", self.available);
        state.put("SwapTotal", self.swap_total);
        state.put("SwapFree", self.swap_free);
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn check(&self, checks: &mut Checks) {
        if self.total > 0 {
            let percent = self.available as f64 / self.total as f64 * 100.0;
            checks.above("memory available in %", percent, 10.0, 5.0);
        }
    }
}

fn kilobytes(value: &str) -> Option<u64> {
    text::number::<u64>(value.trim().strip_suffix("kB")?)?.checked_mul(1024)
}

/// A NUMA node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: u64,
    /// Its processors, as the kernel lists them.
    pub processors: String,
    /// Its memory in bytes.
    pub memory: Option<u64>,
}

impl Node {
    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", format!("node{}", self.id))
            .with("Cpus", &self.processors)
            .with_some("MemoryTotal", self.memory)
    }
}

/// The total of a node's `meminfo`, in bytes (`Node 0 MemTotal: 1234 kB`).
#[must_use]
pub fn node_memory(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("MemTotal:"))?;
    kilobytes(line.split_once(':')?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn meminfo() {
        let text = "MemTotal:       24683660 kB\nMemFree:        1 kB\nMemAvailable:   23700784 kB\n\
                    SwapTotal:      1024 kB\nSwapFree:       512 kB\nHugePages_Total:       0\n";
        assert_eq!(
            Memory::parse(text),
            Ok(Memory {
                total: 24_683_660 * 1024,
                available: 23_700_784 * 1024,
                swap_total: 1 << 20,
                swap_free: 512 << 10,
            })
        );
    }

    #[test]
    fn errors_name_the_line() {
        for (text, want) in [
            (
                "MemTotal: x kB\n",
                "meminfo: line 1: MemTotal is \" x kB\", not kB",
            ),
            (
                "MemTotal: 1 kB\nMemAvailable: -1 kB\n",
                "meminfo: line 2: MemAvailable is \" -1 kB\", not kB",
            ),
            (
                "MemTotal: 99999999999999999999 kB",
                "meminfo: line 1: MemTotal is \" 99999999999999999999 kB\", not kB",
            ),
            ("MemTotal: 1 kB\n", "meminfo: line 1: no MemAvailable"),
            ("", "meminfo: line 0: no MemTotal"),
        ] {
            assert_eq!(Memory::parse(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn nodes() {
        assert_eq!(
            node_memory("Node 0 MemTotal:       2048 kB\nNode 0 MemFree: 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(node_memory("Node 0 MemTotal 2048"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in "((MemTotal|MemAvailable|SwapFree)?:? *-?[0-9]{0,25}( kB)?\n?){0,8}") {
            let _ = Memory::parse(&text);
            let _ = node_memory(&text);
        }
    }
}
