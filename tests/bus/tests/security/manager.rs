//! What of systemd's interface responses use, with units whose properties the test sees.

use quantumos_harness::PrivateBus;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

/// Not set, as systemd says it.
pub const UNSET: u64 = u64::MAX;

/// Networks: family, address, bits.
pub type Networks = Vec<(i32, Vec<u8>, u32)>;

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub quota: u64,
    pub io_weight: u64,
    pub deny: Networks,
    pub allow: Networks,
    pub frozen: bool,
    pub killed: u32,
    /// Without a file, so that nothing is left of it when it is not loaded.
    pub transient: bool,
    pub loaded: bool,
    /// Its state, in systemd's word.
    pub active: &'static str,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            quota: UNSET,
            io_weight: UNSET,
            deny: Vec::new(),
            allow: Vec::new(),
            frozen: false,
            killed: 0,
            transient: true,
            loaded: true,
            active: "active",
        }
    }
}

/// What the manager knows.
#[derive(Debug, Default)]
pub struct State {
    pub units: BTreeMap<String, Unit>,
    /// Other names of units.
    pub aliases: BTreeMap<String, String>,
    /// Whether changes are refused.
    pub refuses: bool,
    /// Units that freeze only when somebody adds a permit, as one does that waits for its disk.
    pub gates: BTreeMap<String, Arc<Semaphore>>,
    /// The calls that change units, in the order in which they began and ended.
    pub calls: Vec<String>,
    /// Whether somebody wants signals; there are none before.
    pub subscribed: bool,
}

pub struct FakeSystemd {
    connection: Connection,
    pub state: Arc<Mutex<State>>,
}

struct Manager(Arc<Mutex<State>>);
struct UnitObject(String, Arc<Mutex<State>>);
struct Service(String, Arc<Mutex<State>>);

fn path(unit: &str) -> OwnedObjectPath {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("_{byte:02x}"),
    };
    let escaped: String = unit.bytes().map(escape).collect();
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{escaped}")).unwrap()
}

impl Manager {
    fn change(&self, what: &str, name: &str, change: impl FnOnce(&mut Unit)) -> Result<(), Answer> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("{what} {name}"));
        if state.refuses {
            return Err(Answer::UnitMasked("not you".into()));
        }
        let unit = state.units.get_mut(name);
        unit.map(change)
            .ok_or_else(|| Answer::NoSuchUnit(format!("Unit {name} not loaded.")))
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn get_unit(&self, name: &str) -> Result<OwnedObjectPath, Answer> {
        let state = self.0.lock().unwrap();
        let name = state.aliases.get(name).map_or(name, String::as_str);
        match state.units.get(name) {
            Some(unit) if unit.loaded => Ok(path(name)),
            _ => Err(Answer::NoSuchUnit(format!("Unit {name} not loaded."))),
        }
    }

    /// Gives a path for any name, as systemd does.
    fn load_unit(&self, name: &str) -> OwnedObjectPath {
        if let Some(unit) = self.0.lock().unwrap().units.get_mut(name) {
            unit.loaded = true;
        }
        path(name)
    }

    fn subscribe(&self) -> Result<(), Answer> {
        let mut state = self.0.lock().unwrap();
        if std::mem::replace(&mut state.subscribed, true) {
            return Err(Answer::AlreadySubscribed("Client is subscribed.".into()));
        }
        Ok(())
    }

    #[zbus(signal)]
    async fn unit_removed(
        emitter: &SignalEmitter<'_>,
        id: &str,
        unit: OwnedObjectPath,
    ) -> zbus::Result<()>;

    fn set_unit_properties(
        &self,
        name: &str,
        runtime: bool,
        properties: Vec<(String, OwnedVariant)>,
    ) -> Result<(), Answer> {
        assert!(runtime, "a response must not outlive a boot");
        self.change("set", name, |unit| {
            for (property, value) in properties {
                let networks = |list: &mut Networks, value: OwnedVariant| {
                    // As systemd does: an empty list empties it, any other is added to it.
                    let mut new = Networks::try_from(value).unwrap();
                    if new.is_empty() {
                        list.clear();
                    }
                    list.append(&mut new);
                };
                match property.as_str() {
                    "CPUQuotaPerSecUSec" => unit.quota = value.try_into().unwrap(),
                    "IOWeight" => unit.io_weight = value.try_into().unwrap(),
                    "IPAddressDeny" => networks(&mut unit.deny, value),
                    "IPAddressAllow" => networks(&mut unit.allow, value),
                    other => panic!("{other} is set"),
                }
            }
        })
    }

    async fn freeze_unit(&self, name: &str) -> Result<(), Answer> {
        let gate = {
            let mut state = self.0.lock().unwrap();
            state.calls.push(format!("begin to freeze {name}"));
            state.gates.get(name).cloned()
        };
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.change("freeze", name, |unit| unit.frozen = true)
    }

    fn thaw_unit(&self, name: &str) -> Result<(), Answer> {
        let dead = |unit: &Unit| !unit.loaded || unit.active != "active";
        if self.0.lock().unwrap().units.get(name).is_some_and(dead) {
            return Err(Answer::UnitMasked("Unit is not active".into()));
        }
        self.change("thaw", name, |unit| unit.frozen = false)
    }

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> Result<(), Answer> {
        assert_eq!(whom, "all");
        match signal {
            9 => self.change("kill", name, |unit| unit.killed += 1),
            19 => self.change("stop", name, |_| {}),
            other => panic!("signal {other}"),
        }
    }
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Answer {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchUnit(String),
    UnitMasked(String),
    AlreadySubscribed(String),
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitObject {
    #[zbus(property)]
    fn id(&self) -> String {
        self.0.clone()
    }

    #[zbus(property)]
    fn transient(&self) -> bool {
        read(&self.1, &self.0, |unit| unit.transient)
    }

    #[zbus(property)]
    fn load_state(&self) -> &'static str {
        "loaded"
    }

    #[zbus(property)]
    fn active_state(&self) -> &'static str {
        read(&self.1, &self.0, |unit| unit.active)
    }

    #[zbus(property)]
    fn freezer_state(&self) -> &'static str {
        let frozen = read(&self.1, &self.0, |unit| unit.frozen);
        if frozen { "frozen" } else { "running" }
    }
}

