//! Services as the contract has them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use quantumos_dbus::{Dictionary, Error, SERVICES, Service};
use quantumos_harness::PrivateBus;
use zbus::{
    Connection, ObjectPath, OwnedObjectPath, OwnedVariant, Variant, message::Flags,
    message::Header, object_server::SignalEmitter,
};

/// A command line that would do harm on a terminal.
pub const HOSTILE: &str = "sh -c \x1b]0;owned\x07\x1b[2Jx\nfake";

/// A variant that owns its value.
pub fn own<'a>(value: impl Into<Variant<'a>>) -> OwnedVariant {
    value.into().try_to_owned().unwrap()
}

/// The daemon with this unit name.
pub fn daemon(unit: &str) -> &'static Service {
    SERVICES
        .iter()
        .find(|service| service.unit == unit)
        .unwrap()
}

/// What every daemon tells about itself.
#[derive(Default)]
pub struct Service1 {
    pub problems: Vec<String>,
}

#[zbus::interface(name = "org.quantumos.Service1")]
impl Service1 {
    fn describe(&self) -> String {
        "{}".into()
    }
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        "0.1.0".into()
    }
    #[zbus(property)]
    fn state(&self) -> String {
        let ready = self.problems.is_empty();
        if ready { "ready" } else { "degraded" }.into()
    }
    #[zbus(property)]
    fn problems(&self) -> Vec<String> {
        self.problems.clone()
    }
    #[zbus(property)]
    fn configuration_error(&self) -> String {
        String::new()
    }
}

pub struct Security1 {
    /// Whether callers are authorised, and how each call asked.
    pub allow: bool,
    pub interactive: Arc<Mutex<Vec<bool>>>,
}

#[zbus::interface(name = "org.quantumos.Security1")]
impl Security1 {
    fn reload_rules(&self, #[zbus(header)] header: Header<'_>) -> Result<(u32, u32, u32), Error> {
        let flags = header.primary().flags();
        let asks = flags.contains(Flags::ALLOW_INTERACTIVE_AUTH);
        self.interactive.lock().unwrap().push(asks);
        if self.allow {
            Ok((107, 103, 1))
        } else {
            Err(Error::NotAuthorized("org.quantumos.security.manage".into()))
        }
    }
    fn list_rules(&self) -> Vec<(String, String, String, String, String)> {
        let rule = |id: &str, fate: &str, reason: &str| {
            (
                id.into(),
                format!("Rule {id}"),
                "high".into(),
                fate.into(),
                reason.into(),
            )
        };
        vec![
            rule("r1", "loaded", ""),
            rule("r2", "failed", "r2.yml:7: no selection"),
        ]
    }
    fn record(&self, capture: zbus::OwnedFd, seconds: u32) {
        let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(capture));
        let line = r#"{"class":"process_creation","time":5,"Image":"/bin/nc"}"#;
        let end =
            format!(r#"{{"end":{{"started_at":1,"ended_at":{seconds},"events":1,"dropped":0}}}}"#);
        std::io::Write::write_all(&mut file, format!("{line}\n{end}\n").as_bytes()).unwrap();
    }
    fn statistics(&self) -> HashMap<String, u64> {
        HashMap::from([("events".into(), 1200), ("lost".into(), 0)])
    }
    #[zbus(property)]
    fn coverage(&self) -> Vec<(String, String, String, String)> {
        vec![(
            "exec".into(),
            "tp_btf".into(),
            "attached".into(),
            String::new(),
        )]
    }
    #[zbus(property)]
    fn rules_loaded(&self) -> u32 {
        107
    }
    #[zbus(property)]
    fn rules_not_applicable(&self) -> u32 {
        103
    }
    #[zbus(property)]
    fn rules_failed(&self) -> u32 {
        1
    }
    #[zbus(property)]
    fn events_lost(&self) -> u64 {
        0
    }
    #[zbus(signal)]
    pub async fn alert_raised(
        emitter: &SignalEmitter<'_>,
        alert: ObjectPath<'_>,
        details: Dictionary,
    ) -> zbus::Result<()>;
}

struct Alerts1;

#[zbus::interface(name = "org.quantumos.Alerts1")]
impl Alerts1 {
    fn clear(&self) -> u32 {
        1
    }
}

struct Alert1;

#[zbus::interface(name = "org.quantumos.Alert1")]
impl Alert1 {
    fn acknowledge(&self) {}
    #[zbus(property)]
    fn id(&self) -> String {
        "7".into()
    }
    #[zbus(property)]
    fn rule_id(&self) -> String {
        "r1".into()
    }
    #[zbus(property)]
    fn title(&self) -> String {
        "Rule r1".into()
    }
    #[zbus(property)]
    fn level(&self) -> String {
        "high".into()
    }
    #[zbus(property)]
    fn time(&self) -> u64 {
        1_763_726_400_000_000
    }
    #[zbus(property)]
    fn count(&self) -> u32 {
        2
    }
    #[zbus(property)]
    fn command_line(&self) -> String {
        HOSTILE.into()
    }
    #[zbus(property)]
    fn ancestors(&self) -> Vec<(u32, String, String)> {
        vec![(1, "systemd".into(), "/usr/lib/systemd/systemd".into())]
    }
}

