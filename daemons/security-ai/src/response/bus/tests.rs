//! Requests as they come over the wire.

use super::*;

fn value(value: impl Into<Variant<'static>>) -> OwnedVariant {
    OwnedVariant::try_from(value.into()).unwrap()
}

fn dictionary<const N: usize>(entries: [(&str, OwnedVariant); N]) -> Dictionary {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

#[test]
fn requests_are_read_from_what_is_sent() {
    let options = dictionary([
        ("scope", value("unit")),
        ("seconds", value(60_u32)),
        ("reason", value("looks\u{1b}[2J bad")),
    ]);
    let target = dictionary([("pid", value(7_u32)), ("start", value(9_u64))]);
    let read = wanted(&target, "freeze", &options).unwrap();
    assert_eq!(read.aim, Aim::Process(7, Some(9)));
    assert_eq!((read.grade, read.scope), (Grade::Freeze, Some(Scope::Unit)));
    assert_eq!(read.seconds, Some(60));
    assert!(!read.reason.contains('\u{1b}'), "{:?}", read.reason);
    for (target, aim) in [
        (dictionary([("alert", value("12"))]), Aim::Alert(12)),
        (dictionary([("pid", value(7_u32))]), Aim::Process(7, None)),
        (
            dictionary([("unit", value("a@b\\x2d.service"))]),
            Aim::Unit("a@b\\x2d.service".into()),
        ),
    ] {
        let read = wanted(&target, "kill", &Dictionary::new()).unwrap();
        assert_eq!(read.aim, aim);
    }
}

#[test]
fn what_makes_no_sense_is_named() {
    let pid = || dictionary([("pid", value(7_u32))]);
    let none = Dictionary::new;
    let long = "x".repeat(513);
    for (target, grade, options, words) in [
        (pid(), "shoot", none(), "shoot"),
        (none(), "kill", none(), "has to be one of"),
        (
            dictionary([("pid", value(7_u32)), ("unit", value("a.service"))]),
            "kill",
            none(),
            "has to be one of",
        ),
        (
            dictionary([("start", value(7_u64))]),
            "kill",
            none(),
            "has to be one of",
        ),
        (
            dictionary([("pid", value(7_u64))]),
            "kill",
            none(),
            "pid has to be of type u",
        ),
        (
            dictionary([("alert", value("../1"))]),
            "kill",
            none(),
            "not the id",
        ),
        (
            dictionary([("unit", value("a/b.service"))]),
            "kill",
            none(),
            "not the name",
        ),
        (
            dictionary([("unit", value("nodot"))]),
            "kill",
            none(),
            "not the name",
        ),
        (
            dictionary([("name", value("x"))]),
            "kill",
            none(),
            "\"name\" is not known",
        ),
        (
            pid(),
            "kill",
            dictionary([("scope", value("all"))]),
            "none of process",
        ),
        (
            pid(),
            "kill",
            dictionary([("force", value(true))]),
            "\"force\" is not known",
        ),
        (
            pid(),
            "kill",
            dictionary([("reason", value(long))]),
            "at most 512",
        ),
    ] {
        let error = wanted(&target, grade, &options).unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument(text) if text.contains(words)),
            "{words}: {error:?}"
        );
    }
}
