//! What audit records have in common that are made from events of one kind: all of an execution are of the system call
//! `execve`, none of an opened file has arguments. Rules that can't match such records needn't be asked about them.

use crate::audited::{Audited, Kind, RECORDS};
use crate::class::Class;
use crate::event::{Event, Record, Value};
use crate::field::Field;

/// What an audit record was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape(u8);

const CLASSES: u8 = Class::ALL.len() as u8;

impl Shape {
    /// How many there are.
    pub(crate) const COUNT: usize = Class::ALL.len() + 1 + RECORDS.len();

    pub(crate) fn of(class: Class, kind: Kind) -> Self {
        Self(match kind {
            Kind::Message(place) => CLASSES + 1 + place,
            // Only a rename is two records.
            Kind::Call(Field::SourceFilename) => CLASSES,
            Kind::Call(_) => class as u8,
        })
    }

    pub(crate) fn place(self) -> usize {
        usize::from(self.0)
    }

    /// Each shape that there is, with the fields whose values are the same in all records of it, and a record that
    /// has those values.
    pub(crate) fn settled() -> impl Iterator<Item = (Shape, Vec<Field>, Record)> {
        let called = Class::ALL
            .iter()
            .filter(|class| !matches!(class, Class::ProcessTermination | Class::Audit | Class::Log))
            .map(|class| (*class, Kind::Call(Field::TargetFilename)));
        let renamed = [(Class::FileRename, Kind::Call(Field::SourceFilename))];
        let written = (0..)
            .zip(RECORDS)
            .map(|(n, _)| (Class::Log, Kind::Message(n)));
        called.chain(renamed).chain(written).map(|(class, kind)| {
            let event = Full(class);
            let full = Audited {
                event: &event,
                kind,
            };
            let mut record = Record::new(Class::Audit);
            let mut fields = Vec::new();
            for field in Field::ALL {
                let mut present = false;
                let fixed = is_fixed(class, kind, *field);
                full.each(*field, &mut |value| {
                    present = true;
                    if fixed {
                        record = std::mem::replace(&mut record, Record::new(Class::Audit))
                            .with_value(*field, value);
                    }
                });
                if fixed || !present {
                    fields.push(*field);
                }
            }
            (Shape::of(class, kind), fields, record)
        })
    }
}

/// Whether a field's value follows from what the record was made from alone.
fn is_fixed(class: Class, kind: Kind, field: Field) -> bool {
    match (kind, field) {
        (_, Field::RecordType) => true,
        (Kind::Message(_), _) => false,
        (_, Field::Permission) => true,
        (_, Field::NameType) => class != Class::FileEvent,
        (_, Field::SystemCall) => matches!(
            class,
            Class::ProcessCreation
                | Class::FileEvent
                | Class::FileAccess
                | Class::FileDelete
                | Class::FileRename
                | Class::NetworkListen
                | Class::SocketCreation
                | Class::SocketRedirection
                | Class::ProcessSignal
        ),
        _ => false,
    }
}

/// An event that has a value in each field that its class carries.
struct Full(Class);

