//! Requests and facts in, plans and refusals out.

use super::*;

pub(crate) const POLICY: Policy = Policy {
    seconds: 900,
    most_seconds: 86_400,
    throttle_percent: 10,
};

pub(crate) fn id(pid: u32) -> Identity {
    Identity {
        pid,
        start: u64::from(pid) * 10,
    }
}

const FILE: File = File {
    inode: 5,
    device_major: 8,
    device_minor: 1,
};

fn process(pid: u32, executable: &str, unit: &str) -> ProcessFacts {
    ProcessFacts {
        identity: id(pid),
        executable: executable.into(),
        is_authentic: true,
        file: Some(FILE),
        unit: Some(unit.into()),
        ..ProcessFacts::default()
    }
}

fn unit(name: &str, processes: Vec<ProcessFacts>) -> UnitFacts {
    UnitFacts {
        name: name.into(),
        groups: vec![77, 78],
        processes,
    }
}

/// A web server whose process 40 is somebody else's by now.
fn nginx() -> Facts {
    let implant = process(40, "/usr/bin/bash", "nginx.service");
    let server = process(30, "/usr/sbin/nginx", "nginx.service");
    Facts {
        unit: Some(unit("nginx.service", vec![server, implant.clone()])),
        process: Some(implant),
        caller: Some(Caller {
            lineage: vec![id(900), id(800), id(1)],
            unit: Some("session-3.scope".into()),
        }),
    }
}

fn without_process(mut facts: Facts) -> Facts {
    facts.process = None;
    facts
}

fn decide(grade: Grade, scope: Option<Scope>, facts: &Facts) -> Result<Plan, Refusal> {
    decide_about(facts.process.is_some(), grade, scope, facts)
}

fn decide_about(
    of_process: bool,
    grade: Grade,
    scope: Option<Scope>,
    facts: &Facts,
) -> Result<Plan, Refusal> {
    let request = Request {
        grade,
        of_process,
        scope,
        seconds: None,
    };
    let protection = Protection {
        own: id(500),
        ..Protection::default()
    };
    plan(&request, facts, &protection, &POLICY)
}

#[test]
fn what_each_grade_does_to_a_process_and_a_unit() {
    let nginx_unit = || "nginx.service".to_string();
    let throttle = Act::Throttle {
        unit: nginx_unit(),
        quota: 100_000,
        io_weight: 1,
    };
    let in_unit = Act::DenyFile {
        file: FILE,
        groups: vec![77, 78],
    };
    let (of_process, of_unit) = (nginx(), without_process(nginx()));
    let cases = [
        (Grade::Observe, None, &of_process, Act::None, 0),
        (Grade::Notify, None, &of_unit, Act::None, 0),
        (Grade::Throttle, None, &of_process, throttle.clone(), 900),
        (Grade::Throttle, Some(Scope::Unit), &of_unit, throttle, 900),
        (
            Grade::Freeze,
            None,
            &of_process,
            Act::StopProcess(id(40)),
            900,
        ),
        (
            Grade::Freeze,
            Some(Scope::Unit),
            &of_process,
            Act::FreezeUnit(nginx_unit()),
            900,
        ),
        (
            Grade::Freeze,
            None,
            &of_unit,
            Act::FreezeUnit(nginx_unit()),
            900,
        ),
        (
            Grade::Isolate,
            None,
            &of_process,
            Act::Isolate(nginx_unit()),
            900,
        ),
        (Grade::Kill, None, &of_process, Act::KillProcess(id(40)), 0),
        (Grade::Kill, None, &of_unit, Act::KillUnit(nginx_unit()), 0),
        (Grade::Deny, None, &of_process, in_unit, 900),
        (
            Grade::Deny,
            None,
            &of_unit,
            Act::DenyGroups(vec![77, 78]),
            900,
        ),
    ];
    for (grade, scope, facts, act, seconds) in cases {
        let plan = decide(grade, scope, facts).unwrap();
        assert_eq!(
            (&plan.act, plan.seconds),
            (&act, seconds),
            "{grade:?} {scope:?}"
        );
        assert!(!plan.effect.is_empty(), "{grade:?}");
    }
    let mut facts = nginx();
    facts.process.as_mut().unwrap().executable = "/dev/shm/x".into();
    let groups = Vec::new();
    let everywhere = decide(Grade::Deny, Some(Scope::Host), &facts).unwrap();
    assert_eq!(everywhere.act, Act::DenyFile { file: FILE, groups });
}

