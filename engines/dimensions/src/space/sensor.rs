//! Temperatures, from hwmon and thermal zones.

use crate::{Health, State, health::Checks, text};

/// A temperature, in degrees Celsius.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    /// Chip and label, such as `coretemp Package id 0`.
    pub name: String,
    /// Now.
    pub degrees: f64,
    /// From here on the maker calls it high.
    pub high: Option<f64>,
    /// From here on the maker calls it critical.
    pub critical: Option<f64>,
}

impl Sensor {
    /// From sysfs attributes in thousandths of a degree. A reading outside −100 to 250 °C is
    /// a broken sensor and is left out; so is a mark outside that.
    #[must_use]
    pub fn parse(
        chip: &str,
        label: &str,
        input: &str,
        high: Option<&str>,
        critical: Option<&str>,
    ) -> Option<Self> {
        Some(Self {
            name: text::clip(&format!("{} {}", chip.trim(), label.trim())),
            degrees: degrees(input)?,
            high: high.and_then(degrees).filter(|mark| *mark > 0.0),
            critical: critical.and_then(degrees).filter(|mark| *mark > 0.0),
        })
    }

    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with("Temperature", self.degrees)
            .with_some("High", self.high)
            .with_some("Critical", self.critical)
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        let (health, mark) = match (self.high, self.critical) {
            (_, Some(mark)) if self.degrees >= mark => (Health::Critical, mark),
            (Some(mark), _) if self.degrees >= mark => (Health::Attention, mark),
            _ => return checks.ok(),
        };
        checks.note(
            health,
            Some(format!(
                "{} is at {:.0} °C, mark {mark:.0}",
                self.name, self.degrees
            )),
        );
    }
}

fn degrees(text: &str) -> Option<f64> {
    let thousandths: i32 = text::number(text)?;
    let degrees = f64::from(thousandths) / 1000.0;
    (-100.0..=250.0).contains(&degrees).then_some(degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes() {
        for (input, high, critical, want) in [
            (
                "42000\n",
                Some("80000\n"),
                Some("100000"),
                Some((42.0, Some(80.0), Some(100.0))),
            ),
            ("-5500", None, None, Some((-5.5, None, None))),
            (
                "42000",
                Some("0"),
                Some("9999999"),
                Some((42.0, None, None)),
            ),
            ("-273150", None, None, None),
            ("65261850", None, None, None),
            ("hot", None, None, None),
            ("", None, None, None),
        ] {
            let sensor = Sensor::parse("chip\n", "label\n", input, high, critical);
            assert_eq!(
                sensor.map(|s| (s.degrees, s.high, s.critical)),
                want,
                "{input:?}"
            );
        }
    }
}