/// What comes with the signal for an alert.
pub fn details(id: &str, level: &str) -> Dictionary {
    HashMap::from([
        ("Id".into(), own(id)),
        ("Title".into(), own("Rule r1")),
        ("Level".into(), own(level)),
        ("Time".into(), own(1_763_726_400_000_000_u64)),
        ("Count".into(), own(1_u32)),
        ("Pid".into(), own(42_u32)),
        ("User".into(), own("root")),
        ("Executable".into(), own("/bin/sh")),
        ("CommandLine".into(), own(HOSTILE)),
    ])
}

/// Raises an alert from `connection`, as security-ai does.
pub async fn raise(connection: &Connection, id: &str, level: &str) {
    let emitter = SignalEmitter::new(connection, "/org/quantumos/security").unwrap();
    let path = format!("/org/quantumos/security/alerts/{id}");
    let path = ObjectPath::try_from(path).unwrap();
    Security1::alert_raised(&emitter, path, details(id, level))
        .await
        .unwrap();
}

#[derive(Default)]
pub struct Resource1 {
    pub mode: String,
}

type PressureRow = (String, f64, f64, f64, f64, u64);

#[zbus::interface(name = "org.quantumos.Resource1")]
impl Resource1 {
    fn pressure(&self) -> Vec<PressureRow> {
        vec![("cpu.some".into(), 1.5, 0.5, 0.25, 3.0, 1_000_000)]
    }
    fn latency(&self) -> Vec<(String, u64, u64, u64, u64)> {
        vec![
            ("/system.slice".into(), 10, 4_000, 90_000, 100_000),
            ("/user.slice".into(), 20, 5_000, 2_500_000, 9_000_000),
        ]
    }
    fn forecast(&self) -> Vec<(String, String, f64, f64, f64, String)> {
        vec![(
            "/system.slice/a.service".into(),
            "a.service".into(),
            1.0,
            2.0,
            3.0,
            "model".into(),
        )]
    }
    fn explain(&self, unit: &str) -> Result<String, Error> {
        match unit {
            "a.service" => Ok(r#"{"unit":"a.service","class":"build"}"#.into()),
            _ => Err(Error::NotFound(format!("no unit {unit}"))),
        }
    }
    #[zbus(property)]
    fn mode(&self) -> String {
        self.mode.clone()
    }
    #[zbus(property)]
    fn set_mode(&mut self, mode: String) {
        self.mode = mode;
    }
    #[zbus(property)]
    fn model(&self) -> Dictionary {
        HashMap::from([("Loaded".into(), own(true))])
    }
}

pub struct Decision1;

#[zbus::interface(name = "org.quantumos.Decision1")]
impl Decision1 {
    fn undo(&self) {}
    #[zbus(property)]
    fn id(&self) -> String {
        "5".into()
    }
    #[zbus(property)]
    fn unit(&self) -> String {
        "a.service".into()
    }
    #[zbus(property)]
    fn property(&self) -> String {
        "CPUWeight".into()
    }
    #[zbus(property)]
    fn from(&self) -> u64 {
        u64::MAX
    }
    #[zbus(property)]
    fn to(&self) -> u64 {
        20
    }
    #[zbus(property)]
    fn reason(&self) -> String {
        "forecast".into()
    }
    #[zbus(property)]
    fn evidence(&self) -> Dictionary {
        HashMap::from([("forecast".into(), own(62.5))])
    }
    #[zbus(property)]
    fn state(&self) -> String {
        "proposed".into()
    }
    #[zbus(property)]
    fn time(&self) -> u64 {
        1_763_726_400_000_000
    }
    #[zbus(property)]
    fn expires(&self) -> u64 {
        0
    }
}

pub struct Steppps1;

#[zbus::interface(name = "org.quantumos.Steppps1")]
impl Steppps1 {
    fn snapshot(&self) -> HashMap<String, Dictionary> {
        let row = |available: bool, health: &str, reason: &str| {
            HashMap::from([
                ("Available".into(), own(available)),
                ("Health".into(), own(health)),
                ("Reason".into(), own(reason)),
            ])
        };
        HashMap::from([
            (
                "time".into(),
                row(true, "attention", "clock unsynchronised"),
            ),
            ("space".into(), row(true, "ok", "")),
            ("pixel".into(), row(false, "unknown", "no display")),
        ])
    }
    #[zbus(property(emits_changed_signal = "const"))]
    fn dimensions(&self) -> Vec<String> {
        vec!["space".into(), "time".into(), "pixel".into()]
    }
    #[zbus(signal)]
    pub async fn changed(
        emitter: &SignalEmitter<'_>,
        dimension: &str,
        changed: Dictionary,
    ) -> zbus::Result<()>;
}

struct Dimension1;

#[zbus::interface(name = "org.quantumos.Dimension1")]
impl Dimension1 {
    #[zbus(property)]
    fn name(&self) -> String {
        "space".into()
    }
    #[zbus(property)]
    fn available(&self) -> bool {
        true
    }
    #[zbus(property)]
    fn health(&self) -> String {
        "ok".into()
    }
    #[zbus(property)]
    fn source(&self) -> Vec<String> {
        vec!["/proc/meminfo".into()]
    }
    #[zbus(property)]
    fn reason(&self) -> String {
        String::new()
    }
    #[zbus(property)]
    fn state(&self) -> Dictionary {
        HashMap::from([("CpuCount".into(), own(4_u32))])
    }
    #[zbus(property)]
    fn updated_at(&self) -> u64 {
        1_763_726_400_000_000
    }
}

/// Takes the daemon's name on a connection that has its root object.
pub async fn serve<I: zbus::object_server::Interface>(
    bus: &PrivateBus,
    unit: &str,
    service: Service1,
    main: I,
) -> Connection {
    let connection = bus.connect().await.unwrap();
    let daemon = daemon(unit);
    let server = connection.object_server();
    server.at(daemon.path, service).await.unwrap();
    server.at(daemon.path, main).await.unwrap();
    connection
}

/// security-ai with one alert.
pub async fn security(bus: &PrivateBus, main: Security1, problems: &[&str]) -> Connection {
    let problems = problems.iter().map(|text| (*text).to_owned()).collect();
    let connection = serve(bus, "security-ai", Service1 { problems }, main).await;
    let server = connection.object_server();
    let alerts = "/org/quantumos/security/alerts";
    server.at(alerts, zbus::fdo::ObjectManager).await.unwrap();
    server.at(alerts, Alerts1).await.unwrap();
    server.at(format!("{alerts}/7"), Alert1).await.unwrap();
    connection
        .request_name("org.quantumos.Security1")
        .await
        .unwrap();
    connection
}

/// security-ai that lets everybody do everything.
pub async fn open_security(bus: &PrivateBus) -> Connection {
    let main = Security1 {
        allow: true,
        interactive: Arc::default(),
    };
    security(bus, main, &[]).await
}

/// resource-ai with one decision.
pub async fn resource(bus: &PrivateBus) -> Connection {
    let main = Resource1 {
        mode: "observe".into(),
    };
    let connection = serve(bus, "resource-ai", Service1::default(), main).await;
    let server = connection.object_server();
    let decisions = "/org/quantumos/resource/decisions";
    server
        .at(decisions, zbus::fdo::ObjectManager)
        .await
        .unwrap();
    server
        .at(format!("{decisions}/5"), Decision1)
        .await
        .unwrap();
    connection
        .request_name("org.quantumos.Resource1")
        .await
        .unwrap();
    connection
}

/// steppps-mgr with one dimension object.
pub async fn steppps(bus: &PrivateBus) -> Connection {
    let connection = serve(bus, "steppps-mgr", Service1::default(), Steppps1).await;
    let server = connection.object_server();
    server
        .at("/org/quantumos/steppps/space", Dimension1)
        .await
        .unwrap();
    connection
        .request_name("org.quantumos.Steppps1")
        .await
        .unwrap();
    connection
}

pub struct Quantum1;

#[zbus::interface(name = "org.quantumos.Quantum1")]
impl Quantum1 {
    #[zbus(property)]
    fn protection(&self) -> String {
        "tpm".into()
    }
    #[zbus(property)]
    fn tpm_vendor(&self) -> String {
        "SW".into()
    }
    #[zbus(property)]
    fn engines(&self) -> Vec<(String, String, String)> {
        vec![("ml-dsa".into(), "ready".into(), "ML-DSA-87".into())]
    }
}

/// quantumd with the keys that the test made.
pub async fn quantum(bus: &PrivateBus, keys: Vec<crate::keys::Key1>) -> Connection {
    let connection = serve(bus, "quantumd", Service1::default(), Quantum1).await;
    let server = connection.object_server();
    let collection = "/org/quantumos/keys";
    server
        .at(collection, zbus::fdo::ObjectManager)
        .await
        .unwrap();
    server.at(collection, crate::keys::Keys1).await.unwrap();
    for key in keys {
        let path = OwnedObjectPath::try_from(format!("{collection}/{}", key.id)).unwrap();
        server.at(path, key).await.unwrap();
    }
    connection
        .request_name("org.quantumos.Quantum1")
        .await
        .unwrap();
    connection
}
