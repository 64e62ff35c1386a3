//! The actuator: weights of units, through systemd's own interface.

use quantumos_resource::controller::{NOT_SET, Weight};
use quantumos_service::systemd;
pub use quantumos_service::systemd::SystemdError as Refusal;
use zbus::{Connection, Variant};

use crate::Error;

/// The property that is changed.
pub const PROPERTY: &str = "CPUWeight";

/// Talks to the system's manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    manager: systemd::Systemd,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Systemd(refusal.to_string())
    }
}

impl Systemd {
    /// On this bus.
    pub fn new(connection: &Connection) -> Self {
        Self {
            manager: systemd::Systemd::new(connection),
        }
    }

    /// The weight of a unit as systemd knows it.
    ///
    /// # Errors
    /// When the unit is not there or systemd does not answer.
    pub async fn weight(&self, unit: &str) -> Result<Weight, Refusal> {
        let Some(interface) = systemd::unit_interface(unit) else {
            return Ok(Weight::Unknown);
        };
        let object = self.manager.unit(unit).await?;
        let value = self.manager.property(&object, interface, PROPERTY).await?;
        match u64::try_from(value) {
            Ok(NOT_SET) => Ok(Weight::NotSet),
            Ok(weight) => Ok(Weight::Set(weight)),
            Err(_) => Err(Refusal::Refused(format!(
                "{PROPERTY} of {unit} is not a number"
            ))),
        }
    }

    /// Sets the weight of a unit until the next boot; `NOT_SET` takes it back.
    ///
    /// # Errors
    /// When systemd refuses or does not answer.
    pub async fn set_weight(&self, unit: &str, weight: u64) -> Result<(), Refusal> {
        let properties = vec![(PROPERTY, Variant::from(weight))];
        self.manager.set_properties(unit, properties).await
    }
}
