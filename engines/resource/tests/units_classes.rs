//! Names of units, where cgroups part, and classes.

use proptest::prelude::*;
use quantumos_resource::class::{Class, Classes, Rule, matches};
use quantumos_resource::units::{holds_units, is_unit, parting, unit_of};

#[test]
fn units_are_read_from_paths() {
    let table = [
        ("/", None),
        ("/system.slice", Some("system.slice")),
        ("/system.slice/cron.service", Some("cron.service")),
        (
            "/user.slice/user-1000.slice/session-1.scope",
            Some("session-1.scope"),
        ),
        ("/system.slice/cron.service/payload", None),
        ("/system.slice/a b.service", None),
        ("/.service", None),
        ("/-.slice", Some("-.slice")),
    ];
    for (path, unit) in table {
        assert_eq!(unit_of(path), unit, "{path}");
    }
    assert!(holds_units("/") && holds_units("/a.slice") && !holds_units("/a.slice/b.service"));
    assert!(!is_unit(&format!("{}.service", "x".repeat(300))));
}

#[test]
fn weights_compete_where_paths_part() {
    let table = [
        (
            "/a.slice/x.service",
            "/a.slice/y.service",
            Some(("/a.slice/x.service", "/a.slice/y.service")),
        ),
        (
            "/a.slice/x.service",
            "/b.slice/c.slice/y.service",
            Some(("/a.slice", "/b.slice")),
        ),
        (
            "/a.slice/x.service",
            "/a.slice/b.slice/y.service",
            Some(("/a.slice/x.service", "/a.slice/b.slice")),
        ),
        ("/a.slice", "/a.slice/y.service", None),
        ("/a.slice", "/a.slice", None),
        ("/ab.slice", "/a.slice/b", Some(("/ab.slice", "/a.slice"))),
    ];
    for (one, other, expected) in table {
        assert_eq!(parting(one, other), expected, "{one} {other}");
        assert_eq!(
            parting(other, one),
            expected.map(|(a, b)| (b, a)),
            "{other} {one}"
        );
    }
}

#[test]
fn classes_follow_the_administrator_first() {
    let own = Rule {
        unit: "cron.service".into(),
        class: Class::Build,
    };
    let classes = Classes::new(vec![own], vec!["mine-*.service".into()]).unwrap();
    let table = [
        ("cron.service", Class::Build),
        ("session-4.scope", Class::Interactive),
        ("man-db.service", Class::Background),
        ("build-7.scope", Class::Build),
        ("nginx.service", Class::Service),
    ];
    for (unit, class) in table {
        assert_eq!(classes.of(unit).0, class, "{unit}");
    }
    for unit in [
        "mine-1.service",
        "systemd-journald.service",
        "init.scope",
        "dbus-broker.service",
        "user@1000.service",
    ] {
        assert!(classes.protected(unit).is_some(), "{unit}");
    }
    assert!(classes.protected("nginx.service").is_none());
    assert!(Classes::new(vec![], vec![String::new()]).is_err());
    assert!(Classes::new(vec![], vec!["x".repeat(256)]).is_err());
    assert!(Classes::new(vec![], vec!["x".into(); 513]).is_err());
}

/// The obvious definition, slow.
fn matches_slowly(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            matches_slowly(&pattern[1..], name)
                || !name.is_empty() && matches_slowly(pattern, &name[1..])
        }
        (Some(b'?'), Some(_)) => matches_slowly(&pattern[1..], &name[1..]),
        (Some(a), Some(b)) => a == b && matches_slowly(&pattern[1..], &name[1..]),
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_match_by_their_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
        prop_assert_eq!(matches(&pattern, &name), matches_slowly(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn no_path_brings_parting_down(one in "(/[a-z.]{0,4}){0,4}", other in "(/[a-z.]{0,4}){0,4}") {
        if let Some((a, b)) = parting(&one, &other) {
            prop_assert!(one.starts_with(a) && other.starts_with(b) && a != b);
        }
    }
}
