//! What no response ever acts on: a fixed core without which the host can't be reached or run, and what the
//! configuration adds. Nothing takes anything away from the core.

use super::plan::{Caller, ProcessFacts, UnitFacts};
use crate::process::Identity;

/// Units of the core. `*` stands for any text.
const UNITS: &[&str] = &[
    "init.scope",
    "dbus.service",
    "dbus-broker.service",
    "emergency.service",
    "rescue.service",
    "getty@*.service",
    "serial-getty@*.service",
    "console-getty.service",
    "polkit.service",
    "ssh.service",
    "ssh@*.service",
    "sshd.service",
    "sshd@*.service",
    "display-manager.service",
    "gdm.service",
    "gdm3.service",
    "lightdm.service",
    "sddm.service",
    "NetworkManager.service",
    "networking.service",
    "systemd-bsod.service",
    "systemd-fsck*.service",
    "systemd-homed.service",
    "systemd-hostnamed.service",
    "systemd-journald*.service",
    "systemd-logind.service",
    "systemd-machined.service",
    "systemd-networkd*.service",
    "systemd-oomd.service",
    "systemd-resolved.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
    "systemd-userdbd.service",
    "quantumd.service",
    "steppps-mgr.service",
    "security-ai.service",
    "resource-ai.service",
    "ai-learnd.service",
    "network-ai.service",
    "quantum-gateway.service",
];

/// Programs of the core: processes that run them are not acted on, wherever they are.
const EXECUTABLES: &[&str] = &[
    "/usr/lib/systemd/*",
    "/usr/libexec/quantumos/*",
    "/usr/bin/dbus-broker*",
    "/usr/bin/dbus-daemon",
    "/usr/bin/login",
    "/usr/bin/sddm",
    "/usr/lib/openssh/*",
    "/usr/lib/polkit-1/polkitd",
    "/usr/libexec/gdm*",
    "/usr/libexec/polkitd",
    "/usr/sbin/agetty",
    "/usr/sbin/gdm*",
    "/usr/sbin/lightdm",
    "/usr/sbin/sshd",
];

/// Programs that are not refused on the whole host, beside the core: without them nobody could undo it.
const ESSENTIAL: &[&str] = &[
    "/usr/bin/apt*",
    "/usr/bin/bash",
    "/usr/bin/busctl",
    "/usr/bin/dash",
    "/usr/bin/dpkg*",
    "/usr/bin/journalctl",
    "/usr/bin/kill",
    "/usr/bin/mount",
    "/usr/bin/pkexec",
    "/usr/bin/pkttyagent",
    "/usr/bin/quantumctl",
    "/usr/bin/sh",
    "/usr/bin/su",
    "/usr/bin/sudo",
    "/usr/bin/systemctl",
    "/usr/bin/umount",
    "/usr/bin/zsh",
    "/usr/sbin/init",
    "/usr/sbin/sulogin",
    "/usr/sbin/unix_chkpwd",
];

/// What is protected: the core, and what was added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// Patterns of units beside the core's.
    pub units: Vec<String>,
    /// Patterns of executables beside the core's.
    pub executables: Vec<String>,
    /// This process.
    pub own: Identity,
}

impl Protection {
    /// Patterns of units that are protected.
    pub fn units(&self) -> impl Iterator<Item = &str> {
        let added = self.units.iter().map(String::as_str);
        UNITS.iter().copied().chain(added)
    }

    /// Patterns of executables that are protected.
    pub fn executables(&self) -> impl Iterator<Item = &str> {
        let added = self.executables.iter().map(String::as_str);
        EXECUTABLES.iter().copied().chain(added)
    }

    /// Why a process is not acted on, if it isn't.
    #[must_use]
    pub fn of_process(&self, process: &ProcessFacts, caller: Option<&Caller>) -> Option<String> {
        let pid = process.identity.pid;
        if pid == 1 {
            return Some("process 1 is the host's init".into());
        }
        if process.kernel_thread {
            return Some(format!("{pid} is a thread of the kernel"));
        }
        if process.identity == self.own {
            return Some(format!("{pid} is security-ai itself"));
        }
        if caller.is_some_and(|caller| caller.lineage.contains(&process.identity)) {
            return Some(format!("{pid} is the caller, or what the caller runs in"));
        }
        if let Some(unit) = &process.unit
            && let Some(pattern) = self.units().find(|pattern| matches(pattern, unit))
        {
            return Some(format!(
                "{pid} is in {unit}, which is protected ({pattern})"
            ));
        }
        // A path is somebody's choice in a mount namespace of their own; the file it leads to is not.
        let pattern = self
            .executables()
            .find(|pattern| matches(pattern, &process.executable))
            .filter(|_| process.is_authentic);
        pattern.map(|pattern| {
            format!(
                "{pid} runs {}, which is protected ({pattern})",
                process.executable
            )
        })
    }

