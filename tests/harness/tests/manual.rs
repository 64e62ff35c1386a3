//! The man pages that dbus/man writes hold every member of every interface of the contract.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

use std::{fs, path::Path, process::Command};

use quantumos_harness::contract;

#[test]
fn every_member_is_in_its_page() {
    let contract_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbus");
    let pages = tempfile::tempdir().unwrap();
    let status = Command::new(contract_folder.join("man"))
        .arg(pages.path())
        .status()
        .unwrap();
    assert!(status.success());
    let mut members_seen = 0;
    for file in fs::read_dir(contract_folder.join("interfaces")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for (name, members) in contract::interfaces(&text).unwrap() {
            let page = fs::read_to_string(pages.path().join(format!("{name}.5"))).unwrap();
            for member in members {
                let words: Vec<&str> = member.split([' ', '(']).collect();
                let line = format!("\\fB{}\\fR (", words[1]);
                assert!(page.contains(&line), "{name}.5 lacks {member}");
                members_seen += 1;
            }
        }
    }
    assert!(members_seen > 50, "{members_seen} members");
}
