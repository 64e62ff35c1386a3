//! Bus names and object paths, each written once.

/// Well-known bus names.
pub mod bus_name {
    /// quantumd.
    pub const QUANTUM: &str = "org.quantumos.Quantum1";
    /// steppps-mgr.
    pub const STEPPPS: &str = "org.quantumos.Steppps1";
    /// security-ai.
    pub const SECURITY: &str = "org.quantumos.Security1";
    /// resource-ai.
    pub const RESOURCE: &str = "org.quantumos.Resource1";
    /// ai-learnd.
    pub const LEARN: &str = "org.quantumos.Learn1";
}

/// Object paths.
pub mod path {
    /// Root object of quantumd.
    pub const QUANTUM: &str = "/org/quantumos/quantum";
    /// The ledger of what happened to keys.
    pub const LEDGER: &str = "/org/quantumos/quantum/ledger";
    /// Collection of keys; a key is a child named by its id.
    pub const KEYS: &str = "/org/quantumos/keys";
    /// Collection of jobs; a job is a child named by its id.
    pub const JOBS: &str = "/org/quantumos/jobs";
    /// Containers, and the register of their histories.
    pub const CONTAINERS: &str = "/org/quantumos/containers";
    /// Secrets for systemd units.
    pub const CREDENTIALS: &str = "/org/quantumos/credentials";
    /// Root object of steppps-mgr; a dimension is a child named by it.
    pub const STEPPPS: &str = "/org/quantumos/steppps";
    /// Root object of security-ai.
    pub const SECURITY: &str = "/org/quantumos/security";
    /// Collection of alerts; an alert is a child named by its id.
    pub const ALERTS: &str = "/org/quantumos/security/alerts";
    /// Collection of responses; a response is a child named by its id.
    pub const RESPONSES: &str = "/org/quantumos/security/responses";
    /// Windows of what units do, for who learns from them.
    pub const WINDOWS: &str = "/org/quantumos/security/windows";
    /// Root object of resource-ai.
    pub const RESOURCE: &str = "/org/quantumos/resource";
    /// Collection of decisions; a decision is a child named by its id.
    pub const DECISIONS: &str = "/org/quantumos/resource/decisions";
    /// Root object of ai-learnd.
    pub const LEARN: &str = "/org/quantumos/learn";
}

/// The seven dimensions, in the order in which they are shown.
pub const DIMENSIONS: [&str; 7] = [
    "space",
    "time",
    "event",
    "psychology",
    "pixel",
    "prompt",
    "script",
];

/// Where a daemon is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Name of its systemd unit, without `.service`.
    pub unit: &'static str,
    /// Well-known bus name.
    pub bus_name: &'static str,
    /// Path of its root object, which implements `org.quantumos.Service1`.
    pub path: &'static str,
}

/// All daemons.
pub const SERVICES: [Service; 5] = [
    Service {
        unit: "quantumd",
        bus_name: bus_name::QUANTUM,
        path: path::QUANTUM,
    },
    Service {
        unit: "steppps-mgr",
        bus_name: bus_name::STEPPPS,
        path: path::STEPPPS,
    },
    Service {
        unit: "security-ai",
        bus_name: bus_name::SECURITY,
        path: path::SECURITY,
    },
    Service {
        unit: "resource-ai",
        bus_name: bus_name::RESOURCE,
        path: path::RESOURCE,
    },
    Service {
        unit: "ai-learnd",
        bus_name: bus_name::LEARN,
        path: path::LEARN,
    },
];
