//! Who calls, and whether polkit lets them. Root and the daemon's own user pass, as in systemd;
//! everybody else is asked about by bus name, and any failure to get an answer is a refusal.

use std::{collections::HashMap, sync::Arc};

use quantumos_dbus::Error;
use tokio::sync::Mutex;
use zbus::{Connection, fdo::DBusProxy, message::Flags, message::Header, names::OwnedUniqueName};
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags, Subject};

/// Unique names are never used twice on one bus, so an answer stays true; the bound only keeps
/// a flood of short-lived callers from growing the map.
const CACHED_CALLERS: usize = 256;

/// The sender of a method call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Unique bus name.
    pub name: OwnedUniqueName,
    /// Effective user id when it connected, as the bus saw it.
    pub uid: u32,
}

/// Asks the bus who a caller is and polkit what it may do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority {
    connection: Connection,
    own_uid: u32,
    callers: Arc<Mutex<HashMap<OwnedUniqueName, u32>>>,
}

impl Authority {
    /// An authority for services on `connection`.
    pub fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.clone(),
            own_uid: nix::unistd::geteuid().as_raw(),
            callers: Arc::default(),
        }
    }

    /// The sender of a call.
    ///
    /// # Errors
    /// `NotAuthorized` when the message has no sender or the bus doesn't know it any more.
    pub async fn caller(&self, header: &Header<'_>) -> Result<Caller, Error> {
        let Some(sender) = header.sender() else {
            return Err(Error::NotAuthorized("the call names no sender".into()));
        };
        let name = OwnedUniqueName::from(sender.to_owned());
        if let Some(&uid) = self.callers.lock().await.get(&name) {
            return Ok(Caller { name, uid });
        }
        let bus = DBusProxy::new(&self.connection).await?;
        let uid = bus
            .get_connection_unix_user(name.clone().into())
            .await
            .map_err(|error| {
                Error::NotAuthorized(format!("the bus does not say who {name} is: {error}"))
            })?;
        let mut callers = self.callers.lock().await;
        if callers.len() >= CACHED_CALLERS {
            callers.clear();
        }
        callers.insert(name.clone(), uid);
        Ok(Caller { name, uid })
    }

    /// The sender of a call, if it may do `action` (a polkit action id).
    ///
    /// # Errors
    /// `NotAuthorized` when polkit says no, asks for a password that the caller doesn't want to
    /// be asked for, or can't be reached.
    pub async fn check(&self, header: &Header<'_>, action: &str) -> Result<Caller, Error> {
        let caller = self.caller(header).await?;
        if caller.uid == 0 || caller.uid == self.own_uid {
            return Ok(caller);
        }
        let interactive = header
            .primary()
            .flags()
            .contains(Flags::ALLOW_INTERACTIVE_AUTH);
        let flags = if interactive {
            CheckAuthorizationFlags::ALLOW_USER_INTERACTION
        } else {
            CheckAuthorizationFlags::empty()
        };
        let subject = Subject::new_for_message_header(header)
            .map_err(|error| Error::NotAuthorized(format!("{action}: {error}")))?;
        let polkit = AuthorityProxy::new(&self.connection).await?;
        let answer = polkit
            .check_authorization(&subject, action, &HashMap::new(), flags, "")
            .await
            .map_err(|error| {
                Error::NotAuthorized(format!("{action}: polkit gave no answer: {error}"))
            })?;
        if answer.is_authorized {
            Ok(caller)
        } else if answer.is_challenge {
            Err(Error::NotAuthorized(format!(
                "{action}: authentication is needed and was not given"
            )))
        } else {
            Err(Error::NotAuthorized(format!(
                "{action}: polkit refused user {}",
                caller.uid
            )))
        }
    }
}
