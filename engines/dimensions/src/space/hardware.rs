//! Disks, graphics cards and network interfaces, from their sysfs attributes.

use crate::{State, text};

/// A block device that is not a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name.
    pub name: String,
    /// What the device calls itself.
    pub model: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Whether it spins.
    pub rotational: bool,
    /// Whether it can be taken out.
    pub removable: bool,
    /// Whether it refuses writes.
    pub read_only: bool,
}

impl Disk {
    /// From the attributes `size` (in sectors of 512 bytes), `queue/rotational`, `removable`
    /// and `ro`. A device of size 0 (an unused loop device, an empty drive) is none.
    #[must_use]
    pub fn parse(
        name: &str,
        size: &str,
        rotational: &str,
        removable: &str,
        read_only: &str,
    ) -> Option<Self> {
        let size = text::number::<u64>(size)?
            .checked_mul(512)
            .filter(|size| *size > 0)?;
        let flag = |text: &str| text.trim() == "1";
        Some(Self {
            name: text::clip(name),
            model: None,
            size,
            rotational: flag(rotational),
            removable: flag(removable),
            read_only: flag(read_only),
        })
    }

    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with_some("Model", self.model.as_ref())
            .with("Size", self.size)
            .with("Rotational", self.rotational)
            .with("Removable", self.removable)
            .with("ReadOnly", self.read_only)
    }
}

/// A disk's model from `device/vendor` and `device/model`; SCSI fills both with blanks.
#[must_use]
pub fn disk_model(vendor: Option<&str>, model: Option<&str>) -> Option<String> {
    let vendor = vendor
        .map(str::trim)
        .filter(|vendor| !vendor.is_empty() && !vendor.starts_with("0x"));
    let model = model.map(str::trim).filter(|model| !model.is_empty());
    match (vendor, model) {
        (Some("ATA") | None, Some(model)) => Some(text::clip(model)),
        (Some(vendor), Some(model)) => Some(text::clip(&format!("{vendor} {model}"))),
        (_, None) => None,
    }
}

/// A graphics card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpu {
    /// The kernel's name, such as `card0`.
    pub name: String,
    /// PCI vendor, such as `0x8086`.
    pub vendor: Option<String>,
    /// PCI device.
    pub device: Option<String>,
    /// The driver that is bound to it.
    pub driver: Option<String>,
}

impl Gpu {
    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with_some("Vendor", self.vendor.as_ref())
            .with_some("Device", self.device.as_ref())
            .with_some("Driver", self.driver.as_ref())
    }
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's name.
    pub name: String,
    /// `up`, `down`, `unknown`, … as the kernel says.
    pub state: String,
    /// Largest packet in bytes.
    pub mtu: Option<u64>,
    /// Speed in Mbit/s, where the driver knows it.
    pub speed: Option<u64>,
    /// Whether a device stands behind it.
    pub physical: bool,
}

impl Interface {
    /// From the attributes `operstate`, `mtu` and `speed` (−1 or unreadable when unknown).
    #[must_use]
    pub fn parse(name: &str, state: &str, mtu: &str, speed: Option<&str>, physical: bool) -> Self {
        Self {
            name: text::clip(name),
            state: text::clip(state),
            mtu: text::number(mtu),
            speed: speed
                .and_then(text::number)
                .filter(|speed| *speed < u64::from(u32::MAX)),
            physical,
        }
    }

    pub(super) fn row(&self) -> State {
        State::new()
            .with("Name", &self.name)
            .with("State", &self.state)
            .with_some("Mtu", self.mtu)
            .with_some("SpeedMbit", self.speed)
            .with("Physical", self.physical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks() {
        let disk = Disk::parse("vda", "2048\n", "1\n", "0\n", "1\n").unwrap();
        assert_eq!(
            (disk.size, disk.rotational, disk.removable, disk.read_only),
            (1 << 20, true, false, true)
        );
        for size in ["0", "", "-1", "18446744073709551615", "many"] {
            assert_eq!(Disk::parse("vda", size, "0", "0", "0"), None, "{size}");
        }
    }

    #[test]
    fn models() {
        for (vendor, model, want) in [
            (
                Some("ATA     \n"),
                Some("Samsung SSD 870 \n"),
                Some("Samsung SSD 870"),
            ),
            (
                Some("QEMU"),
                Some("QEMU HARDDISK"),
                Some("QEMU QEMU HARDDISK"),
            ),
            (Some("0x1af4\n"), None, None),
            (None, Some("Force MP510"), Some("Force MP510")),
            (None, None, None),
        ] {
            assert_eq!(disk_model(vendor, model).as_deref(), want);
        }
    }

    #[test]
    fn interfaces() {
        for (speed, want) in [
            (Some("1000\n"), Some(1000)),
            (Some("-1\n"), None),
            (Some("4294967295"), None),
            (None, None),
        ] {
            assert_eq!(
                Interface::parse("eth0", "up\n", "1500\n", speed, true).speed,
                want
            );
        }
        let odd = Interface::parse("eth0", "\u{7}up", "?", None, false);
        assert_eq!((odd.state.as_str(), odd.mtu), ("up", None));
    }
}
