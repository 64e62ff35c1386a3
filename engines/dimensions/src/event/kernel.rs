//! What the kernel tells: records of its log and uevents of its devices.

use super::{Event, Kind, Severity};
use crate::{text, unit};

/// A record of `/dev/kmsg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Severity as in syslog, 0 (emergency) to 7 (debug).
    pub priority: u8,
    /// Facility as in syslog; 0 is the kernel itself.
    pub facility: u32,
    /// Number of the record.
    pub sequence: u64,
    /// Microseconds of the monotonic clock.
    pub time: u64,
    /// The text, clipped.
    pub text: String,
}

impl Record {
    /// Reads one record: `priority,sequence,time,flags;text`, then continuation lines.
    #[must_use]
    pub fn parse(record: &str) -> Option<Self> {
        let (head, rest) = record.split_once(';')?;
        let mut fields = head.split(',');
        let prefix: u32 = text::number(fields.next()?)?;
        let sequence = text::number(fields.next()?)?;
        let time = text::number(fields.next()?)?;
        let message = rest.lines().next().unwrap_or_default();
        Some(Self {
            priority: (prefix & 7) as u8,
            facility: prefix >> 3,
            sequence,
            time,
            text: text::clip_to(message, 512),
        })
    }
}

/// The event of a kernel record at `now` (microseconds since the epoch), if it is worth one:
/// an out-of-memory kill, with the victim and its unit, or a record of the kernel itself of
/// priority `err` or worse.
#[must_use]
pub fn kernel_event(record: &Record, now: u64) -> Option<Event> {
    if record.facility != 0 {
        return None;
    }
    if let Some(details) = record.text.strip_prefix("oom-kill:") {
        let field = |name: &str| {
            details
                .split(',')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                .filter(|v| !v.is_empty())
        };
        let mut subjects = Vec::new();
        subjects.extend(
            field("task_memcg")
                .and_then(unit::from_cgroup)
                .map(|unit| format!("unit:{unit}")),
        );
        subjects.extend(field("pid").map(|pid| format!("pid:{pid}")));
        let task = field("task").unwrap_or("a task");
        return Some(Event {
            time: now,
            kind: Kind::Kernel,
            severity: Severity::Critical,
            subjects,
            text: format!("out of memory: killed {task}"),
        });
    }
    let severity = match record.priority {
        0..=2 => Severity::Critical,
        3 => Severity::Warning,
        _ => return None,
    };
    Some(Event {
        time: now,
        kind: Kind::Kernel,
        severity,
        subjects: Vec::new(),
        text: text::clip(&record.text),
    })
}

/// A kernel uevent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `remove`, `change`, …
    pub action: String,
    /// The device's path below `/sys`.
    pub path: String,
    /// The subsystem, such as `block` or `drm`.
    pub subsystem: String,
    /// The device's name: the last element of the path.
    pub name: String,
}

impl Uevent {
    /// Reads a message of the kernel's own netlink group: `action@path`, then `KEY=value`
    /// fields, each ended by a zero byte. What udev sends (it starts with `libudev`) is none.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let mut fields = message
            .split(|byte| *byte == 0)
            .filter_map(|field| std::str::from_utf8(field).ok());
        let (action, path) = fields.next()?.split_once('@')?;
        let subsystem = fields.find_map(|field| field.strip_prefix("SUBSYSTEM="))?;
        Some(Self {
            action: text::clip(action),
            path: text::clip_to(path, 512),
            subsystem: text::clip(subsystem),
            name: text::clip(path.rsplit('/').next().unwrap_or_default()),
        })
    }

    /// The event of a device that came or went, if its subsystem is one that people plug.
    #[must_use]
    pub fn event(&self, now: u64) -> Option<Event> {
        let word = match self.action.as_str() {
            "add" => "appeared",
            "remove" => "is gone",
            _ => return None,
        };
        [
            "block",
            "cpu",
            "drm",
            "memory",
            "net",
            "power_supply",
            "scsi",
            "thermal",
            "usb",
        ]
        .contains(&self.subsystem.as_str())
        .then(|| Event {
            time: now,
            kind: Kind::Hardware,
            severity: Severity::Info,
            subjects: vec![format!("device:{}", self.name)],
            text: format!("{} {} {word}", self.subsystem, self.name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records() {
        let record =
            Record::parse("3,815,5140900,-;ata1: hard resetting link\n SUBSYSTEM=ata\n").unwrap();
        assert_eq!(
            record,
            Record {
                priority: 3,
                facility: 0,
                sequence: 815,
                time: 5_140_900,
                text: "ata1: hard resetting link".to_owned(),
            }
        );
        assert_eq!(Record::parse("30,1,2,-;systemd[1]: x").unwrap().facility, 3);
        for odd in ["", ";", "x,1,2,-;a", "3,1;a", "3,1,2,-"] {
            assert_eq!(Record::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn an_out_of_memory_kill_names_victim_and_unit() {
        let text = "6,900,1,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
                    oom_memcg=/system.slice/hog.service,task_memcg=/system.slice/hog.service,task=hog,pid=42,uid=0";
        let event = kernel_event(&Record::parse(text).unwrap(), 5).unwrap();
        assert_eq!(event.subjects, ["unit:hog.service", "pid:42"]);
        assert_eq!(
            (event.severity, event.text.as_str()),
            (Severity::Critical, "out of memory: killed hog")
        );
    }

    #[test]
    fn priorities() {
        for (record, want) in [
            ("2,1,1,-;panic", Some(Severity::Critical)),
            ("3,1,1,-;error", Some(Severity::Warning)),
            ("4,1,1,-;warning", None),
            ("6,1,1,-;info", None),
            // A program may write to /dev/kmsg too, but not in the kernel's name.
            ("11,1,1,-;oom-kill:task=init,pid=1", None),
        ] {
            assert_eq!(
                kernel_event(&Record::parse(record).unwrap(), 0).map(|event| event.severity),
                want,
                "{record}"
            );
        }
    }

    #[test]
    fn uevents() {
        let message = b"add@/devices/pci0/usb1/1-1\0ACTION=add\0DEVPATH=/devices/pci0/usb1/1-1\0SUBSYSTEM=usb\0SEQNUM=7\0";
        let uevent = Uevent::parse(message).unwrap();
        assert_eq!(
            (
                uevent.action.as_str(),
                uevent.subsystem.as_str(),
                uevent.name.as_str()
            ),
            ("add", "usb", "1-1")
        );
        assert_eq!(uevent.event(0).unwrap().text, "usb 1-1 appeared");
        let quiet = Uevent::parse(b"change@/devices/x\0SUBSYSTEM=usb\0").unwrap();
        assert_eq!(quiet.event(0), None);
        assert_eq!(Uevent::parse(b"libudev\0\xfe\xed\xca\xfe"), None);
        assert_eq!(Uevent::parse(b"add@/devices/x\0"), None);
        assert_eq!(Uevent::parse(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[0-9]{0,12},[0-9]{0,22},[0-9]{0,22},-;(oom-kill:)?.{0,40}") {
            let _ = Uevent::parse(&bytes);
            if let Some(record) = Record::parse(&text) {
                let _ = kernel_event(&record, 0);
            }
        }
    }
}
