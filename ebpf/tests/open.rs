//! Opens of watched files on the running kernel.

#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use quantumos_ebpf::{Access, Class, Event, OpenEvent, Pattern, Rings, Settings, Watch};
use support::{load, wait, wait_for};

/// A directory whose real path is known.
struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().expect("real path").join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(&path, "x").expect("write");
        path
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    path.as_os_str().as_bytes().to_vec()
}

fn watch(pattern: Pattern, access: Access) -> Watch {
    Watch { pattern, access }
}

fn opens(watches: Vec<Watch>) -> Settings {
    Settings {
        classes: [Class::Open].into(),
        watches,
        ignore_self: false,
        ..Settings::default()
    }
}

/// Every open that is reported until, and without, the one of `last`.
fn until(rings: &mut Rings, last: &Path) -> Vec<OpenEvent> {
    let last = bytes(last);
    let mut all = Vec::new();
    wait_for(rings, "the last open", |event| match event {
        Event::Open(open) if open.path == last => Some(()),
        Event::Open(open) => {
            all.push(open.clone());
            None
        }
        _ => None,
    });
    all
}

#[test]
fn only_watched_accesses_are_reported() {
    let directory = Directory::new();
    let [both, read, write, other, deep, named, last] = [
        "both",
        "read",
        "write",
        "other",
        "tree/a/b/deep",
        "x/secret.key",
        "last",
    ]
    .map(|name| directory.file(name));
    let watches = vec![
        watch(Pattern::Path(bytes(&both)), Access::Any),
        watch(Pattern::Path(bytes(&read)), Access::Read),
        watch(Pattern::Path(bytes(&write)), Access::Write),
        watch(
            Pattern::Prefix(bytes(&directory.path("tree/"))),
            Access::Write,
        ),
        watch(Pattern::Name(b"secret.key".to_vec()), Access::Read),
        watch(Pattern::Path(bytes(&last)), Access::Read),
    ];
    let Some((probes, mut rings)) = load(&opens(watches)) else {
        return;
    };
    let similar = directory.path("both-not");
    File::create(&similar).expect("create");
    for path in [&both, &read, &write, &other, &deep, &named] {
        File::open(path).expect("read");
        OpenOptions::new().append(true).open(path).expect("write");
    }
    File::open(&last).expect("last");
    let seen: Vec<_> = until(&mut rings, &last)
        .into_iter()
        .map(|open| (open.path, open.read, open.write))
        .collect();
    let expected = vec![
        (bytes(&both), true, false),
        (bytes(&both), false, true),
        (bytes(&read), true, false),
        (bytes(&write), false, true),
        (bytes(&deep), false, true),
        (bytes(&named), true, false),
    ];
    assert_eq!(seen, expected);
    let filtered = probes.filtered().expect("counters");
    assert!(
        filtered.get(&Class::Open).is_some_and(|count| *count >= 7),
        "{filtered:?}"
    );
}

#[test]
fn an_event_names_the_real_file() {
    let directory = Directory::new();
    let file = directory.file("real/target");
    let link = directory.path("link");
    std::os::unix::fs::symlink(&file, &link).expect("link");
    let last = directory.file("last");
    let fresh = directory.path("real/fresh");
    let watches = vec![
        watch(
            Pattern::Prefix(bytes(&directory.path("real/"))),
            Access::Any,
        ),
        watch(Pattern::Path(bytes(&last)), Access::Read),
    ];
    let Some((_probes, mut rings)) = load(&opens(watches)) else {
        return;
    };
    File::open(&link).expect("by link");
    File::open(directory.path("real/../real/./target")).expect("by detour");
    let status = Command::new("/bin/cat")
        .arg("target")
        .current_dir(directory.path("real"))
        .output();
    assert!(status.expect("cat").status.success());
    File::create(&fresh).expect("create");
    File::open(&last).expect("last");
    let seen = until(&mut rings, &last);
    let paths: Vec<_> = seen.iter().map(|open| open.path.clone()).collect();
    assert_eq!(
        paths,
        [bytes(&file), bytes(&file), bytes(&file), bytes(&fresh)]
    );
    let meta = fs::metadata(&file).expect("metadata");
    let first = seen.first().expect("one");
    assert_eq!(
        (first.file.inode, first.file.mode, first.file.owner),
        (meta.ino(), meta.mode(), meta.uid())
    );
    assert!(!first.created && !first.path_truncated);
    assert_eq!(seen.get(2).expect("three").context.comm, b"cat");
    let created = seen.last().expect("four");
    assert!(created.created && created.write && !created.read);
    let mode = created.flags & nix::libc::O_ACCMODE as u32;
    assert_eq!(mode, nix::libc::O_WRONLY as u32);
}