#[test]
fn what_is_protected_is_refused_and_the_reason_says_by_what() {
    type Change = fn(&mut Facts);
    let cases: [(Grade, Option<Scope>, Change, &str); 16] = [
        (
            Grade::Kill,
            None,
            |f| f.process.as_mut().unwrap().identity.pid = 1,
            "init",
        ),
        (
            Grade::Freeze,
            None,
            |f| f.process.as_mut().unwrap().kernel_thread = true,
            "kernel",
        ),
        (
            Grade::Kill,
            None,
            |f| f.process.as_mut().unwrap().identity = id(500),
            "security-ai",
        ),
        (
            Grade::Kill,
            None,
            |f| f.process.as_mut().unwrap().identity = id(800),
            "caller",
        ),
        (
            Grade::Kill,
            None,
            |f| f.process.as_mut().unwrap().unit = Some("dbus.service".into()),
            "dbus.service",
        ),
        (
            Grade::Freeze,
            None,
            |f| f.process.as_mut().unwrap().executable = "/usr/bin/login".into(),
            "/usr/bin/login",
        ),
        (
            Grade::Freeze,
            Some(Scope::Unit),
            |f| f.unit.as_mut().unwrap().name = "init.scope".into(),
            "init.scope",
        ),
        (
            Grade::Isolate,
            None,
            |f| f.unit.as_mut().unwrap().name = "ssh.service".into(),
            "ssh.service",
        ),
        (
            Grade::Throttle,
            None,
            |f| f.unit.as_mut().unwrap().name = "user.slice".into(),
            "neither",
        ),
        (
            Grade::Throttle,
            None,
            |f| f.unit.as_mut().unwrap().name = "session-3.scope".into(),
            "caller",
        ),
        (
            Grade::Kill,
            Some(Scope::Unit),
            |f| f.unit.as_mut().unwrap().processes[0].executable = "/usr/sbin/sshd".into(),
            "holds what is protected: 30 runs /usr/sbin/sshd",
        ),
        (
            Grade::Freeze,
            Some(Scope::Unit),
            |f| f.unit.as_mut().unwrap().processes[0].identity = id(900),
            "holds what is protected",
        ),
        (
            Grade::Deny,
            Some(Scope::Unit),
            |f| f.unit.as_mut().unwrap().name = "dbus.service".into(),
            "dbus.service",
        ),
        (
            Grade::Deny,
            None,
            |f| f.unit.as_mut().unwrap().name = "polkit.service".into(),
            "polkit.service",
        ),
        (
            Grade::Deny,
            None,
            |f| f.unit.as_mut().unwrap().name = "session-3.scope".into(),
            "caller",
        ),
        (
            Grade::Deny,
            Some(Scope::Host),
            |_| (),
            "/usr/bin/bash is protected",
        ),
    ];
    for (grade, scope, change, words) in cases {
        let mut facts = nginx();
        change(&mut facts);
        let refusal = decide(grade, scope, &facts).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Protected(reason) if reason.contains(words)),
            "{grade:?} {words}: {refusal:?}"
        );
    }
}

#[test]
fn a_path_of_another_mount_namespace_protects_nobody() {
    let mut facts = nginx();
    let process = facts.process.as_mut().unwrap();
    process.executable = "/usr/sbin/sshd".into();
    process.is_authentic = false;
    assert_eq!(
        decide(Grade::Kill, None, &facts).unwrap().act,
        Act::KillProcess(id(40))
    );
    assert!(decide(Grade::Deny, Some(Scope::Host), &facts).is_ok());
}

