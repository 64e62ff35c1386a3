use super::*;
use crate::accounts::Accounts;
use crate::answer::Answer;
use crate::names::Names;
use crate::observed::What;
use crate::proc::Proc;
use crate::process::Processes;
use crate::units::Units;
use quantumos_detect::Event as _;
use quantumos_ebpf::{Context, Peer, ProcessKey, Target};
use std::net::{IpAddr, Ipv4Addr};

fn event(action: Action, arguments: [u64; 4], path: &str, other: &str) -> ActionEvent {
    ActionEvent {
        path: path.into(),
        other: other.into(),
        ..ActionEvent::bare(Context::default(), action, arguments)
    }
}

fn values(event: &ActionEvent, field: Field) -> String {
    let (processes, accounts) = (Processes::new(16), Accounts::default());
    let units = Units::new(Proc::new("/nowhere"));
    let mut names = Names::default();
    names.learn(
        &Answer {
            name: "pool.example".into(),
            addresses: vec![(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 60)],
        },
        0,
    );
    let view = View {
        what: What::Done(event),
        context: &event.context,
        processes: &processes,
        accounts: &accounts,
        units: &units,
        names: &names,
    };
    let mut out = Vec::new();
    view.each(field, &mut |value| {
        out.push(match value {
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Value::Number(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Address(address) => address.to_string(),
            Value::Hexadecimal(number) => format!("{number:x}"),
        });
    });
    out.join(",")
}

#[test]
fn each_action_has_the_fields_of_its_class() {
    let peer = |mut event: ActionEvent| {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        event.peer = Some(Peer {
            address,
            port: 99,
            protocol: 17,
        });
        event
    };
    let target = |mut event: ActionEvent| {
        event.target = Some(Target {
            process: ProcessKey {
                pid: 7,
                start_time: 1,
            },
            comm: Vec::new(),
        });
        event
    };
    type Case = (ActionEvent, Class, &'static [(Field, &'static str)]);
    let cases: Vec<Case> = vec![
        (
            event(Action::Rename, [0; 4], "/old", "/new"),
            Class::FileRename,
            &[
                (Field::TargetFilename, "/new"),
                (Field::SourceFilename, "/old"),
            ],
        ),
        (
            event(Action::Symlink, [0; 4], "/link", "/etc/shadow"),
            Class::FileLink,
            &[
                (Field::TargetFilename, "/link"),
                (Field::SourceFilename, "/etc/shadow"),
                (Field::LinkKind, "symbolic"),
            ],
        ),
        (
            event(Action::Chmod, [0o104755, 0, 0, 0], "/x", ""),
            Class::FileChange,
            &[
                (Field::Change, "mode"),
                (Field::Mode, "4755"),
                (Field::Owner, ""),
            ],
        ),
        (
            event(Action::Chown, [0, 0xffff_ffff, 0, 0], "/x", ""),
            Class::FileChange,
            &[(Field::Owner, "0"), (Field::Group, "")],
        ),
        (
            event(Action::SetUid, [0, 0, UNKNOWN, UNKNOWN], "", ""),
            Class::CredentialChange,
            &[(Field::NewUid, "0"), (Field::OldUid, "")],
        ),
        (
            event(Action::CapSet, [0b101, 0b101, 1, 1], "", ""),
            Class::CredentialChange,
            &[(Field::Capabilities, "cap_dac_read_search")],
        ),
        (
            event(Action::Unshare, [0x1002_0000, 0, 0, 0], "", ""),
            Class::SystemCall,
            &[
                (Field::SystemCall, "unshare"),
                (Field::Namespaces, "mnt,user"),
                (Field::Argument0, "10020000"),
            ],
        ),
        (
            event(Action::Mprotect, [5, 0, 0, 0], "", ""),
            Class::SystemCall,
            &[(Field::Argument2, "5"), (Field::Argument0, "")],
        ),
        (
            peer(event(Action::Bind, [0; 4], "", "")),
            Class::NetworkListen,
            &[
                (Field::SourcePort, "99"),
                (Field::SourceIp, "192.0.2.1"),
                (Field::DestinationHostname, ""),
            ],
        ),
        (
            peer(event(Action::Accept, [22, 0, 0, 0], "", "")),
            Class::NetworkConnection,
            &[
                (Field::DestinationPort, "99"),
                (Field::SourcePort, "22"),
                (Field::Initiated, "false"),
            ],
        ),
        (
            peer(event(Action::Dup, [1, 0, 0, 0], "", "")),
            Class::SocketRedirection,
            &[
                (Field::Descriptor, "1"),
                (Field::DestinationIp, "192.0.2.1"),
                (Field::DestinationHostname, "pool.example"),
            ],
        ),
        (
            event(Action::RawSocket, [17, 3, 768, 0], "", ""),
            Class::SocketCreation,
            &[
                (Field::SocketFamily, "packet"),
                (Field::SocketType, "raw"),
                (Field::Protocol, "768"),
            ],
        ),
        (
            target(event(Action::Kill, [9, 0, 0, 0], "", "")),
            Class::ProcessSignal,
            &[(Field::Signal, "9"), (Field::TargetProcessId, "7")],
        ),
        (
            target(event(Action::TraceMe, [0; 4], "", "")),
            Class::ProcessAccess,
            &[(Field::CallType, "PTRACE_TRACEME")],
        ),
    ];
    for (event, wanted, fields) in cases {
        assert_eq!(class(&event), wanted, "{}", event.action);
        for (field, value) in fields {
            assert_eq!(
                values(&event, *field),
                *value,
                "{} {}",
                event.action,
                field.name()
            );
        }
    }
}

#[test]
fn what_is_reported_is_what_rules_are_compiled_for() {
    let options = quantumos_detect::Options::default();
    for action in Action::ALL {
        let event = event(*action, [0; 4], "", "");
        let class = class(&event);
        assert!(
            options.classes.contains(&class),
            "{action}: {}",
            class.name()
        );
        if class == Class::SystemCall || class == Class::CredentialChange {
            let name = action.name();
            assert!(
                options.system_calls.iter().any(|call| call == name),
                "{name}"
            );
        }
    }
}
