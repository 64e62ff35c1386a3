//! What every daemon of QuantumOS does: read its command line and layered configuration, log,
//! put its objects on the bus before it takes its name, notify systemd, authorise callers,
//! reload on SIGHUP and stop on SIGTERM. A daemon implements [`Daemon`]; its `main` calls
//! [`run`]; a test calls [`serve`] with a connection of its own.

mod authority;
mod command_line;
mod configuration;
mod daemon;
pub mod files;
mod logging;
pub mod memory;
mod notify;
mod status;
pub mod systemd;

pub use authority::{Authority, Caller};
pub use command_line::Directories;
pub use configuration::{ConfigurationError, Invalid, Settings, load};
pub use daemon::{BoxError, Context, Daemon, Running, run, serve};
pub use status::Status;
