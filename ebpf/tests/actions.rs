//! Every action on the running kernel: each is done, and its event has what was done.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "support/fire.rs"]
mod fire;
mod support;

use std::collections::BTreeMap;
use std::process::Command;

use fire::Range;
use quantumos_ebpf::{Access, Action, Class, Event, Pattern, Settings, Watch};
use support::{load, wait_for};

fn sleeper() -> Command {
    let mut command = Command::new("/bin/sleep");
    command.arg("60");
    command
}

#[test]
fn every_action_is_seen() {
    let directory = tempfile::tempdir().expect("directory");
    let range = Range {
        directory: directory.path().canonicalize().expect("path"),
        sleeper,
        module: None,
    };
    let settings = Settings {
        classes: Class::ALL.into_iter().skip(5).collect(),
        ignore_self: false,
        watches: vec![Watch {
            pattern: Pattern::Path(range.watched().into_os_string().into_encoded_bytes()),
            access: Access::Write,
        }],
        ..Settings::default()
    };
    let Some((probes, mut rings)) = load(&settings) else {
        return;
    };
    let mut fired = 0;
    for action in Class::ALL.into_iter().flat_map(Action::of) {
        let check = match range.fire(action) {
            Ok(check) => check,
            // Not everything can be done everywhere: in a container, without modules.
            Err(error) => {
                println!("skipped: {action}: {error}");
                continue;
            }
        };
        let event = wait_for(&mut rings, action.name(), |event| match event {
            Event::Action(event) if event.action == action && check(event) => {
                Some((**event).clone())
            }
            _ => None,
        });
        assert!(event.context.time > 0 && event.context.process.start_time > 0);
        assert!(!event.path_truncated && !event.other_truncated, "{event:?}");
        fired += 1;
    }
    assert!(fired >= 20, "only {fired} actions could be done");
    assert_eq!(probes.lost().expect("counters").values().sum::<u64>(), 0);
}

#[test]
fn a_cgroup_has_its_limit() {
    const LIMIT: u32 = 50;
    const FILES: usize = 500;
    let directory = tempfile::tempdir().expect("directory");
    let settings = Settings {
        classes: [Class::File].into(),
        actions: [Action::Unlink].into(),
        limits: BTreeMap::from([(Class::File, LIMIT)]),
        ignore_self: false,
        ..Settings::default()
    };
    let Some((probes, mut rings)) = load(&settings) else {
        return;
    };
    for number in 0..FILES {
        let path = directory.path().join(number.to_string());
        std::fs::File::create(&path).expect("create");
        std::fs::remove_file(&path).expect("remove");
    }
    let mut received = 0;
    rings.drain(10_000, &mut |_| received += 1);
    let limited = probes.limited().expect("counters")[&Class::File] as usize;
    let lost = probes.lost().expect("counters")[&Class::File];
    // Others on this host remove files, too; the storm may have crossed a few seconds.
    assert!(
        limited > 0 && received >= LIMIT as usize,
        "{limited} limited, {received} received"
    );
    assert!(
        received + limited >= FILES && lost == 0,
        "{limited} limited, {received} received"
    );
}

#[test]
fn a_relative_path_is_completed() {
    let directory = tempfile::tempdir().expect("directory");
    let whole = directory.path().canonicalize().expect("path");
    std::fs::create_dir(whole.join("sub")).expect("directory");
    std::fs::write(whole.join("a\nb\u{fffd}"), b"").expect("file");
    let settings = Settings {
        classes: [Class::File].into(),
        ..Settings::default()
    };
    let Some((_probes, mut rings)) = load(&settings) else {
        return;
    };
    let status = Command::new("/bin/mv")
        .args(["sub/../a\nb\u{fffd}", "./sub/c"])
        .current_dir(&whole)
        .status();
    assert!(status.expect("mv").success());
    let bytes = |name: &str| whole.join(name).into_os_string().into_encoded_bytes();
    wait_for(&mut rings, "rename", |event| match event {
        Event::Action(event)
            if event.action == Action::Rename
                && event.path == bytes("a\nb\u{fffd}")
                && event.other == bytes("sub/c") =>
        {
            Some(())
        }
        _ => None,
    });
}
