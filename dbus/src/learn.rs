//! ai-learnd: the models of this host.

/// At [`crate::path::LEARN`].
#[zbus::proxy(
    interface = "org.quantumos.Learn1",
    default_service = "org.quantumos.Learn1",
    default_path = "/org/quantumos/learn"
)]
pub trait Learn1 {
    /// Serial, trained at (seconds of CLOCK_REALTIME), state (`published`, `kept`, `unreadable`), training windows,
    /// area under the ROC curve, share detected, share of false positives, reason; of each model.
    #[allow(clippy::type_complexity)]
    fn list_models(
        &self,
    ) -> Result<Vec<(u64, u64, String, u32, f64, f64, f64, String)>, crate::Error>;
    /// Trains now; gives serial (0 when not kept), whether it is in force, and why or why not.
    fn train(&self) -> Result<(u64, bool, String), crate::Error>;
    /// Puts an older model in force, for 0 the newest before the published one; gives its serial.
    fn rollback(&self, serial: u64) -> Result<u64, crate::Error>;
    /// How many windows are kept to learn from.
    #[zbus(property)]
    fn windows(&self) -> zbus::Result<u32>;
    /// How many windows a training needs.
    #[zbus(property)]
    fn needed(&self) -> zbus::Result<u32>;
    /// Serial number of the model in force; 0 for none.
    #[zbus(property)]
    fn published(&self) -> zbus::Result<u64>;
    /// Whether a training is under way.
    #[zbus(property)]
    fn training(&self) -> zbus::Result<bool>;
    /// Identifier of the key in quantumd that signs; empty before the first model.
    #[zbus(property)]
    fn signer(&self) -> zbus::Result<String>;
    /// Another model is in force.
    #[zbus(signal)]
    fn model_published(&self, serial: u64) -> zbus::Result<()>;
}
