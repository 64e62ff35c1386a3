//! Test doubles of systemd, logind and the other daemons, each on a connection of its own.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex},
};

use quantumos_service::systemd::unit_path;
use zbus::{
    Connection, ObjectPath, OwnedObjectPath, Variant, names::InterfaceName,
    object_server::SignalEmitter,
};

use crate::host::Host;

type UnitRow = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);
type JobRow = (
    u32,
    String,
    String,
    String,
    OwnedObjectPath,
    OwnedObjectPath,
);

pub const SYSTEMD: &str = "/org/freedesktop/systemd1";

/// Units (name and active state) and jobs of a systemd.
#[derive(Default)]
pub struct World {
    pub units: Vec<(String, String)>,
    pub jobs: Vec<(u32, String)>,
    pub subscribed: u32,
}

/// A systemd.
pub struct Systemd {
    pub world: Arc<Mutex<World>>,
    pub connection: Connection,
}

struct Manager(Arc<Mutex<World>>);

fn path(text: &str) -> OwnedObjectPath {
    ObjectPath::try_from(text.to_owned()).unwrap().into()
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {
        self.0.lock().unwrap().subscribed += 1;
    }

    fn list_units_by_patterns(&self, states: Vec<String>, patterns: Vec<String>) -> Vec<UnitRow> {
        let world = self.0.lock().unwrap();
        let fits = |name: &str, state: &String| {
            states.contains(state)
                && (patterns.is_empty()
                    || patterns.iter().any(|pattern| name.ends_with(&pattern[1..])))
        };
        world
            .units
            .iter()
            .filter(|(name, state)| fits(name, state))
            .map(|(name, state)| {
                let description = format!("The {name}");
                let (loaded, none) = ("loaded".to_owned(), String::new());
                let at = path(&unit_path(name));
                (
                    name.clone(),
                    description,
                    loaded,
                    state.clone(),
                    none.clone(),
                    none.clone(),
                    at,
                    0,
                    none,
                    path("/"),
                )
            })
            .collect()
    }

    fn list_jobs(&self) -> Vec<JobRow> {
        let world = self.0.lock().unwrap();
        let row = |(id, unit): &(u32, String)| {
            (
                *id,
                unit.clone(),
                "start".to_owned(),
                "running".to_owned(),
                path("/job"),
                path("/unit"),
            )
        };
        world.jobs.iter().map(row).collect()
    }

    #[zbus(property)]
    fn userspace_timestamp_monotonic(&self) -> u64 {
        1_000_000
    }

    #[zbus(property)]
    fn finish_timestamp_monotonic(&self) -> u64 {
        4_000_000
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct Unit {
    transient: bool,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn transient(&self) -> bool {
        self.transient
    }
}

struct Timer {
    unit: String,
    next: u64,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Timer")]
impl Timer {
    #[zbus(property)]
    fn unit(&self) -> String {
        self.unit.clone()
    }

    #[zbus(property, name = "NextElapseUSecRealtime")]
    fn next_elapse_usec_realtime(&self) -> u64 {
        self.next
    }

    #[zbus(property, name = "NextElapseUSecMonotonic")]
    fn next_elapse_usec_monotonic(&self) -> u64 {
        u64::MAX
    }

    #[zbus(property, name = "LastTriggerUSec")]
    fn last_trigger_usec(&self) -> u64 {
        7
    }
}

impl Systemd {
    /// A systemd with a service, a transient service and a timer.
    pub async fn start(host: &Host) -> Self {
        let connection = host.bus.connect().await.unwrap();
        let world = Arc::new(Mutex::new(World::default()));
        let server = connection.object_server();
        server.at(SYSTEMD, Manager(world.clone())).await.unwrap();
        for (name, transient) in [
            ("web.service", false),
            ("run-1.service", true),
            ("back.service", false),
        ] {
            server
                .at(unit_path(name), Unit { transient })
                .await
                .unwrap();
            world
                .lock()
                .unwrap()
                .units
                .push((name.to_owned(), "active".to_owned()));
        }
        let timer = Timer {
            unit: "back.service".to_owned(),
            next: 4_000_000_000_000_000,
        };
        server.at(unit_path("back.timer"), timer).await.unwrap();
        world
            .lock()
            .unwrap()
            .units
            .push(("back.timer".to_owned(), "active".to_owned()));
        connection
            .request_name("org.freedesktop.systemd1")
            .await
            .unwrap();
        Self { world, connection }
    }

    /// A unit enters a state, and systemd says so.
    pub async fn set_state(&self, unit: &str, active: &str, sub: &str) {
        for known in &mut self.world.lock().unwrap().units {
            if known.0 == unit {
                active.clone_into(&mut known.1);
            }
        }
        say_state(&self.connection, unit, active, sub).await;
    }

    /// A job ends, and systemd says so.
    pub async fn end_job(&self, id: u32, unit: &str, result: &str) {
        self.world.lock().unwrap().jobs.retain(|job| job.0 != id);
        let emitter = SignalEmitter::new(&self.connection, SYSTEMD).unwrap();
        Manager::job_removed(
            &emitter,
            id,
            ObjectPath::try_from("/job").unwrap(),
            unit,
            result,
        )
        .await
        .unwrap();
    }
}

/// Says, as systemd would, that a unit is in a state; anybody may try.
pub async fn say_state(connection: &Connection, unit: &str, active: &str, sub: &str) {
    let emitter = SignalEmitter::new(connection, unit_path(unit)).unwrap();
    zbus::fdo::Properties::properties_changed(
        &emitter,
        InterfaceName::try_from("org.freedesktop.systemd1.Unit").unwrap(),
        HashMap::from([
            ("ActiveState", Variant::from(active)),
            ("SubState", Variant::from(sub)),
        ]),
        Cow::Borrowed(&[]),
    )
    .await
    .unwrap();
}

/// A logind with one session.
pub struct Login {
    idle: Arc<Mutex<bool>>,
    connection: Connection,
}

struct LoginManager(Arc<Mutex<bool>>);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl LoginManager {
    fn list_sessions(&self) -> Vec<(String, u32, String, String, OwnedObjectPath)> {
        vec![(
            "3".into(),
            0,
            "root".into(),
            "seat0".into(),
            path("/org/freedesktop/login1/session/_33"),
        )]
    }

    #[zbus(property)]
    fn idle_hint(&self) -> bool {
        *self.0.lock().unwrap()
    }

    #[zbus(property)]
    fn idle_action(&self) -> &str {
        "ignore"
    }
}

struct LoginSession;

#[zbus::interface(name = "org.freedesktop.login1.Session")]
impl LoginSession {
    #[zbus(property, name = "Type")]
    fn kind(&self) -> &str {
        "tty"
    }

    #[zbus(property)]
    fn state(&self) -> &str {
        "active"
    }
}

impl Login {
    pub async fn start(host: &Host) -> Self {
        let connection = host.bus.connect().await.unwrap();
        let idle = Arc::new(Mutex::new(false));
        let server = connection.object_server();
        server
            .at("/org/freedesktop/login1", LoginManager(idle.clone()))
            .await
            .unwrap();
        server
            .at("/org/freedesktop/login1/session/_33", LoginSession)
            .await
            .unwrap();
        connection
            .request_name("org.freedesktop.login1")
            .await
            .unwrap();
        Self { idle, connection }
    }

    /// Nobody uses the host any more, and logind says so.
    pub async fn become_idle(&self) {
        *self.idle.lock().unwrap() = true;
        let server = self.connection.object_server();
        let manager = server
            .interface::<_, LoginManager>("/org/freedesktop/login1")
            .await
            .unwrap();
        manager
            .get()
            .await
            .idle_hint_changed(manager.signal_emitter())
            .await
            .unwrap();
    }
}

/// A security-ai that raises alerts.
pub struct Security {
    pub connection: Connection,
}

struct Security1;

#[zbus::interface(name = "org.quantumos.Security1")]
impl Security1 {
    #[zbus(signal)]
    async fn alert_raised(
        emitter: &SignalEmitter<'_>,
        alert: ObjectPath<'_>,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}

impl Security {
    pub async fn start(host: &Host) -> Self {
        let connection = host.bus.connect().await.unwrap();
        connection
            .object_server()
            .at("/org/quantumos/security", Security1)
            .await
            .unwrap();
        connection
            .request_name("org.quantumos.Security1")
            .await
            .unwrap();
        Self { connection }
    }

    pub async fn alert(&self, title: &str, level: &str, unit: &str) {
        let emitter = SignalEmitter::new(&self.connection, "/org/quantumos/security").unwrap();
        let alert = ObjectPath::try_from("/org/quantumos/security/alerts/a1").unwrap();
        let details = HashMap::from([
            ("Title", Variant::from(title)),
            ("Level", level.into()),
            ("Unit", unit.into()),
            ("Pid", 42_u32.into()),
        ]);
        Security1::alert_raised(&emitter, alert, details)
            .await
            .unwrap();
    }
}

/// A resource-ai that has measured latency.
pub struct Resource {
    _connection: Connection,
}

struct Resource1;

#[zbus::interface(name = "org.quantumos.Resource1")]
impl Resource1 {
    fn latency(&self) -> Vec<(String, u64, u64, u64, u64)> {
        vec![
            ("/quiet.slice".into(), 1_000, 1_000, 2_000, 3_000),
            ("/busy.slice".into(), 5_000, 10_000, 9_000_000, 9_900_000),
        ]
    }
}

impl Resource {
    pub async fn start(host: &Host) -> Self {
        let connection = host.bus.connect().await.unwrap();
        connection
            .object_server()
            .at("/org/quantumos/resource", Resource1)
            .await
            .unwrap();
        connection
            .request_name("org.quantumos.Resource1")
            .await
            .unwrap();
        Self {
            _connection: connection,
        }
    }
}
