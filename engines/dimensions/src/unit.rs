//! Names of systemd units, as they appear in object paths and control groups.

use crate::text;

/// The unit's name from the last element of its object path, in which systemd writes every
/// byte but letters and digits as `_` and two hex digits.
#[must_use]
pub fn from_object_path(path: &str) -> Option<String> {
    let element = path.strip_prefix("/org/freedesktop/systemd1/unit/")?;
    let mut bytes = Vec::with_capacity(element.len());
    let mut rest = element.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'_' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    let name = text::clip(&String::from_utf8(bytes).ok()?);
    (!name.is_empty()).then_some(name)
}

/// The innermost service or scope of a control group such as `/system.slice/a.service/sub`.
#[must_use]
pub fn from_cgroup(cgroup: &str) -> Option<String> {
    cgroup
        .rsplit('/')
        .find(|part| part.ends_with(".service") || part.ends_with(".scope"))
        .map(text::clip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths() {
        for (path, want) in [
            (
                "/org/freedesktop/systemd1/unit/dbus_2eservice",
                Some("dbus.service"),
            ),
            (
                "/org/freedesktop/systemd1/unit/_31_2emount",
                Some("1.mount"),
            ),
            ("/org/freedesktop/systemd1/unit/a_2", None),
            ("/org/freedesktop/systemd1/unit/a_zz", None),
            ("/org/freedesktop/systemd1/unit/", None),
            ("/org/freedesktop/systemd1/unit/_ff", None),
            ("/org/other", None),
        ] {
            assert_eq!(from_object_path(path).as_deref(), want, "{path}");
        }
    }

    #[test]
    fn control_groups() {
        for (cgroup, want) in [
            ("/system.slice/ssh.service", Some("ssh.service")),
            (
                "/user.slice/user-0.slice/session-1.scope/x",
                Some("session-1.scope"),
            ),
            (
                "/user.slice/user@0.service/app.slice/a.service",
                Some("a.service"),
            ),
            ("/", None),
        ] {
            assert_eq!(from_cgroup(cgroup).as_deref(), want, "{cgroup}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_safe(path in "/org/freedesktop/systemd1/unit/.{0,40}") {
            let _ = from_object_path(&path);
        }
    }
}
