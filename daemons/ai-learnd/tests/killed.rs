//! Killed at any moment: a process that keeps windows and publishes models over and over is killed again and again,
//! and each time what it left is whole.
#![allow(clippy::panic, clippy::unwrap_used)]

use ai_learnd::archive::Archive;
use ai_learnd::shelf::{MANIFEST, MODEL, PROFILE, SIGNATURE, Shelf};
use quantumos_learn::{Item, Kind, Window, token};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FOLDER: &str = "QUANTUMOS_TEST_KILLED";
const ROUNDS: u64 = 30;
const KEEP: usize = 40;
const SEED: u64 = 2026;

fn window(number: u64) -> Window {
    let item = |token| Item {
        kind: Kind::Step,
        token,
        count: 1,
        label: String::new(),
    };
    Window {
        subject: "a.service".into(),
        start: number,
        items: (0..60).map(item).collect(),
        ..Window::default()
    }
}

/// The files of a model say which one they belong to.
fn files(serial: u64) -> [(&'static str, Vec<u8>); 4] {
    let content = vec![serial as u8; 20_000];
    [MODEL, PROFILE, MANIFEST, SIGNATURE].map(|name| (name, content.clone()))
}

/// What is killed: not a test of its own.
#[test]
#[ignore = "started by the other test"]
fn works_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut archive = Archive::open(&folder).unwrap();
    let shelf = Shelf::open(&folder.join("models")).unwrap();
    let mut number = 0;
    loop {
        let new: Vec<Window> = (0..9).map(|more| window(number + more)).collect();
        archive.add(&new, KEEP).unwrap();
        number += 9;
        let serial = shelf.serials().last().copied().unwrap_or(0) + 1;
        let files = files(serial);
        let files = files
            .each_ref()
            .map(|(name, content)| (*name, &content[..]));
        shelf.put(serial, &files).unwrap();
        shelf.publish(serial).unwrap();
        shelf.prune(3);
        println!("step");
    }
}

fn whole(folder: &Path) {
    let shelf = Shelf::open(&folder.join("models")).unwrap();
    for entry in std::fs::read_dir(folder.join("models")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(
            !name.as_encoded_bytes().starts_with(b"."),
            "{name:?} stayed"
        );
    }
    for serial in shelf.serials() {
        for (name, content) in files(serial) {
            let path = folder.join(format!("models/{serial}/{name}"));
            assert!(
                std::fs::read(&path).unwrap() == content,
                "{}",
                path.display()
            );
        }
    }
    let published = shelf.published();
    assert!(
        shelf.serials().contains(&published),
        "{published} is in force"
    );
    let archive = Archive::open(folder).unwrap();
    let (windows, left_out) = archive.windows(1000).unwrap();
    assert_eq!((left_out, windows.len()), (0, archive.len()));
}

#[test]
fn what_a_kill_leaves_is_whole() {
    println!("seed {SEED}");
    let folder = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "works_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut steps = 0;
        while steps <= token::sequence(&[SEED, round]) % 4 {
            let mut line = String::new();
            assert!(
                lines.read_line(&mut line).unwrap() > 0,
                "it ended by itself"
            );
            // The first comes behind the name of the test.
            steps += u64::from(line.ends_with("step\n"));
        }
        // Some of the work of the next step goes by, as much as the draw says.
        let mut idle = 0_u64;
        for turn in 0..token::sequence(&[SEED, round, 1]) % 2_000_000 {
            idle = std::hint::black_box(idle ^ turn);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = lines.read_to_end(&mut Vec::new());
        whole(folder.path());
    }
}
