//! The D-Bus contract of QuantumOS: bus names, object paths, error names and typed proxies.
//! The XML beside this crate (`dbus/interfaces`) is the truth; a test compares it with what
//! the running services answer. Every client uses this crate, so that a name stands once.

pub mod circuits;
pub mod containers;
pub mod credentials;
mod error;
pub mod jobs;
pub mod keys;
pub mod learn;
pub mod ledger;
mod paths;
pub mod resonance;
pub mod resource;
pub mod responses;
pub mod security;
pub mod service;
pub mod steppps;
pub mod wavelength;

pub use circuits::Circuits1Proxy;
pub use containers::Containers1Proxy;
pub use credentials::Credentials1Proxy;
pub use error::Error;
pub use jobs::{Job1Proxy, Jobs1Proxy};
pub use keys::{
    Backup1Proxy, Crypto1Proxy, Entropy1Proxy, Key1Proxy, Keys1Proxy, Quantum1Proxy, RootKey1Proxy,
};
pub use learn::Learn1Proxy;
pub use ledger::Ledger1Proxy;
pub use paths::{DIMENSIONS, SERVICES, Service, bus_name, path};
pub use resonance::Resonance1Proxy;
pub use resource::{Decision1Proxy, Resource1Proxy};
pub use responses::{Response1Proxy, Responses1Proxy};
pub use security::{Alert1Proxy, Alerts1Proxy, Security1Proxy, Windows1Proxy};
pub use service::Service1Proxy;
pub use steppps::{Dimension1Proxy, Steppps1Proxy};
pub use wavelength::Wavelength1Proxy;

/// Options and open-ended records, `a{sv}` on the wire.
pub type Dictionary = std::collections::HashMap<String, zbus::OwnedVariant>;

/// Bytes, `ay` on the wire, written and read in one piece; a `Vec<u8>` goes there byte by byte.
pub type Bytes = serde_bytes::ByteBuf;
