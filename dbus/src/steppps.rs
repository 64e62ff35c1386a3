//! steppps-mgr: the seven dimensions.

use std::collections::HashMap;

use zbus::Variant;

use crate::Dictionary;

/// At [`crate::path::STEPPPS`].
#[zbus::proxy(
    interface = "org.quantumos.Steppps1",
    default_service = "org.quantumos.Steppps1",
    default_path = "/org/quantumos/steppps"
)]
pub trait Steppps1 {
    /// The state of every dimension, with `Available`, `Health` and `Reason`, by name.
    fn snapshot(&self) -> Result<HashMap<String, Dictionary>, crate::Error>;
    /// Names of the dimensions.
    #[zbus(property(emits_changed_signal = "const"))]
    fn dimensions(&self) -> zbus::Result<Vec<String>>;
    /// Keys of a dimension's state that changed, with their new values.
    #[zbus(signal)]
    fn changed(&self, dimension: &str, changed: HashMap<String, Variant<'_>>) -> zbus::Result<()>;
}

/// At [`crate::path::STEPPPS`]`/NAME`.
#[zbus::proxy(
    interface = "org.quantumos.Dimension1",
    default_service = "org.quantumos.Steppps1",
    assume_defaults = false
)]
pub trait Dimension1 {
    /// What changed in the state at which time, newest first; limit 0 gives all that is kept.
    fn history(&self, limit: u32) -> Result<Vec<(u64, Dictionary)>, crate::Error>;
    /// Name of the dimension, lower case.
    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> zbus::Result<String>;
    /// Whether the host has a source for it.
    #[zbus(property)]
    fn available(&self) -> zbus::Result<bool>;
    /// `ok`, `attention`, `critical` or `unknown`.
    #[zbus(property)]
    fn health(&self) -> zbus::Result<String>;
    /// Where the state is from.
    #[zbus(property)]
    fn source(&self) -> zbus::Result<Vec<String>>;
    /// Why it isn't available, or why health isn't ok; else empty.
    #[zbus(property)]
    fn reason(&self) -> zbus::Result<String>;
    /// The state itself.
    #[zbus(property)]
    fn state(&self) -> zbus::Result<Dictionary>;
    /// When the state last changed, microseconds of CLOCK_REALTIME.
    #[zbus(property)]
    fn updated_at(&self) -> zbus::Result<u64>;
}