#[test]
fn the_watch_list_can_change() {
    let directory = Directory::new();
    let [one, two, last] = ["one", "two", "last"].map(|name| directory.file(name));
    let list = |path: &Path| {
        vec![
            watch(Pattern::Path(bytes(path)), Access::Any),
            watch(Pattern::Path(bytes(&last)), Access::Any),
        ]
    };
    let Some((mut probes, mut rings)) = load(&opens(list(&one))) else {
        return;
    };
    let open = |path: &Path| drop(File::open(path).expect("open"));
    open(&one);
    open(&two);
    probes.set_watches(&list(&two)).expect("change");
    open(&one);
    open(&two);
    probes
        .set_watches(&[watch(Pattern::Path(b"relative".to_vec()), Access::Any)])
        .expect_err("refused");
    open(&two);
    open(&last);
    let seen: Vec<_> = until(&mut rings, &last)
        .into_iter()
        .map(|open| open.path)
        .collect();
    assert_eq!(seen, [bytes(&one), bytes(&two), bytes(&two)]);
}

#[test]
fn filters_drop_by_thread_name_and_self() {
    let directory = Directory::new();
    let [file, last] = ["file", "last"].map(|name| directory.file(name));
    let settings = Settings {
        ignored_comms: vec![b"head".to_vec()],
        ignore_self: true,
        ..opens(vec![
            watch(Pattern::Path(bytes(&file)), Access::Any),
            watch(Pattern::Path(bytes(&last)), Access::Any),
        ])
    };
    let Some((_probes, mut rings)) = load(&settings) else {
        return;
    };
    File::open(&file).expect("own");
    for (program, path) in [
        ("/usr/bin/head", &file),
        ("/bin/cat", &file),
        ("/bin/cat", &last),
    ] {
        assert!(
            Command::new(program)
                .arg(path)
                .output()
                .expect(program)
                .status
                .success()
        );
    }
    let seen: Vec<_> = until(&mut rings, &last)
        .into_iter()
        .map(|open| open.context.comm)
        .collect();
    assert_eq!(seen, [b"cat".to_vec()]);
}

#[test]
fn every_event_is_delivered_or_counted_as_lost() {
    const THREADS: usize = 4;
    const OPENS: usize = 5_000;
    let directory = Directory::new();
    let file = directory.file("storm");
    let settings = Settings {
        ring_bytes: [(Class::Open, 4096)].into(),
        ..opens(vec![watch(Pattern::Path(bytes(&file)), Access::Read)])
    };
    let Some((probes, mut rings)) = load(&settings) else {
        return;
    };
    let lost = || {
        probes
            .lost()
            .expect("counters")
            .get(&Class::Open)
            .copied()
            .unwrap_or(0) as usize
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let file = file.clone();
            std::thread::spawn(move || {
                for _ in 0..OPENS {
                    File::open(&file).expect("open");
                }
            })
        })
        .collect();
    let mut received = 0;
    // Far fewer reads than writes while the storm lasts, then the rest.
    received += rings.drain(3, &mut |_| {}).events;
    for thread in threads {
        thread.join().expect("thread");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while received + lost() < THREADS * OPENS {
        assert!(
            Instant::now() < deadline,
            "{received} received, {} lost",
            lost()
        );
        wait(&rings, Duration::from_millis(100));
        let drained = rings.drain(100, &mut |_| {});
        assert_eq!(drained.malformed, 0);
        received += drained.events;
    }
    assert_eq!(received + lost(), THREADS * OPENS);
    assert!(
        lost() > 0 && received > 0,
        "{received} received, {} lost",
        lost()
    );
    // With room again, nothing more is lost.
    let before = lost();
    File::open(&file).expect("open");
    wait_for(&mut rings, "after the storm", |_| Some(()));
    assert_eq!(lost(), before);
}
