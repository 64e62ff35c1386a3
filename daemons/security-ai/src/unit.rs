//! From a control group's path to the systemd unit that owns it.
//! Works on the unified hierarchy and on the named one of hybrid hosts.

/// The system unit in the text of `/proc/PID/cgroup`, or none: a kernel thread, a host without systemd.
#[must_use]
pub fn of_proc_file(text: &str) -> Option<String> {
    let path = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let named = text
        .lines()
        .find_map(|line| line.split_once(":name=systemd:").map(|(_, path)| path));
    of_path(
        path("0::")
            .filter(|path| *path != "/")
            .or(named)
            .unwrap_or("/"),
    )
}

/// The system unit in a control group's path: the first component that is a unit and no slice.
/// Programs of a user's session are in `user@UID.service` or `session-N.scope`.
#[must_use]
pub fn of_path(path: &str) -> Option<String> {
    let mut slice = None;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        // systemd escapes names that could clash with control files by a leading underscore.
        let part = part.strip_prefix('_').unwrap_or(part);
        match part.rsplit_once('.') {
            Some((_, "service" | "scope" | "socket" | "mount" | "swap")) => {
                return Some(part.to_string());
            }
            Some((_, "slice")) => slice = Some(part),
            _ => break,
        }
    }
    slice.map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_units() {
        let cases = [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("0::/init.scope\n", Some("init.scope")),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n",
                Some("user@1000.service"),
            ),
            (
                "0::/user.slice/user-1000.slice/session-3.scope\n",
                Some("session-3.scope"),
            ),
            (
                "0::/system.slice/system-getty.slice/getty@tty1.service\n",
                Some("getty@tty1.service"),
            ),
            (
                "0::/system.slice/docker-0123.scope/init\n",
                Some("docker-0123.scope"),
            ),
            (
                "12:cpu:/x\n1:name=systemd:/system.slice/a.service\n0::/\n",
                Some("a.service"),
            ),
            ("0::/system.slice\n", Some("system.slice")),
            ("0::/_cpu.service\n", Some("cpu.service")),
            ("0::/\n", None),
            ("0::/kubepods/x\n", None),
            ("", None),
            ("nonsense", None),
        ];
        for (text, expected) in cases {
            assert_eq!(of_proc_file(text).as_deref(), expected, "{text}");
        }
    }
}