#[test]
fn a_file_whose_number_is_others_too_is_denied_with_its_unit_only() {
    let mut facts = nginx();
    facts.process.as_mut().unwrap().shares_numbers = Some("btrfs".into());
    for scope in [Scope::Process, Scope::Host] {
        let refusal = decide(Grade::Deny, Some(scope), &facts).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Unsupported(reason) if reason.contains("is on btrfs")),
            "{refusal:?}"
        );
    }
    assert!(decide(Grade::Deny, None, &without_process(facts.clone())).is_ok());
    assert!(decide(Grade::Kill, None, &facts).is_ok());
}

#[test]
fn what_is_gone_senseless_or_unsupported_is_refused_as_such() {
    let gone = |refusal: &Refusal| matches!(refusal, Refusal::Gone(_));
    let senseless = |refusal: &Refusal| matches!(refusal, Refusal::Senseless(_));
    let mut ended = nginx();
    ended.process.as_mut().unwrap().has_ended = true;
    ended.process.as_mut().unwrap().file = None;
    let mut homeless = nginx();
    homeless.unit = None;
    let nothing = Facts::default();
    let of_unit = without_process(nginx());
    for (grade, scope, facts) in [
        (Grade::Kill, None, &ended),
        (Grade::Deny, None, &ended),
        (Grade::Isolate, None, &homeless),
        (Grade::Deny, None, &homeless),
        (Grade::Freeze, None, &nothing),
    ] {
        let refusal = decide(grade, scope, facts).unwrap_err();
        assert!(gone(&refusal), "{grade:?}: {refusal:?}");
    }
    for grade in [Grade::Kill, Grade::Freeze, Grade::Deny] {
        // The unit is there, the process isn't: its unit does not stand in for it.
        let refusal = decide_about(true, grade, None, &of_unit).unwrap_err();
        assert!(gone(&refusal), "{grade:?}: {refusal:?}");
    }
    for (grade, scope, facts) in [
        (Grade::Throttle, Some(Scope::Process), &nginx()),
        (Grade::Isolate, Some(Scope::Host), &nginx()),
        (Grade::Kill, Some(Scope::Host), &nginx()),
        (Grade::Kill, Some(Scope::Process), &of_unit),
        (Grade::Deny, Some(Scope::Host), &of_unit),
    ] {
        let refusal = decide(grade, scope, facts).unwrap_err();
        assert!(senseless(&refusal), "{grade:?}: {refusal:?}");
    }
    let mut without_groups = of_unit.clone();
    without_groups.unit.as_mut().unwrap().groups.clear();
    assert!(matches!(
        decide(Grade::Deny, None, &without_groups),
        Err(Refusal::Unsupported(_))
    ));
    let mut many = of_unit;
    many.unit.as_mut().unwrap().groups = (2..100).collect();
    assert!(matches!(
        decide(Grade::Deny, None, &many),
        Err(Refusal::TooMany(_))
    ));
}

#[test]
fn time_is_bounded_and_only_for_what_can_be_undone() {
    let protection = Protection::default();
    for (grade, asked, wanted) in [
        (Grade::Freeze, Some(5), Ok(5)),
        (Grade::Freeze, Some(0), Ok(0)),
        (Grade::Freeze, None, Ok(900)),
        (Grade::Freeze, Some(86_401), Err(())),
        (Grade::Kill, Some(5), Ok(0)),
        (Grade::Observe, None, Ok(0)),
    ] {
        let request = Request {
            grade,
            of_process: true,
            scope: None,
            seconds: asked,
        };
        let seconds = plan(&request, &nginx(), &protection, &POLICY).map(|plan| plan.seconds);
        assert_eq!(seconds.map_err(drop), wanted, "{grade:?} {asked:?}");
    }
}
