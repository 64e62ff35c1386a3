//! Names of programs, from the kernel's table of processes.

use crate::text;

/// `PF_KTHREAD`: the process is a thread of the kernel.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The name of a program that runs as a process, from its `stat`: at most 15 bytes, as the
/// kernel keeps it. Threads of the kernel and processes that have ended are none.
#[must_use]
pub fn program(stat: &str) -> Option<String> {
    // The name may hold any byte, blanks and parentheses too; what follows it may not.
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let flags: u64 = text::number(fields.nth(5)?)?;
    let name = text::clip_to(name, 15);
    (flags & KERNEL_THREAD == 0 && !matches!(state, "Z" | "X") && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn programs() {
        for (stat, want) in [
            ("1 (systemd) S 0 1 1 0 -1 4194560 1 2", Some("systemd")),
            ("7 (a) b (c)) R 1 7 7 0 -1 4194304 1", Some("a) b (c)")),
            ("2 (kthreadd) S 0 0 0 0 -1 2129984 0", None),
            ("9 (gone) Z 1 9 9 0 -1 4194304 0", None),
            ("9 (short) S 1", None),
            ("9 () S 1 9 9 0 -1 4194304 0", None),
            ("", None),
        ] {
            assert_eq!(program(stat).as_deref(), want, "{stat}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in "[0-9]{0,3}[ (]{0,2}.{0,20}[) ]{0,2}[A-Z]( -?[0-9]{0,22}){0,9}") {
            let _ = program(&text);
        }
    }
}
