//! Displays and their light, from DRM connectors and backlights in sysfs.

use crate::{State, text};

/// A DRM connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// The kernel's name, such as `card0-HDMI-A-1`.
    pub name: String,
    /// `connected`, `disconnected` or `unknown`.
    pub status: String,
    /// Whether it shows a picture.
    pub enabled: bool,
    /// `On`, `Off`, `Standby` or `Suspend`.
    pub power: String,
    /// The display's preferred mode, such as `1920x1080`.
    pub mode: Option<String>,
    /// How many modes the display offers.
    pub modes: u64,
}

/// Whether an entry of `/sys/class/drm` is a connector: `card`, a number, `-`, a name.
#[must_use]
pub fn connector_name(entry: &str) -> bool {
    entry
        .strip_prefix("card")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(card, name)| text::number::<u16>(card).is_some() && !name.is_empty())
}

impl Connector {
    /// From the attributes `status`, `enabled`, `dpms` and `modes`.
    #[must_use]
    pub fn parse(name: &str, status: &str, enabled: &str, power: &str, modes: &str) -> Self {
        let mut lines = modes.lines().filter(|line| !line.trim().is_empty());
        let mode = lines.next().map(text::clip);
        let more = lines.count() as u64;
        Self {
            name: text::clip(name),
            status: text::clip(status),
            enabled: enabled.trim() == "enabled",
            power: text::clip(power),
            modes: u64::from(mode.is_some()) + more,
            mode,
        }
    }

    /// Whether a display is plugged in.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.status == "connected"
    }

    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with("Status", &self.status)
            .with("Enabled", self.enabled)
            .with("Power", &self.power)
            .with_some("PreferredMode", self.mode.as_ref())
            .with("Modes", self.modes)
    }
}

/// A backlight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlight {
    /// The kernel's name, such as `intel_backlight`.
    pub name: String,
    /// Brightness now, in the device's own steps.
    pub brightness: u64,
    /// Brightest step.
    pub maximum: u64,
}

impl Backlight {
    /// From the attributes `brightness` and `max_brightness`.
    #[must_use]
    pub fn parse(name: &str, brightness: &str, maximum: &str) -> Option<Self> {
        Some(Self {
            name: text::clip(name),
            brightness: text::number(brightness)?,
            maximum: text::number(maximum).filter(|maximum| *maximum > 0)?,
        })
    }

    pub(super) fn row(&self) -> State {
        let percent = u128::from(self.brightness) * 100 / u128::from(self.maximum);
        State::new()
            .with("Name", &self.name)
            .with("Brightness", self.brightness)
            .with("MaxBrightness", self.maximum)
            .with("Percent", u64::try_from(percent.min(100)).unwrap_or(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (entry, want) in [
            ("card0-HDMI-A-1", true),
            ("card12-eDP-1", true),
            ("card0", false),
            ("renderD128", false),
            ("version", false),
            ("cardX-DP-1", false),
            ("card0-", false),
        ] {
            assert_eq!(connector_name(entry), want, "{entry}");
        }
    }

    #[test]
    fn connectors() {
        let connector = Connector::parse(
            "card0-DP-1",
            "connected\n",
            "enabled\n",
            "On\n",
            "1920x1080\n1280x720\n\n",
        );
        assert_eq!(
            connector,
            Connector {
                name: "card0-DP-1".to_owned(),
                status: "connected".to_owned(),
                enabled: true,
                power: "On".to_owned(),
                mode: Some("1920x1080".to_owned()),
                modes: 2,
            }
        );
        let empty = Connector::parse("card0-DP-2", "disconnected", "disabled", "Off", "");
        assert_eq!(
            (empty.connected(), empty.mode, empty.modes),
            (false, None, 0)
        );
    }

    #[test]
    fn backlights() {
        let percent = |brightness, maximum| {
            Backlight::parse("b", brightness, maximum)
                .map(|light| light.row().get("Percent").cloned())
        };
        assert_eq!(percent("50\n", "200\n"), Some(Some(25_u64.into())));
        assert_eq!(percent("300", "200"), Some(Some(100_u64.into())));
        assert_eq!(
            percent("18446744073709551615", "1"),
            Some(Some(100_u64.into()))
        );
        assert_eq!(percent("1", "0"), None);
        assert_eq!(percent("", "200"), None);
    }
}
