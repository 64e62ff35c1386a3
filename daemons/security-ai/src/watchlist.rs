//! The files whose opens the kernel reports, derived from the rules in force.
//! What the kernel can compare is a path, the start of a path, or a file's name; the rest of a rule is checked here.

use quantumos_detect::{Anchor, Class, Field, Literal, Needs, Record, RuleSet};
use quantumos_ebpf::{Access, Pattern, Watch};
use std::collections::BTreeMap;

/// The longest start of a path and the longest name that the kernel compares, in bytes.
const LONGEST: (usize, usize) = (254, 63);

/// The list, and the titles of rules that see only files which others are watched for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Watchlist {
    /// For the probes.
    pub watches: Vec<Watch>,
    /// Rules that can match files outside of the list.
    pub partial: Vec<String>,
}

/// The list for a set of rules.
#[must_use]
pub fn of(rules: &RuleSet) -> Watchlist {
    let mut list = Watchlist::default();
    let mut patterns: BTreeMap<(u8, Vec<u8>), Access> = BTreeMap::new();
    for (needs, access) in [
        (
            rules.matcher.needs(Class::FileEvent, Field::TargetFilename),
            Access::Write,
        ),
        (
            rules
                .matcher
                .needs(Class::FileAccess, Field::TargetFilename),
            Access::Read,
        ),
        (audited(rules, "w"), Access::Write),
        (audited(rules, "r"), Access::Read),
    ] {
        let unbounded = needs
            .anything
            .iter()
            .filter_map(|rule| rules.rules.get(*rule as usize));
        list.partial
            .extend(unbounded.map(|rule| rule.title.clone()));
        for literal in &needs.literals {
            match key(literal) {
                Some(key) => {
                    let both = |old: &mut Access| {
                        if *old != access {
                            *old = Access::Any
                        }
                    };
                    patterns.entry(key).and_modify(both).or_insert(access);
                }
                None => list.partial.push(format!(
                    "those with {:?}",
                    String::from_utf8_lossy(&literal.bytes)
                )),
            }
        }
    }
    list.watches = patterns
        .into_iter()
        .map(|((kind, bytes), access)| {
            let pattern = match kind {
                0 => Pattern::Path(bytes),
                1 => Pattern::Prefix(bytes),
                _ => Pattern::Name(bytes),
            };
            Watch { pattern, access }
        })
        .collect();
    list
}

/// What rules for auditd need of the paths of opened files.
fn audited(rules: &RuleSet, permission: &str) -> Needs {
    let mut open = Record::new(Class::Audit).with(Field::Permission, permission);
    for (field, values) in [
        (
            Field::RecordType,
            &["SYSCALL", "PATH", "CWD", "PROCTITLE"][..],
        ),
        (Field::SystemCall, &["openat"]),
        (Field::NameType, &["NORMAL", "CREATE"]),
    ] {
        for value in values {
            open = open.with(field, *value);
        }
    }
    let mut settled = vec![
        Field::RecordType,
        Field::SystemCall,
        Field::NameType,
        Field::Permission,
        Field::AuditAddress,
        Field::AuditUnit,
    ];
    settled.extend(Field::ALL.iter().filter(|field| field.is_argument()));
    rules
        .matcher
        .needs_given(Class::Audit, Field::AuditName, &settled, &open)
}

/// What the kernel is to compare so that nothing that holds the literal is missed, as far as it can: 0 for a path,
/// 1 for a start, 2 for a name.
fn key(literal: &Literal) -> Option<(u8, Vec<u8>)> {
    let bytes = &literal.bytes;
    let name = |bytes: &[u8]| {
        let name = bytes
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default();
        (!name.is_empty() && name.len() <= LONGEST.1).then(|| (2, name.to_vec()))
    };
    let rooted = bytes.first() == Some(&b'/') && bytes.len() <= LONGEST.0;
    match literal.anchor {
        Anchor::Whole if rooted => Some((0, bytes.clone())),
        Anchor::Start if rooted => Some((1, bytes.clone())),
        // `ends with x` without a slash also means `yx`; only the name x can be watched for.
        Anchor::End => name(bytes),
        // `contains /etc/cron` is in practice the start of a path.
        Anchor::Anywhere if rooted && bytes[1..].contains(&b'/') => Some((1, bytes.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_detect::Source;

    #[test]
    fn follows_the_rules() {
        let rule = |title: &str, category: &str, selection: &str| {
            format!(
                "title: {title}\nlogsource: {{category: {category}}}\ndetection:\n  s: {{{selection}}}\n  condition: s\n"
            )
        };
        let texts = [
            rule("a", "file_event", "TargetFilename: [/etc/a, /etc/b]"),
            rule("b", "file_access", "TargetFilename: /etc/a"),
            rule("c", "file_event", "TargetFilename|startswith: /etc/cron.d/"),
            rule(
                "d",
                "file_event",
                "TargetFilename|endswith: /.ssh/authorized_keys",
            ),
            rule("e", "file_event", "TargetFilename|contains: '{echo'"),
            rule(
                "f",
                "file_event",
                "TargetFilename|contains: /etc/profile.d/",
            ),
            rule("g", "file_event", "Image|endswith: /wget"),
        ];
        let list = of(&RuleSet::compile(
            texts.iter().map(|text| Source { name: "r", text }),
        ));
        let watch = |pattern: Pattern, access| Watch { pattern, access };
        assert_eq!(
            list.watches,
            [
                watch(Pattern::Path(b"/etc/a".to_vec()), Access::Any),
                watch(Pattern::Path(b"/etc/b".to_vec()), Access::Write),
                watch(Pattern::Prefix(b"/etc/cron.d/".to_vec()), Access::Write),
                watch(Pattern::Prefix(b"/etc/profile.d/".to_vec()), Access::Write),
                watch(Pattern::Name(b"authorized_keys".to_vec()), Access::Write),
            ]
        );
        assert_eq!(list.partial, ["g", "those with \"{echo\""]);
    }
    #[test]
    fn rules_for_auditd_watch_files_too() {
        let rule = |title: &str, tag: &str, selection: &str| {
            format!(
                "title: {title}\ntags: [{tag}]\nlogsource: {{product: linux, service: auditd}}\ndetection:\n{selection}\n  condition: 1 of s*\n"
            )
        };
        let texts = [
            rule(
                "changed",
                "attack.persistence",
                "  s: {type: PATH, name: /etc/a}",
            ),
            rule(
                "read",
                "attack.discovery",
                "  s1: {type: PATH, name: /etc/b}\n  s2: {type: EXECVE, a0: uname}",
            ),
            rule("run", "attack.discovery", "  s: {type: EXECVE, a0: uname}"),
            rule(
                "made",
                "attack.x",
                "  s: {nametype: CREATE, name|startswith: /etc/c/}",
            ),
            rule("gone", "attack.x", "  s: {nametype: DELETE, name: /etc/d}"),
        ];
        let list = of(&RuleSet::compile(
            texts.iter().map(|text| Source { name: "r", text }),
        ));
        let watch = |pattern: Pattern, access| Watch { pattern, access };
        assert_eq!(
            list.watches,
            [
                watch(Pattern::Path(b"/etc/a".to_vec()), Access::Write),
                watch(Pattern::Path(b"/etc/b".to_vec()), Access::Any),
                watch(Pattern::Prefix(b"/etc/c/".to_vec()), Access::Write),
            ]
        );
        assert!(list.partial.is_empty(), "{:?}", list.partial);
    }
}
