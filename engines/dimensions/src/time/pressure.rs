//! Pressure stall information: how long tasks waited for a resource.

use crate::{
    State,
    health::Checks,
    text::{self, ParseError},
};

/// A resource whose pressure the kernel accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Io];

    /// The file's name below `/proc/pressure`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Cpu => "Cpu",
            Self::Memory => "Memory",
            Self::Io => "Io",
        }
    }
}

/// Parts of the time, in percent, that tasks waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Averages {
    /// Over 10 seconds.
    pub avg10: f64,
    /// Over 60 seconds.
    pub avg60: f64,
    /// Over 300 seconds.
    pub avg300: f64,
}

/// Pressure of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// At least one task waited.
    pub some: Averages,
    /// All tasks waited; not defined for processors before Linux 5.13.
    pub full: Option<Averages>,
}

impl Pressure {
    /// Reads a file of `/proc/pressure`.
    ///
    /// # Errors
    /// A line that is neither `some` nor `full`, an average that is no percentage, or no
    /// `some` line.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (mut some, mut full) = (None, None);
        for (index, line) in text.lines().enumerate() {
            let error = |problem: String| ParseError::new("pressure", index + 1, problem);
            let mut words = line.split_ascii_whitespace();
            let slot = match words.next() {
                Some("some") => &mut some,
                Some("full") => &mut full,
                None => continue,
                Some(other) => return Err(error(format!("{other:?} is neither some nor full"))),
            };
            let mut averages = Averages::default();
            for word in words {
                let Some((key, value)) = word.split_once('=') else {
                    return Err(error(format!("{word:?} has no value")));
                };
                let field = match key {
                    "avg10" => &mut averages.avg10,
                    "avg60" => &mut averages.avg60,
                    "avg300" => &mut averages.avg300,
                    _ => continue,
                };
                *field = text::number(value)
                    .filter(|percent| (0.0..=100.0).contains(percent))
                    .ok_or_else(|| error(format!("{key} is {value:?}, not a percentage")))?;
            }
            *slot = Some(averages);
        }
        let some =
            some.ok_or_else(|| ParseError::new("pressure", text.lines().count(), "no some line"))?;
        Ok(Self { some, full })
    }

    pub(super) fn put(&self, resource: Resource, state: &mut State) {
        let name = resource.key();
        let mut pair = |kind: &str, averages: Averages| {
            state.put(&format!("{name}{kind}Avg10"), averages.avg10);
            state.put(&format!("{name}{kind}Avg60"), averages.avg60);
        };
        pair("Some", self.some);
        // The system's cpu.full is always zero: there is always a task that runs.
        if let (Some(full), false) = (self.full, resource == Resource::Cpu) {
            pair("Full", full);
        }
    }

    pub(super) fn check(&self, resource: Resource, checks: &mut Checks) {
        let full = self.full.map(|full| full.avg10);
        match (resource, full) {
            (Resource::Cpu, _) => checks.below("cpu.some avg10 in %", self.some.avg10, 60.0, 90.0),
            (Resource::Memory, Some(full)) => {
                checks.below("memory.full avg10 in %", full, 5.0, 20.0)
            }
            (Resource::Io, Some(full)) => checks.below("io.full avg10 in %", full, 20.0, 60.0),
            (Resource::Memory | Resource::Io, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Health;
    use proptest::prelude::*;

    const TEXT: &str = "some avg10=5.30 avg60=2.25 avg300=1.32 total=20606471\n\
                        full avg10=0.10 avg60=0.20 avg300=0.30 total=0\n";

    #[test]
    fn files() {
        let pressure = Pressure::parse(TEXT).unwrap();
        assert_eq!(
            pressure.some,
            Averages {
                avg10: 5.30,
                avg60: 2.25,
                avg300: 1.32
            }
        );
        assert_eq!(
            pressure.full,
            Some(Averages {
                avg10: 0.1,
                avg60: 0.2,
                avg300: 0.3
            })
        );
        let old = Pressure::parse("some avg10=1.00 avg60=0.00 avg300=0.00 total=0\n").unwrap();
        assert_eq!(old.full, None);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, want) in [
            ("", "pressure: line 0: no some line"),
            ("full avg10=1.0\n", "pressure: line 1: no some line"),
            (
                "most avg10=1.0\n",
                "pressure: line 1: \"most\" is neither some nor full",
            ),
            (
                "some avg10=1.0\nfull avg10=101\n",
                "pressure: line 2: avg10 is \"101\", not a percentage",
            ),
            (
                "some avg10=NaN\n",
                "pressure: line 1: avg10 is \"NaN\", not a percentage",
            ),
            ("some avg10\n", "pressure: line 1: \"avg10\" has no value"),
        ] {
            assert_eq!(Pressure::parse(text).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn health_by_thresholds() {
        let at = |some, full| Pressure {
            some: Averages {
                avg10: some,
                ..Averages::default()
            },
            full: Some(Averages {
                avg10: full,
                ..Averages::default()
            }),
        };
        for (resource, some, full, want) in [
            (Resource::Cpu, 59.0, 0.0, Health::Ok),
            (Resource::Cpu, 60.0, 0.0, Health::Attention),
            (Resource::Cpu, 95.0, 0.0, Health::Critical),
            (Resource::Memory, 99.0, 4.0, Health::Ok),
            (Resource::Memory, 0.0, 5.0, Health::Attention),
            (Resource::Memory, 0.0, 20.0, Health::Critical),
            (Resource::Io, 99.0, 19.0, Health::Ok),
            (Resource::Io, 0.0, 20.0, Health::Attention),
            (Resource::Io, 0.0, 60.0, Health::Critical),
        ] {
            let mut checks = Checks::default();
            at(some, full).check(resource, &mut checks);
            assert_eq!(checks.verdict().0, want, "{resource:?} {some} {full}");
        }
    }

    #[test]
    fn processors_have_no_full_key() {
        let mut state = State::new();
        let pressure = Pressure::parse(TEXT).unwrap();
        pressure.put(Resource::Cpu, &mut state);
        pressure.put(Resource::Memory, &mut state);
        let keys: Vec<&str> = state.iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "CpuSomeAvg10",
                "CpuSomeAvg60",
                "MemoryFullAvg10",
                "MemoryFullAvg60",
                "MemorySomeAvg10",
                "MemorySomeAvg60",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in "((some|full|x)( (avg10|total|)=?-?[0-9.eNaN]{0,8}){0,4}\n){0,4}") {
            if let Ok(pressure) = Pressure::parse(&text) {
                prop_assert!((0.0..=100.0).contains(&pressure.some.avg10));
            }
        }
    }
}
