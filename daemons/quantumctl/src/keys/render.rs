//! Keys as text.

use jiff::tz::TimeZone;

use super::model::Key;
use crate::text::{
    escape::{escape, shorten},
    style::Style,
    table::{Table, pairs},
    time::local,
};

/// Longest label in a table, in columns.
const LABEL: usize = 32;

/// The list, one line a key.
pub fn list(keys: &[Key], style: Style, zone: &TimeZone) -> String {
    if keys.is_empty() {
        return "no keys; make one with: quantumctl keys create LABEL\n".to_owned();
    }
    let mut table = Table::new(&[
        "ID",
        "LABEL",
        "ALGORITHM",
        "STATE",
        "PROTECTION",
        "OWNER",
        "CREATED",
    ])
    .right(&[5]);
    for key in keys {
        table.row([
            escape(&key.id),
            shorten(&escape(&key.label), LABEL),
            escape(&key.algorithm),
            escape(&key.state),
            escape(&key.protection),
            key.owner.to_string(),
            local(key.created_at, zone),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        3 | 4 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}

/// Everything about one key.
pub fn details(key: &Key, style: Style, zone: &TimeZone) -> String {
    let state = escape(&key.state);
    let mut rows = vec![
        ("Id", escape(&key.id)),
        ("Label", escape(&key.label)),
        ("Algorithm", escape(&key.algorithm)),
        ("State", style.severity(&key.state, &state)),
        (
            "Protection",
            style.severity(&key.protection, &escape(&key.protection)),
        ),
        ("Owner", format!("uid {}", key.owner)),
        ("Version", key.version.to_string()),
        ("Created", local(key.created_at, zone)),
    ];
    if let Some((_, at)) = key.versions.last().filter(|(number, _)| *number > 1) {
        rows.push(("Rotated", local(*at, zone)));
    }
    for (kind, subject, operations) in &key.grants {
        let words = operations.join(" ");
        rows.push(("Grant", escape(&format!("{kind} {subject}: {words}"))));
    }
    if key.revoked_at != 0 {
        rows.push(("Revoked", local(key.revoked_at, zone)));
        rows.push(("Reason", escape(&key.revocation_reason)));
    }
    rows.push(("Object", escape(&key.path)));
    pairs(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::model::tests::key;

    #[test]
    fn a_list_is_aligned_and_escaped() {
        let keys = [key("a1b2", "签名"), key("c3", "evil\x1b[2J")];
        assert_eq!(
            list(&keys, Style::PLAIN, &TimeZone::UTC),
            "\
ID    LABEL        ALGORITHM  STATE   PROTECTION  OWNER  CREATED
a1b2  签名         ML-DSA-87  active  tpm             0  2025-11-21 12:00:00
c3    evil\\x1b[2J  ML-DSA-87  active  tpm             0  2025-11-21 12:00:00
"
        );
        assert_eq!(
            list(&[], Style::PLAIN, &TimeZone::UTC),
            "no keys; make one with: quantumctl keys create LABEL\n"
        );
    }

    #[test]
    fn details_show_a_revocation() {
        let mut revoked = key("c3", "old");
        revoked.state = "revoked".into();
        revoked.revoked_at = 1_763_726_460_000_000;
        revoked.revocation_reason = "rotated\n".into();
        assert_eq!(
            details(&revoked, Style::PLAIN, &TimeZone::UTC),
            "\
Id:          c3
Label:       old
Algorithm:   ML-DSA-87
State:       revoked
Protection:  tpm
Owner:       uid 0
Version:     1
Created:     2025-11-21 12:00:00
Revoked:     2025-11-21 12:01:00
Reason:      rotated\\n
Object:      /org/quantumos/keys/c3
"
        );
    }
}
