//! Rules written for auditd, over our events. Such rules name record types and their fields, and lean on the audit
//! configuration of the host they were written for: which files are watched for what, and which key that leaves.
//! Where a rule states it (`-w PATH -p x -k KEY` in the log source's `definition`) it is taken from there.

use crate::field::Field;
use crate::modifier::{self, Predicate};
use crate::pattern::Wildcard;

/// The most watch lines taken from one rule.
const MAX_WATCHES: usize = 1000;

/// A file watch of an audit configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) path: String,
    pub(crate) permissions: String,
    pub(crate) key: String,
}

/// The watches that a definition states.
pub(crate) fn watches(definition: &str) -> Vec<Watch> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let mut watch = Watch {
            path: String::new(),
            permissions: String::new(),
            key: String::new(),
        };
        while let Some(word) = words.next() {
            match word {
                "-w" => watch.path = words.next()?.to_string(),
                "-p" => watch.permissions = words.next()?.to_string(),
                "-k" => watch.key = words.next()?.to_string(),
                _ => {}
            }
        }
        watch.path.starts_with('/').then_some(watch)
    };
    definition
        .lines()
        .filter_map(line)
        .take(MAX_WATCHES)
        .collect()
}

/// Tests of fields, one of which must hold for an event to have been recorded under a key.
pub(crate) type Recorded = Vec<Vec<(Field, Predicate)>>;

/// The events that an audit configuration would have recorded under a key that the predicate accepts.
pub(crate) fn recorded(key: &Predicate, watches: &[Watch]) -> Recorded {
    let Predicate::Like { pattern, cased } = key else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let executed = [text("execve"), text("execveat")];
    for watch in watches
        .iter()
        .filter(|watch| pattern.matches(watch.key.as_bytes(), *cased))
    {
        for path in spellings(&watch.path) {
            if watch.permissions.contains('x') || watch.permissions.is_empty() {
                for call in &executed {
                    out.push(vec![
                        (Field::SystemCall, call.clone()),
                        (Field::AuditExecutable, text(&path)),
                    ]);
                }
            }
            for permission in ["r", "w", "a"] {
                if watch.permissions.contains(permission) {
                    out.push(vec![
                        (Field::Permission, text(permission)),
                        (Field::AuditName, text(&path)),
                    ]);
                }
            }
        }
    }
    // The keys of connections in the widespread configuration that public rules lean on.
    for (name, network) in [
        ("network_connect_4", "0.0.0.0/0"),
        ("network_connect_6", "::/0"),
    ] {
        if pattern.matches(name.as_bytes(), *cased)
            && let Some((network, prefix)) = modifier::cidr(network)
        {
            out.push(vec![
                (Field::SystemCall, text("connect")),
                (Field::AuditAddress, Predicate::Cidr { network, prefix }),
            ]);
        }
    }
    out
}

fn text(text: &str) -> Predicate {
    Predicate::Like {
        pattern: Wildcard::literal(text),
        cased: true,
    }
}

/// Programs may stand in `/bin` or `/usr/bin`, which are one where `/usr` is merged.
fn spellings(path: &str) -> Vec<String> {
    let mut out = vec![path.to_string()];
    for folder in ["/bin/", "/sbin/"] {
        if path.starts_with(folder) {
            out.push(format!("/usr{path}"));
        }
    }
    out
}

/// Whether an audit configuration would record that this rule's files are read. Without a definition only rules
/// about discovery are meant to see reads: who changes a file is another matter than who looks at it.
pub(crate) fn sees_reads(watches: &[Watch], tags: &[String]) -> bool {
    if watches.is_empty() {
        return tags.iter().any(|tag| tag == "attack.discovery");
    }
    watches.iter().any(|watch| watch.permissions.contains('r'))
}

/// That a file is only read.
pub(crate) fn read_only() -> Predicate {
    text("r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_watches_and_finds_what_they_record() {
        let text_of = "Required:\n-w /bin/nc -p x -k susp\n -w /etc/issue -p r -k recon\n-w relative -p x -k y\nx";
        let found = watches(text_of);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].path.as_str(), found[0].key.as_str()),
            ("/bin/nc", "susp")
        );
        assert!(sees_reads(&found, &[]));
        assert!(!sees_reads(&found[..1], &["attack.discovery".into()]));
        assert!(sees_reads(&[], &["attack.discovery".into()]));
        assert!(!sees_reads(&[], &["attack.persistence".into()]));
        // Two spellings, two calls each.
        assert_eq!(recorded(&text("susp"), &found).len(), 4);
        assert_eq!(recorded(&text("recon"), &found).len(), 1);
        assert_eq!(recorded(&text("network_connect_4"), &found).len(), 1);
        assert_eq!(recorded(&text("other"), &found).len(), 0);
    }
}
