//! What of systemd's interface the daemon uses, with units whose weights the test sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use quantumos_harness::PrivateBus;
use zbus::{Connection, OwnedObjectPath, OwnedVariant, fdo};

/// Not set, as systemd says it.
pub const UNSET: u64 = u64::MAX;

/// What the units are like, and what was asked.
#[derive(Debug, Default)]
pub struct State {
    /// Weights by unit.
    pub weights: BTreeMap<String, u64>,
    /// Calls of `SetUnitProperties`: unit, runtime, weight.
    pub calls: Vec<(String, bool, u64)>,
    /// Whether changes are refused.
    pub refuses: bool,
    /// Whether changes are made without an answer, as by a manager that is too slow for the bus.
    pub silent: bool,
}

/// The manager on a bus; it answers while this lives.
pub struct FakeSystemd {
    _connection: Connection,
    state: Arc<Mutex<State>>,
}

struct Manager(Arc<Mutex<State>>);
struct Unit(String, Arc<Mutex<State>>);

fn path(unit: &str) -> OwnedObjectPath {
    let escaped: String = unit
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("_{byte:02x}")
            }
        })
        .collect();
    OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{escaped}")).unwrap()
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn get_unit(&self, name: &str) -> fdo::Result<OwnedObjectPath> {
        if self.0.lock().unwrap().weights.contains_key(name) {
            Ok(path(name))
        } else {
            Err(fdo::Error::UnknownObject(format!(
                "Unit {name} not loaded."
            )))
        }
    }

    fn set_unit_properties(
        &self,
        name: String,
        runtime: bool,
        properties: Vec<(String, OwnedVariant)>,
    ) -> fdo::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.refuses {
            return Err(fdo::Error::AccessDenied(
                "Interactive authentication required.".into(),
            ));
        }
        for (property, value) in properties {
            let weight =
                u64::try_from(value).map_err(|_| fdo::Error::InvalidArgs(property.clone()))?;
            if property != "CPUWeight" || !(weight == UNSET || (1..=10_000).contains(&weight)) {
                return Err(fdo::Error::InvalidArgs(format!("{property}={weight}")));
            }
            state.calls.push((name.clone(), runtime, weight));
            state.weights.insert(name.clone(), weight);
        }
        if state.silent {
            return Err(fdo::Error::NoReply("Message recipient disconnected".into()));
        }
        Ok(())
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Unit {
    #[zbus(property, name = "CPUWeight")]
    fn cpu_weight(&self) -> u64 {
        self.1.lock().unwrap().weights[&self.0]
    }
}

impl FakeSystemd {
    /// A manager with these services and their weights.
    pub async fn start(bus: &PrivateBus, units: &[(&str, u64)]) -> Self {
        let weights = units
            .iter()
            .map(|(unit, weight)| ((*unit).to_owned(), *weight))
            .collect();
        let state = Arc::new(Mutex::new(State {
            weights,
            ..State::default()
        }));
        let connection = bus.connect().await.unwrap();
        let server = connection.object_server();
        server
            .at("/org/freedesktop/systemd1", Manager(state.clone()))
            .await
            .unwrap();
        for (unit, _) in units {
            server
                .at(path(unit), Unit((*unit).to_owned(), state.clone()))
                .await
                .unwrap();
        }
        connection
            .request_name("org.freedesktop.systemd1")
            .await
            .unwrap();
        Self {
            _connection: connection,
            state,
        }
    }

    /// The state, to look at and to change.
    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
