//! Probes that come and go, maps that others change, and executions that are refused.

#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, Map, MapData};
use quantumos_ebpf::{
    Access, Action, Class, Denial, Error, Event, Pattern, Settings, State, Tampering, Watch,
};
use support::{load, wait_for};

fn settings() -> Settings {
    Settings {
        classes: [Class::File, Class::Open].into(),
        ignore_self: false,
        ..Settings::default()
    }
}

/// Whether a path is what an event calls it: hooks see more or less of it.
fn is(seen: &[u8], path: &[u8]) -> bool {
    seen.contains(&b'/') && path.ends_with(seen) || seen.ends_with(path)
}

#[test]
fn what_is_shed_is_not_seen_until_it_is_restored() {
    let Some((mut probes, mut rings)) = load(&settings()) else {
        return;
    };
    let directory = tempfile::tempdir().expect("directory");
    let touch = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).expect("create");
        std::fs::remove_dir(&path).expect("remove");
        path.into_os_string().into_encoded_bytes()
    };
    let state = |probes: &quantumos_ebpf::SecurityProbes, action| {
        let mut rows = probes.coverage().iter();
        rows.find(|row| row.action == Some(action))
            .map(|row| row.state)
    };
    let before = touch("before");
    probes.shed(Action::MkDir, "for a test").expect("shed");
    assert_eq!(state(&probes, Action::MkDir), Some(State::Off));
    let between = touch("between");
    probes.restore(Action::MkDir).expect("restore");
    assert!(state(&probes, Action::MkDir).expect("a row").delivers());
    let after = touch("after");
    let mut seen = Vec::new();
    // The directory's own name is in it: another test may run beside this one.
    wait_for(&mut rings, "the last removal", |event| match event {
        Event::Action(event) => {
            seen.push((event.action, event.path.clone()));
            (event.action == Action::RmDir && is(&event.path, &after)).then_some(())
        }
        _ => None,
    });
    let has = |action, path: &[u8]| {
        let mut seen = seen.iter();
        seen.any(|(one, seen)| *one == action && is(seen, path))
    };
    assert!(
        has(Action::MkDir, &before) && has(Action::MkDir, &after),
        "{seen:?}"
    );
    assert!(!has(Action::MkDir, &between), "{seen:?}");
    assert!(
        has(Action::RmDir, &between),
        "others were shed, too: {seen:?}"
    );
}

#[test]
fn what_nobody_changed_is_as_it_was() {
    let Some((mut probes, _rings)) = load(&settings()) else {
        return;
    };
    assert_eq!(probes.verify().expect("maps"), []);
    probes
        .set_ignored_comms(&[b"any".to_vec()])
        .expect("change");
    assert_eq!(probes.verify().expect("maps"), []);
}

/// Settings under which a map can be told from those of other tests and daemons on this host.
fn marked(mark: &str) -> (Settings, [u8; 16]) {
    let mark = format!("{mark}-{}", std::process::id());
    let mut key = [0; 16];
    key[..mark.len()].copy_from_slice(mark.as_bytes());
    let settings = Settings {
        ignored_comms: vec![mark.into_bytes()],
        ..settings()
    };
    (settings, key)
}

/// What is said of one entry that was put into the map that has the mark.
fn told() -> Tampering {
    Tampering {
        what: "the map ignored_comms was changed: 0 entries gone, 1 new, 0 different; it is as it was again".into(),
        is_mended: true,
    }
}

/// Puts an entry into the map that has the mark, as somebody else with the rights would: by the map's number.
fn tamper(mark: [u8; 16], entry: &[u8; 16]) {
    let mut changed = 0;
    for map in aya::maps::loaded_maps().filter_map(Result::ok) {
        if map.name() == b"ignored_comms"
            && let Ok(data) = aya::maps::MapData::from_id(map.id())
        {
            let map = aya::maps::Map::HashMap(data);
            let mut map = aya::maps::HashMap::<_, [u8; 16], u8>::try_from(map).expect("map");
            if map.get(&mark, 0).is_ok() {
                map.insert(*entry, 1, 0).expect("insert");
                changed += 1;
            }
        }
    }
    assert_eq!(changed, 1, "the map was not found");
}