fn read<T>(state: &Mutex<State>, name: &str, read: impl FnOnce(&Unit) -> T) -> T {
    read(&state.lock().unwrap().units[name])
}

impl Service {
    fn read<T>(&self, what: impl FnOnce(&Unit) -> T) -> T {
        read(&self.1, &self.0, what)
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn control_group(&self) -> String {
        format!("/{}", self.0)
    }

    #[zbus(property, name = "CPUQuotaPerSecUSec")]
    fn quota(&self) -> u64 {
        self.read(|unit| unit.quota)
    }

    #[zbus(property, name = "IOWeight")]
    fn io_weight(&self) -> u64 {
        self.read(|unit| unit.io_weight)
    }

    #[zbus(property, name = "IPAddressDeny")]
    fn deny(&self) -> Networks {
        self.read(|unit| unit.deny.clone())
    }

    #[zbus(property, name = "IPAddressAllow")]
    fn allow(&self) -> Networks {
        self.read(|unit| unit.allow.clone())
    }
}

impl FakeSystemd {
    /// On a bus, with these units.
    pub async fn start(bus: &PrivateBus, units: &[&str]) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let connection = bus.connect().await.unwrap();
        let server = connection.object_server();
        let manager = Manager(state.clone());
        server
            .at("/org/freedesktop/systemd1", manager)
            .await
            .unwrap();
        let this = Self { connection, state };
        for name in units {
            this.add(name, Unit::default()).await;
        }
        let connection = &this.connection;
        connection
            .request_name("org.freedesktop.systemd1")
            .await
            .unwrap();
        this
    }

    /// A unit is loaded.
    pub async fn add(&self, name: &str, unit: Unit) {
        self.state.lock().unwrap().units.insert(name.into(), unit);
        let server = self.connection.object_server();
        let unit = UnitObject(name.into(), self.state.clone());
        server.at(path(name), unit).await.unwrap();
        let service = Service(name.into(), self.state.clone());
        server.at(path(name), service).await.unwrap();
    }

    /// A unit as it is now.
    pub fn unit(&self, name: &str) -> Unit {
        self.state.lock().unwrap().units[name].clone()
    }

    /// Changes a unit, and tells that it has changed.
    pub async fn alter(&self, name: &str, change: impl FnOnce(&mut Unit)) {
        change(self.state.lock().unwrap().units.get_mut(name).unwrap());
        let server = self.connection.object_server();
        let object = server.interface::<_, UnitObject>(path(name)).await.unwrap();
        if self.state.lock().unwrap().subscribed {
            let object = (object.get().await, object.signal_emitter());
            object.0.active_state_changed(object.1).await.unwrap();
        }
    }

    /// systemd does not know the unit any more: nothing is left of a transient one, any other is only not loaded.
    pub async fn remove(&self, name: &str) {
        self.lose(name).await;
        self.tell_removed(name).await;
    }

    /// The same, and nobody is told.
    pub async fn lose(&self, name: &str) {
        let is_transient = self.unit(name).transient;
        if is_transient {
            self.state.lock().unwrap().units.remove(name);
            let server = self.connection.object_server();
            server.remove::<UnitObject, _>(path(name)).await.unwrap();
            server.remove::<Service, _>(path(name)).await.unwrap();
        } else {
            let mut state = self.state.lock().unwrap();
            let unit = state.units.get_mut(name).unwrap();
            (unit.loaded, unit.active) = (false, "inactive");
        }
    }

    /// Says that a unit goes, as a reload of systemd does of each.
    pub async fn tell_removed(&self, name: &str) {
        if self.state.lock().unwrap().subscribed {
            let emitter = SignalEmitter::new(&self.connection, "/org/freedesktop/systemd1");
            let told = Manager::unit_removed(&emitter.unwrap(), name, path(name)).await;
            told.unwrap();
        }
    }
}
