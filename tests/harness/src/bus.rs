//! A message bus of one test's own: the same dbus-daemon as on a host, on a socket in a
//! temporary directory, killed with the value.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use nix::sys::{prctl, signal::Signal};
use quantumos_service::{Daemon, Directories, Running};
use tempfile::TempDir;
use zbus::{Connection, connection::Builder};

use crate::Error;

/// A private bus.
#[derive(Debug)]
pub struct PrivateBus {
    daemon: Child,
    directory: TempDir,
    address: String,
}

impl PrivateBus {
    /// Starts dbus-daemon. Every user may connect, own any name and send anything: what the
    /// services themselves decide is under test, not the bus policy.
    ///
    /// # Errors
    /// When dbus-daemon isn't installed or doesn't come up.
    pub fn start() -> Result<Self, Error> {
        Self::with_policy(
            r#"<policy context="default">
    <allow own="*"/>
    <allow send_type="method_call"/>
  </policy>"#,
        )
    }

    /// Starts dbus-daemon with what the system bus has by default, where names can't be owned and
    /// methods can't be called unless `policy` (elements of busconfig) lets them.
    ///
    /// # Errors
    /// When dbus-daemon isn't installed or doesn't come up.
    pub fn start_with(policy: &str) -> Result<Self, Error> {
        Self::with_policy(&format!(
            r#"<policy context="default">
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  {policy}"#
        ))
    }

    fn with_policy(policy: &str) -> Result<Self, Error> {
        let directory =
            tempfile::tempdir().map_err(|error| Error::start("bus directory", error))?;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open)
            .map_err(|error| Error::start("bus directory", error))?;
        let socket = directory.path().join("bus");
        let configuration = directory.path().join("bus.conf");
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
  {policy}
</busconfig>
"#,
            socket.display()
        );
        std::fs::write(&configuration, text).map_err(|error| Error::start("bus.conf", error))?;
        let mut command = Command::new("dbus-daemon");
        command
            .arg("--config-file")
            .arg(&configuration)
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        die_with_parent(&mut command);
        let mut daemon = command
            .spawn()
            .map_err(|error| Error::start("dbus-daemon", error))?;
        let mut address = String::new();
        if let Some(stdout) = daemon.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut address)
                .map_err(|error| Error::start("dbus-daemon", error))?;
        }
        let address = address.trim().to_owned();
        if address.is_empty() {
            let gone = std::io::Error::other("it ended without printing its address");
            return Err(Error::start("dbus-daemon", gone));
        }
        Ok(Self {
            daemon,
            directory,
            address,
        })
    }

    /// Address that D-Bus clients take.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("bus")
    }

    /// Connects as the user that runs the test.
    ///
    /// # Errors
    /// When the bus refuses.
    pub async fn connect(&self) -> Result<Connection, Error> {
        Ok(Builder::address(self.address.as_str()).build().await?)
    }

    /// Connects as another user, so that a service sees a caller without rights.
    /// Only root can do that.
    ///
    /// # Errors
    /// When the test doesn't run as root, or the bus refuses.
    pub async fn connect_as(&self, uid: u32) -> Result<Connection, Error> {
        let socket = self.socket();
        // The bus takes the credentials that the thread has when it connects.
        let stream = std::thread::spawn(move || {
            become_user(uid)?;
            UnixStream::connect(socket)
        })
        .join()
        .map_err(|_| Error::start("connecting thread", std::io::Error::other("panicked")))?
        .map_err(|error| Error::start(format!("connecting as user {uid}"), error))?;
        Ok(Builder::unix_stream(stream).user_id(uid).build().await?)
    }

    /// Starts a daemon on a connection of its own, with its directories below `root`.
    ///
    /// # Errors
    /// What the daemon says.
    pub async fn serve<D: Daemon>(
        &self,
        root: &std::path::Path,
        settings: D::Settings,
    ) -> Result<Running<D>, quantumos_service::BoxError> {
        let directories = Directories {
            root: root.to_owned(),
            state: root.join("state"),
            runtime: root.join("runtime"),
        };
        std::fs::create_dir_all(&directories.state)?;
        std::fs::create_dir_all(&directories.runtime)?;
        let connection = self.connect().await?;
        quantumos_service::serve::<D>(connection, directories, settings).await
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        // It may have died already, which is what is wanted.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Has the kernel kill the child when the thread that started it ends, however it ends. The child
/// inherits no descriptor but the first three: the TSS opens its sockets without close-on-exec,
/// and a child that held one of another test's would keep that test's TPM busy.
pub fn die_with_parent(command: &mut Command) {
    let set = || {
        // SAFETY: close_range(2) takes three integers, touches no memory and is async-signal-safe.
        #[allow(unsafe_code)]
        let marked = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                3,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if marked != 0 {
            return Err(std::io::Error::last_os_error());
        }
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)
    };
    // SAFETY: both calls are async-signal-safe and nothing is allocated between fork and exec.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(set);
    }
}

/// Changes the user of this thread only; glibc's own call would change all threads.
fn become_user(uid: u32) -> std::io::Result<()> {
    // SAFETY: setresuid(2) takes three integers and touches no memory.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