#[test]
fn a_map_that_another_changes_is_told_of_those_probes_alone() {
    let (settings, mark) = marked("told");
    let Some((mut probes, _rings)) = load(&settings) else {
        return;
    };
    let Some((mut bystander, _rings)) = load(&marked("by").0) else {
        return;
    };
    tamper(mark, b"evil\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(probes.verify().expect("maps"), [told()]);
    assert_eq!(probes.verify().expect("maps"), [], "it was taken back");
    assert_eq!(bystander.verify().expect("maps"), []);
}

/// The maps, by name, of the programs that share the map that has the mark.
fn maps_beside(mark: [u8; 16]) -> BTreeMap<String, MapData> {
    let is_marked = |id: u32| {
        let map = Map::HashMap(MapData::from_id(id).expect("map"));
        let map = aya::maps::HashMap::<_, [u8; 16], u8>::try_from(map).expect("map");
        map.get(&mark, 0).is_ok()
    };
    let all: BTreeMap<u32, String> = aya::maps::loaded_maps()
        .filter_map(Result::ok)
        .map(|map| (map.id(), String::from_utf8_lossy(map.name()).into_owned()))
        .collect();
    let marked = all
        .iter()
        .find(|(id, name)| *name == "ignored_comms" && is_marked(**id));
    let (marked, _) = marked.expect("the marked map");
    aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .filter_map(|program| program.map_ids().ok().flatten())
        .filter(|ids| ids.contains(marked))
        .flatten()
        .filter_map(|id| Some((all.get(&id)?.clone(), MapData::from_id(id).ok()?)))
        .collect()
}

#[test]
fn maps_of_every_form_are_put_back() {
    let (settings, mark) = marked("form");
    let settings = Settings {
        watches: vec![Watch {
            pattern: Pattern::Prefix("/watched/".into()),
            access: Access::Any,
        }],
        ..settings
    };
    let Some((mut probes, _rings)) = load(&settings) else {
        return;
    };
    let mut maps = maps_beside(mark);
    let mut take = |name: &str| maps.remove(name).unwrap_or_else(|| panic!("no map {name}"));
    let mut config: Array<_, [u8; 48]> = Map::Array(take("config")).try_into().expect("config");
    config.set(0, [0; 48], 0).expect("set");
    let mut calls: Array<_, [u8; 16]> = Map::Array(take("calls")).try_into().expect("calls");
    let unlink = u32::try_from(nix::libc::SYS_unlinkat).expect("number");
    calls.set(unlink, [0; 16], 0).expect("set");
    let mut paths: LpmTrie<_, [u8; 256], u8> = Map::LpmTrie(take("watched_paths"))
        .try_into()
        .expect("paths");
    let all: Vec<_> = paths.keys().filter_map(Result::ok).collect();
    assert!(!all.is_empty());
    for key in &all {
        paths.remove(key).expect("remove");
    }
    let found = probes.verify().expect("maps");
    let mended = found.iter().filter(|one| one.is_mended).count();
    assert_eq!((mended, found.len()), (3, 3), "{found:?}");
    assert_eq!(probes.verify().expect("maps"), []);
    assert_ne!(config.get(&0, 0).expect("config"), [0; 48]);
    assert_eq!(paths.keys().filter_map(Result::ok).count(), all.len());
}

/// Our own change takes stock of the maps anew: what another did before must not become what is right.
#[test]
fn a_change_by_another_is_told_though_a_change_of_ours_follows() {
    let (settings, mark) = marked("then");
    let Some((mut probes, _rings)) = load(&settings) else {
        return;
    };
    tamper(mark, b"evil\0\0\0\0\0\0\0\0\0\0\0\0");
    probes.set_watches(&[]).expect("change");
    probes.set_ignored_comms(&[]).expect("change");
    assert_eq!(probes.verify().expect("maps"), [told()]);
    assert_eq!(probes.verify().expect("maps"), [], "told once");
}

/// Only where security hooks fire can anything be refused; where they don't, that is said.
#[test]
fn an_execution_is_refused_and_allowed_again() {
    let Some((mut probes, mut rings)) = load(&Settings {
        classes: [Class::Kernel].into(),
        ..Settings::default()
    }) else {
        return;
    };
    assert!(matches!(
        probes.deny(Denial::Group(1)),
        Err(Error::Settings { .. })
    ));
    let directory = tempfile::tempdir().expect("directory");
    let program = directory.path().join("program");
    std::fs::copy("/bin/true", &program).expect("copy");
    let meta = std::fs::metadata(&program).expect("metadata");
    let device = std::os::unix::fs::MetadataExt::dev(&meta);
    let denial = Denial::File {
        inode: std::os::unix::fs::MetadataExt::ino(&meta),
        device_major: nix::sys::stat::major(device) as u32,
        device_minor: nix::sys::stat::minor(device) as u32,
        cgroup: None,
    };
    let run = || std::process::Command::new(&program).status();
    if let Err(reason) = probes.can_deny() {
        println!("skipped: no security hooks: {reason}");
        assert!(matches!(
            probes.deny(denial),
            Err(Error::NothingAttached(_))
        ));
        assert!(run().expect("run").success());
        return;
    }
    probes.deny(denial).expect("deny");
    assert_eq!(
        run().expect_err("refused").kind(),
        std::io::ErrorKind::PermissionDenied
    );
    wait_for(&mut rings, "the refusal", |event| match event {
        Event::Action(event) if event.action == Action::Denied => {
            event.path.ends_with(b"/program").then_some(())
        }
        _ => None,
    });
    assert!(probes.allow(denial).expect("allow"));
    assert!(run().expect("run").success());
    assert_eq!(probes.denials().count(), 0);
}
