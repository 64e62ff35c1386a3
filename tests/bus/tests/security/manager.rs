//! What of systemd's interface responses use, with units whose properties the test sees.

use quantumos_harness::PrivateBus;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
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
}

pub struct FakeSystemd {
    connection: Connection,
    pub state: Arc<Mutex<State>>,
}

struct Manager(Arc<Mutex<State>>);
struct UnitObject(String);
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
        if state.units.contains_key(name) {
            Ok(path(name))
        } else {
            Err(Answer::NoSuchUnit(format!("Unit {name} not loaded.")))
        }
    }

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
        self.change("thaw", name, |unit| unit.frozen = false)
    }

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> Result<(), Answer> {
        assert_eq!((whom, signal), ("all", 9));
        self.change("kill", name, |unit| unit.killed += 1)
    }
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Answer {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchUnit(String),
    UnitMasked(String),
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitObject {
    #[zbus(property)]
    fn id(&self) -> String {
        self.0.clone()
    }
}

impl Service {
    fn read<T>(&self, read: impl FnOnce(&Unit) -> T) -> T {
        read(&self.1.lock().unwrap().units[&self.0])
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
        for name in units {
            state
                .lock()
                .unwrap()
                .units
                .insert((*name).into(), Unit::default());
            let unit = UnitObject((*name).into());
            server.at(path(name), unit).await.unwrap();
            let service = Service((*name).into(), state.clone());
            server.at(path(name), service).await.unwrap();
        }
        connection
            .request_name("org.freedesktop.systemd1")
            .await
            .unwrap();
        Self { connection, state }
    }

    /// A unit as it is now.
    pub fn unit(&self, name: &str) -> Unit {
        self.state.lock().unwrap().units[name].clone()
    }

    /// The unit goes, as a transient one does when its last process ends.
    pub async fn remove(&self, name: &str) {
        self.state.lock().unwrap().units.remove(name);
        let server = self.connection.object_server();
        server.remove::<UnitObject, _>(path(name)).await.unwrap();
        server.remove::<Service, _>(path(name)).await.unwrap();
    }
}
