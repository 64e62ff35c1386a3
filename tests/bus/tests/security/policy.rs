//! The bus policy that is installed, on a bus that denies what nothing allows, as the system bus does.

use crate::stage::NOBODY;
use futures_util::StreamExt;
use quantumos_dbus::{
    Alert1Proxy, Dimension1Proxy, Error, Security1Proxy, Service1Proxy, bus_name, path,
};
use quantumos_harness::PrivateBus;
use quantumos_service::Directories;
use security_ai::{SecurityAi, Settings};
use std::collections::HashMap;
use std::path::Path;
use steppps_mgr::StepppsMgr;
use zbus::Variant;
use zbus::fdo::{IntrospectableProxy, ObjectManagerProxy};

/// An alert as a daemon before this one left it.
const STANDING: &str = r#"{"raised":{"id":4,"count":2,"key":"k","alert":{"rule":"r","title":"T","level":"high","tags":[],"time":1,"class":"process_creation","pid":1,"uid":0,"user":"root","unit":"","executable":"/x","command_line":"x","ancestors":[],"fields":{},"explanation":"e"}}}
"#;

/// The user who stands for `steppps`, since the bus knows those of the password file only: `daemon`.
const STEPPPS: u32 = 1;

/// The elements of the policy file that is installed for a service.
pub fn elements(service: &str) -> String {
    let file = format!("../../dbus/system.d/org.quantumos.{service}.conf");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let policy = std::fs::read_to_string(file).unwrap();
    let start = policy.find("<busconfig>").unwrap() + "<busconfig>".len();
    let elements = policy[start..].strip_suffix("</busconfig>\n");
    elements.unwrap().to_owned()
}

/// The same where security-ai runs as the user of the test, and steppps-mgr as [`STEPPPS`].
fn installed(service: &str) -> String {
    elements(service)
        .replace("user=\"security-ai\"", "user=\"root\"")
        .replace("user=\"steppps\"", "user=\"daemon\"")
}

#[tokio::test]
async fn steppps_finds_what_security_ai_can_be_asked() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: a daemon of another user needs root");
        return;
    }
    let policy = installed("Security1") + &installed("Steppps1");
    let bus = PrivateBus::start_with(&policy).unwrap();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("state")).unwrap();
    std::fs::write(root.path().join("state/alerts.jsonl"), STANDING).unwrap();
    let security = bus
        .serve::<SecurityAi>(root.path(), Settings::default())
        .await
        .unwrap();
    let directories = Directories {
        root: root.path().to_owned(),
        state: root.path().to_owned(),
        runtime: root.path().to_owned(),
    };
    let connection = bus.connect_as(STEPPPS).await.unwrap();
    let settings = steppps_mgr::Settings::default();
    let steppps = quantumos_service::serve::<StepppsMgr>(connection, directories, settings)
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let prompt = Dimension1Proxy::builder(&client)
        .path(format!("{}/prompt", path::STEPPPS))
        .build()
        .await
        .unwrap();
    let state = prompt.state().await.unwrap();
    let texts = |key: &str| Vec::<String>::try_from(state[key].clone()).unwrap();
    let services = texts("Services");
    assert!(
        services.iter().any(|name| name == bus_name::SECURITY),
        "{state:?}"
    );
    let interfaces = texts("Interfaces");
    for name in ["Security1", "Alerts1", "Alert1", "Service1"] {
        let name = format!("org.quantumos.{name}");
        assert!(interfaces.contains(&name), "{name}: {interfaces:?}");
    }
    let stranger = bus.connect_as(NOBODY).await.unwrap();
    let asked = IntrospectableProxy::builder(&stranger)
        .destination(bus_name::SECURITY)
        .path(path::ALERTS);
    let asked = asked.build().await.unwrap().introspect().await;
    assert!(asked.is_err(), "{asked:?}");
    steppps.stop().await;
    security.stop().await;
}

#[tokio::test]
async fn alerts_are_for_root_and_adm_and_state_is_for_all() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: callers of other users need root");
        return;
    }
    let bus = PrivateBus::start_with(&installed("Security1")).unwrap();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("state")).unwrap();
    std::fs::write(root.path().join("state/alerts.jsonl"), STANDING).unwrap();
    let running = bus
        .serve::<SecurityAi>(root.path(), Settings::default())
        .await
        .unwrap();

    let one = format!("{}/4", path::ALERTS);
    for (uid, may_see) in [(0, true), (NOBODY, false)] {
        let client = bus.connect_as(uid).await.unwrap();
        let service = Service1Proxy::new(&client, "org.quantumos.Security1", path::SECURITY)
            .await
            .unwrap();
        assert!(!service.state().await.unwrap().is_empty(), "{uid}");
        let security = Security1Proxy::new(&client).await.unwrap();
        assert!(security.coverage().await.unwrap().len() > 5, "{uid}");
        let manager = ObjectManagerProxy::builder(&client)
            .destination("org.quantumos.Security1")
            .path(path::ALERTS);
        let managed = manager.build().await.unwrap().get_managed_objects().await;
        assert_eq!(managed.is_ok(), may_see, "{uid}: {managed:?}");
        let alert = Alert1Proxy::builder(&client)
            .path(one.as_str())
            .build()
            .await
            .unwrap();
        let title = alert.title().await;
        assert_eq!(title.is_ok(), may_see, "{uid}: {title:?}");
        if !may_see {
            // The service is reached, and polkit, which isn't there, lets nobody pass.
            let refused = security.reload_rules().await;
            assert!(
                matches!(&refused, Err(Error::NotAuthorized(_))),
                "{refused:?}"
            );
        }

        let mut messages = zbus::MessageStream::from(&client);
        let rule = zbus::MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .interface("org.quantumos.Security1")
            .build();
        zbus::fdo::DBusProxy::new(&client)
            .await
            .unwrap()
            .add_match_rule(rule.unwrap())
            .await
            .unwrap();
        let own = &running.context().connection;
        let details: HashMap<&str, Variant<'_>> = HashMap::new();
        let path = zbus::ObjectPath::try_from(one.as_str()).unwrap();
        let interface = "org.quantumos.Security1";
        own.emit_signal(
            None::<()>,
            path::SECURITY,
            interface,
            "AlertRaised",
            &(path, details),
        )
        .await
        .unwrap();
        own.emit_signal(
            None::<()>,
            path::SECURITY,
            interface,
            "EventsLostReported",
            &("test", 1_u64),
        )
        .await
        .unwrap();
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last| last != "EventsLostReported") {
            let message = messages.next().await.unwrap().unwrap();
            let header = message.header();
            if header.interface().is_some_and(|name| name == interface)
                && header.message_type() == zbus::message::Type::Signal
            {
                seen.push(header.member().unwrap().to_string());
            }
        }
        assert_eq!(
            seen.contains(&"AlertRaised".to_string()),
            may_see,
            "{uid}: {seen:?}"
        );
    }
    running.stop().await;
}