    /// Why a unit is not acted on as such, if it isn't; what is in it apart.
    #[must_use]
    pub fn of_unit_name(&self, unit: &str, caller: Option<&Caller>) -> Option<String> {
        if !unit.ends_with(".service") && !unit.ends_with(".scope") {
            return Some(format!("{unit} is neither a service nor a scope"));
        }
        if let Some(pattern) = self.units().find(|pattern| matches(pattern, unit)) {
            return Some(format!("{unit} is protected ({pattern})"));
        }
        caller
            .filter(|caller| caller.unit.as_deref() == Some(unit))
            .map(|_| format!("{unit} is what the caller runs in"))
    }

    /// Why a unit with all that is in it is not acted on, if it isn't.
    #[must_use]
    pub fn of_unit(&self, unit: &UnitFacts, caller: Option<&Caller>) -> Option<String> {
        self.of_unit_name(&unit.name, caller).or_else(|| {
            let held = unit.processes.iter();
            let mut reasons = held.filter_map(|process| self.of_process(process, caller));
            reasons
                .next()
                .map(|reason| format!("{} holds what is protected: {reason}", unit.name))
        })
    }

    /// Why a file can't be refused on the whole host, if it can't.
    #[must_use]
    pub fn of_file(&self, path: &str) -> Option<String> {
        let mut patterns = self.executables().chain(ESSENTIAL.iter().copied());
        patterns
            .find(|pattern| matches(pattern, path))
            .map(|pattern| format!("{path} is protected ({pattern}); it can be refused in a unit"))
    }
}

/// Whether a text fits a pattern, in which `*` stands for any text, also none.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    // Each piece at its first place leaves the most room for those after it; the last one is at the end.
    while let Some((piece, after)) = rest.split_once('*') {
        let Some(at) = text.find(piece) else {
            return false;
        };
        text = &text[at + piece.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

/// The path a merged `/usr` gives a program, which is where the kernel finds it.
#[must_use]
pub fn merged(path: &str) -> String {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let top = ["/bin/", "/sbin/", "/lib/", "/lib64/"];
    if top.iter().any(|top| path.starts_with(top)) {
        format!("/usr{path}")
    } else {
        path.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, wanted) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*c", "ac", true),
            ("ab*ba", "aba", false),
            ("getty@*.service", "getty@tty1.service", true),
            ("getty@*.service", "serial-getty@ttyS0.service", false),
            ("*b*", "abc", true),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn old_paths_are_those_of_a_merged_usr() {
        for (path, wanted) in [
            ("/bin/login", "/usr/bin/login"),
            ("/usr/bin/login", "/usr/bin/login"),
            ("/lib/systemd/systemd (deleted)", "/usr/lib/systemd/systemd"),
            ("/bingo", "/bingo"),
        ] {
            assert_eq!(merged(path), wanted);
        }
    }

    #[test]
    fn nothing_is_taken_away_from_the_core() {
        let added = Protection {
            units: vec!["database*.service".into()],
            executables: vec!["/opt/scada".into()],
            ..Protection::default()
        };
        for (unit, wanted) in [
            ("init.scope", true),
            ("dbus.service", true),
            ("systemd-journald.service", true),
            ("systemd-journald@x.service", true),
            ("security-ai.service", true),
            ("ssh@3-10.0.0.1:22.service", true),
            ("database-main.service", true),
            ("user.slice", true),
            ("dev-sda1.swap", true),
            ("nginx.service", false),
            ("session-3.scope", false),
            ("systemd-nspawn@evil.service", false),
            ("run-u3.service", false),
        ] {
            let protected = added.of_unit_name(unit, None);
            assert_eq!(protected.is_some(), wanted, "{unit}: {protected:?}");
        }
        for (file, wanted) in [
            ("/usr/lib/systemd/systemd", true),
            ("/usr/bin/bash", true),
            ("/opt/scada", true),
            ("/opt/scada2", false),
            ("/dev/shm/x", false),
        ] {
            assert_eq!(added.of_file(file).is_some(), wanted, "{file}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            fn defined(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern.split_first(), text.split_first()) {
                    (None, _) => text.is_empty(),
                    (Some((b'*', rest)), _) => (0..=text.len()).any(|n| defined(rest, &text[n..])),
                    (Some((p, rest)), Some((t, more))) => p == t && defined(rest, more),
                    (Some(_), None) => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &text), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
