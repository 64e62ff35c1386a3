//! SPACE: what the host is made of and how much of it is free.
//!
//! Sources are `/proc/meminfo`, `/proc/cpuinfo` and the classes of sysfs. Health: memory
//! available at or under 10 % of the total is attention, 5 % critical; a sensor at or over its
//! own high mark is attention, at or over its critical mark critical.

mod hardware;
mod memory;
mod processor;
mod sensor;

pub use hardware::{Disk, Gpu, Interface, disk_model};
pub use memory::{Memory, Node, node_memory};
pub use processor::{Processor, model};
pub use sensor::Sensor;

use crate::{Deadband, Health, Report, State, health::Checks, text::ParseError};

/// Gauges of this dimension.
pub const DEADBANDS: &[(&str, Deadband)] = &[
    ("MemoryAvailable", Deadband::Relative(0.05)),
    ("SwapFree", Deadband::Relative(0.05)),
    ("Temperature", Deadband::Absolute(2.0)),
];

/// All that was read about the host's hardware.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The machine's architecture, as uname names it.
    pub architecture: String,
    /// Processors.
    pub processor: Processor,
    /// Memory and swap.
    pub memory: Option<Memory>,
    /// NUMA nodes.
    pub nodes: Vec<Node>,
    /// Block devices that are not partitions.
    pub disks: Vec<Disk>,
    /// Graphics cards.
    pub gpus: Vec<Gpu>,
    /// Temperatures.
    pub sensors: Vec<Sensor>,
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// Where it came from.
    pub sources: Vec<String>,
    /// What could not be parsed.
    pub errors: Vec<ParseError>,
}

impl Inventory {
    /// The dimension's report.
    #[must_use]
    pub fn report(&self) -> Report {
        if self.sources.is_empty() {
            return Report::unavailable("neither /proc nor /sys describes hardware here");
        }
        let mut state = State::new().with("Architecture", &self.architecture);
        self.processor.put(&mut state);
        let mut checks = Checks::default();
        if let Some(memory) = &self.memory {
            memory.put(&mut state);
            memory.check(&mut checks);
        }
        state.put_rows("NumaNodes", self.nodes.iter().map(Node::row).collect());
        state.put_rows("Disks", self.disks.iter().map(Disk::row).collect());
        state.put_rows("Gpus", self.gpus.iter().map(Gpu::row).collect());
        state.put_rows("Sensors", self.sensors.iter().map(Sensor::row).collect());
        state.put_rows(
            "Interfaces",
            self.interfaces.iter().map(Interface::row).collect(),
        );
        for sensor in &self.sensors {
            sensor.check(&mut checks);
        }
        if self.memory.is_none() {
            checks.note(Health::Unknown, Some("memory is not known".to_owned()));
        }
        Report::found(self.sources.clone(), state, checks, &self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn inventory(meminfo: &str, degrees: f64) -> Inventory {
        Inventory {
            architecture: "x86_64".to_owned(),
            memory: Memory::parse(meminfo).ok(),
            sensors: vec![Sensor {
                name: "coretemp Package".to_owned(),
                degrees,
                high: Some(80.0),
                critical: Some(100.0),
            }],
            sources: vec!["/proc/meminfo".to_owned()],
            ..Inventory::default()
        }
    }

    #[test]
    fn health_by_thresholds() {
        let meminfo = |available| format!("MemTotal: 1000 kB\nMemAvailable: {available} kB\n");
        for (available, degrees, want) in [
            (500, 40.0, Health::Ok),
            (100, 40.0, Health::Attention),
            (50, 40.0, Health::Critical),
            (500, 80.0, Health::Attention),
            (500, 100.0, Health::Critical),
        ] {
            let report = inventory(&meminfo(available), degrees).report();
            assert_eq!(
                report.health, want,
                "{available} {degrees} {}",
                report.reason
            );
            assert_eq!(report.reason.is_empty(), want == Health::Ok);
        }
        assert_eq!(inventory("", 40.0).report().health, Health::Unknown);
    }

    #[test]
    fn a_host_without_hardware_text_says_so() {
        let report = Inventory::default().report();
        assert!(!report.available && !report.reason.is_empty() && report.state.is_empty());
    }

    #[test]
    fn state_has_every_table() {
        let report = inventory("MemTotal: 1000 kB\nMemAvailable: 900 kB\n", 40.0).report();
        for key in ["Disks", "Gpus", "Sensors", "Interfaces", "NumaNodes"] {
            assert!(
                matches!(report.state.get(key), Some(Value::Table(_))),
                "{key}"
            );
        }
        assert_eq!(
            report.state.get("MemoryTotal"),
            Some(&Value::Count(1_024_000))
        );
    }
}