impl Event for Full {
    fn class(&self) -> Class {
        self.0
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        if self.0.carries(field) {
            visit(Value::Bytes(b"x"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{Fate, RuleSet, Source};
    use proptest::prelude::*;

    /// Values that the dynamic parts of audit records hang on, and some that nothing hangs on.
    fn value(field: Field) -> BoxedStrategy<Vec<u8>> {
        let one = |texts: &[&'static str]| {
            proptest::sample::select(texts.to_vec())
                .prop_map(|text| text.as_bytes().to_vec())
                .boxed()
        };
        match field {
            Field::LinkKind => one(&["hard", "symbolic"]),
            Field::Change => one(&["mode", "owner", "length", "times", "attribute"]),
            Field::Initiated | Field::Created => one(&["true", "false"]),
            Field::CallType => one(&["process_vm_writev", "PTRACE_ATTACH"]),
            Field::SystemCall => one(&["mount", "execve", "personality"]),
            Field::Identifier => one(&["useradd", "passwd", "groupdel", "a"]),
            Field::Message => one(&["new user: name=a, b", "password changed for a", "group a"]),
            Field::MessageId => one(&[
                "9d1aaa27d60140bd96365438aad20286",
                "39f53479d3a045ac8e11786248231fbf",
                "b",
            ]),
            Field::JournalPid => one(&["1", "2"]),
            _ => "[ab/]{0,3}".prop_map(String::into_bytes).boxed(),
        }
    }

    /// An event of any class with some of the fields that it carries.
    fn event() -> impl Strategy<Value = Record> {
        proptest::sample::select(Class::ALL.to_vec()).prop_flat_map(|class| {
            let carried = Field::ALL.iter().filter(|field| class.carries(**field));
            let fields: Vec<_> = carried
                .map(|field| {
                    let values = proptest::collection::vec(value(*field), 0..3);
                    (Just(*field), values).boxed()
                })
                .collect();
            fields.prop_map(move |fields| {
                fields
                    .into_iter()
                    .flat_map(|(field, values)| values.into_iter().map(move |value| (field, value)))
                    .fold(Record::new(class), |record, (field, value)| {
                        record.with(field, value)
                    })
            })
        })
    }

    /// One test of an audit record.
    fn test() -> impl Strategy<Value = String> {
        let field = proptest::sample::select(vec![
            "name",
            "exe",
            "a0",
            "a1",
            "uid",
            "auid",
            "acct",
            "unit",
            "key",
            "addr",
            "proctitle",
            "Image",
            "MESSAGE",
        ]);
        let modifier =
            proptest::sample::select(vec!["", "|contains", "|endswith", "|re", "|cased", "|neq"]);
        prop_oneof![
            proptest::sample::select(vec![
                "type: EXECVE",
                "type: PATH",
                "type|contains: [SOCK, USER]",
                "type: SERVICE_STOP",
                "type|neq: SYSCALL",
                "nametype: CREATE",
                "nametype: [DELETE, NORMAL]",
                "perm: r",
                "perm|re: 'w|x'",
                "SYSCALL: [execve, openat]",
                "SYSCALL: linkat",
                "SYSCALL: [fchownat, mount]",
                "SYSCALL|contains: accept",
                "SYSCALL|exists: false",
                "name: null",
                "a1: null",
                "a1|exists: true",
                "acct|exists: true",
                "a0|fieldref: a1",
                "SYSCALL|fieldref: a0",
                "unit: null",
            ])
            .prop_map(str::to_string),
            (field, modifier, "[ab/]{1,2}")
                .prop_map(|(field, modifier, value)| format!("{field}{modifier}: '{value}'")),
        ]
    }

    /// A list of tests, of which one has to hold.
    fn selection() -> impl Strategy<Value = String> {
        proptest::collection::vec(test(), 1..3).prop_map(|tests| {
            let items: Vec<String> = tests.iter().map(|test| format!("{{{test}}}")).collect();
            items.join(", ")
        })
    }

    fn rule() -> impl Strategy<Value = String> {
        let condition = proptest::sample::select(vec![
            "a and b",
            "a or b",
            "a and not b",
            "not a and not b",
            "not a",
            "a and b and not c",
            "2 of them",
            "c or (a and b)",
        ]);
        (selection(), test(), selection(), condition).prop_map(|(a, b, c, condition)| {
            format!(
                "title: t\nlogsource: {{product: linux, service: auditd}}\ndetection:\n  a: [{a}]\n  b: {{{b}}}\n  c: [{c}]\n  condition: {condition}\n"
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]
        #[test]
        fn records_match_what_they_match_without_a_shape(
            rules in proptest::collection::vec(rule(), 1..8),
            events in proptest::collection::vec(event(), 1..16),
        ) {
            let rules: Vec<String> = rules
                .iter()
                .enumerate()
                .map(|(n, rule)| rule.replacen("title: t", &format!("title: t{n}"), 1))
                .collect();
            let set = RuleSet::compile(rules.iter().map(|text| Source { name: "r.yml", text }));
            for listed in &set.report {
                prop_assert!(!matches!(listed.fate, Fate::Failed(_)), "{:?}", listed.fate);
            }
            let mut scratch = set.matcher.scratch();
            for event in &events {
                for record in Audited::of(event) {
                    let expected = set.matcher.matches_in_turn(&record);
                    prop_assert_eq!(
                        set.matcher.matches(&record, &mut scratch), &expected[..],
                        "{:?} {:?}", record, rules
                    );
                }
            }
        }
    }

    #[test]
    fn every_record_has_a_shape_of_its_own() {
        let mut places: Vec<usize> = Shape::settled().map(|(shape, ..)| shape.place()).collect();
        let before = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), before);
        assert!(places.iter().all(|place| *place < Shape::COUNT));
    }
}
