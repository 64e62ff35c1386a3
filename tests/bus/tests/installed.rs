//! What `dbus/` installs against what the source says: an action nobody asks for, one that polkit doesn't know,
//! an interface that no test compares with the live object, a policy that lets callers to an interface that isn't.

#![allow(clippy::unwrap_used)] // a test says so by failing

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The texts of the files below `directory` whose names end in `ending`.
fn texts(directory: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(texts(&path, ending));
        } else if path.to_str().unwrap().ends_with(ending) {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// What stands between each `start` and the next `"`, with `prefix`.
fn quoted<'a>(text: &'a str, start: &str, prefix: &str) -> BTreeSet<&'a str> {
    text.split(start)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|name| name.starts_with(prefix))
        .collect()
}

/// Whether a name is one of an action: `org.quantumos.` and lower case, as no bus name or interface has.
fn is_action(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c == '.' || c == '-';
    name.strip_prefix("org.quantumos.")
        .is_some_and(|rest| rest.contains('.') && rest.chars().all(allowed))
}

/// Directories of the daemons with this name inside, such as `src`.
fn of_daemons(inside: &str) -> Vec<(PathBuf, String)> {
    let daemons = std::fs::read_dir(top().join("daemons")).unwrap();
    daemons
        .map(|daemon| daemon.unwrap().path().join(inside))
        .filter(|directory| directory.is_dir())
        .flat_map(|directory| texts(&directory, ".rs"))
        .collect()
}

fn interfaces() -> BTreeSet<String> {
    let all = texts(&top().join("dbus/interfaces"), ".xml");
    let names: BTreeSet<String> = all
        .iter()
        .flat_map(|(path, xml)| {
            let names = quoted(xml, "<interface name=\"", "org.quantumos.");
            let file = path.file_stem().unwrap().to_str().unwrap();
            assert_eq!(names, BTreeSet::from([file]), "{}", path.display());
            names.into_iter().map(str::to_owned)
        })
        .collect();
    assert!(names.len() >= 11, "{names:?}");
    names
}

/// Every test there is, but this one.
fn tests() -> Vec<(PathBuf, String)> {
    let mut all = of_daemons("tests");
    all.extend(texts(&top().join("tests/bus/tests"), ".rs"));
    all.retain(|(path, _)| !path.ends_with("tests/installed.rs"));
    all
}

#[test]
fn each_action_is_defined_once_asked_for_and_tested() {
    let mut defined = BTreeSet::new();
    let policies = texts(&top().join("dbus/polkit-1/actions"), ".policy");
    for (path, policy) in &policies {
        for id in quoted(policy, "<action id=\"", "") {
            assert!(is_action(id), "{}: {id}", path.display());
            assert!(defined.insert(id), "{id} is defined twice");
        }
    }
    let sources = of_daemons("src");
    let asked: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, text)| quoted(text, "\"", "org.quantumos."))
        .filter(|name| is_action(name))
        .collect();
    assert_eq!(
        asked, defined,
        "asked for in daemons/*/src, defined in dbus"
    );
    let tests = tests();
    for action in defined {
        let named = tests
            .iter()
            .any(|(_, text)| text.contains(&format!("\"{action}\"")));
        assert!(named, "no test sees that {action} is asked for");
    }
}

/// polkit answers questions about other users only to root and to the owner of the action, and no daemon is root.
#[test]
fn each_action_belongs_to_the_user_of_the_daemon_that_asks_for_it() {
    let sources = of_daemons("src");
    for (path, policy) in texts(&top().join("dbus/polkit-1/actions"), ".policy") {
        for action in policy.split("<action id=\"").skip(1) {
            let id = action.split('"').next().unwrap();
            let asks = sources
                .iter()
                .filter(|(_, text)| text.contains(&format!("\"{id}\"")));
            let daemons: BTreeSet<String> = asks
                .map(|(source, _)| {
                    let below = source.strip_prefix(top().join("daemons")).unwrap();
                    let daemon = below.iter().next().unwrap();
                    daemon.to_str().unwrap().to_owned()
                })
                .collect();
            for daemon in daemons {
                let unit = top().join(format!("units/systemd/{daemon}.service"));
                let unit = std::fs::read_to_string(unit).unwrap();
                let user = unit.lines().find_map(|line| line.strip_prefix("User="));
                let owner = format!(
                    "<annotate key=\"org.freedesktop.policykit.owner\">unix-user:{}</annotate>",
                    user.unwrap()
                );
                assert!(
                    action.contains(&owner),
                    "{}: {id} is not {owner}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn each_interface_is_compared_with_a_live_object() {
    let tests = tests();
    let compared: BTreeSet<&str> = tests
        .iter()
        .filter(|(_, text)| text.contains("contract::differences("))
        .flat_map(|(_, text)| quoted(text, "\"", "org.quantumos."))
        .collect();
    for name in interfaces() {
        assert!(
            compared.contains(name.as_str()),
            "no test compares {name} with what its object says"
        );
    }
}

#[test]
fn policies_let_callers_to_interfaces_that_exist() {
    let interfaces = interfaces();
    let policies = texts(&top().join("dbus/system.d"), ".conf");
    for (path, policy) in &policies {
        let own = path.file_stem().unwrap().to_str().unwrap();
        let named = |key: &str| quoted(policy, &format!("{key}=\""), "");
        assert_eq!(named("own"), BTreeSet::from([own]), "{}", path.display());
        // security-ai freezes units, which systemd's own policy lets root alone ask for.
        let frozen = BTreeSet::from(["FreezeUnit", "ThawUnit"]);
        let systemd = "org.freedesktop.systemd1";
        let beside = named("send_member").is_superset(&frozen) && own.ends_with("Security1");
        let destinations = if beside {
            vec![own, systemd]
        } else {
            vec![own]
        };
        let destinations = BTreeSet::from_iter(destinations);
        assert_eq!(named("send_destination"), destinations, "{own}");
        for interface in named("send_interface") {
            let known = interfaces.contains(interface)
                || ["Introspectable", "ObjectManager", "Peer", "Properties"]
                    .iter()
                    .any(|name| interface == format!("org.freedesktop.DBus.{name}"))
                || (beside && interface == "org.freedesktop.systemd1.Manager");
            assert!(known, "{own}: no interface {interface}");
        }
        let service = top().join(format!("dbus/system-services/{own}.service"));
        let text = std::fs::read_to_string(service).unwrap();
        assert!(text.contains(&format!("Name={own}\n")), "{own}: {text}");
    }
    assert!(policies.len() >= 4);
}
