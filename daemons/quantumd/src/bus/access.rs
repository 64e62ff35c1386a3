//! Who may use a key: its owner, who has a grant, and else whom polkit lets. Groups and units come
//! from the bus's and systemd's own knowledge of the caller, never from what it says.

use super::failure::Answer;
use super::{MANAGE, Shared, USE};
use crate::audit::{Action, Event, Who};
use crate::grant::{Operation, Subject};
use crate::record::Record;
use std::sync::Arc;
use zbus::fdo::{ConnectionCredentials, DBusProxy};
use zbus::message::Header;
use zbus::names::OwnedUniqueName;
use zbus::{Fd, OwnedObjectPath};

impl Shared {
    /// Lets a caller use a key for an operation. A refusal goes to the trail.
    pub(super) async fn authorise_use(
        self: &Arc<Self>,
        header: &Header<'_>,
        record: &Record,
        operation: Operation,
    ) -> Answer<Who> {
        let caller = self.context.authority.caller(header).await?;
        let who = Who::User(caller.uid);
        if caller.uid == record.owner
            || self
                .granted(&caller.name, caller.uid, record, operation)
                .await?
        {
            return Ok(who);
        }
        let action = match operation {
            Operation::Rotate => MANAGE,
            _ => USE,
        };
        let kind = match operation {
            Operation::Rotate => Action::Rotate,
            other => Action::Use(other.name()),
        };
        self.ask(header, record, kind, action, who).await
    }

    /// Lets a caller change a key. A refusal goes to the trail.
    pub(super) async fn authorise_change(
        &self,
        header: &Header<'_>,
        record: &Record,
        kind: Action,
        action: &str,
    ) -> Answer<Who> {
        let caller = self.context.authority.caller(header).await?;
        let who = Who::User(caller.uid);
        if caller.uid == record.owner {
            return Ok(who);
        }
        self.ask(header, record, kind, action, who).await
    }

    /// Asks polkit, whoever owns the key. A refusal goes to the trail.
    pub(super) async fn ask(
        &self,
        header: &Header<'_>,
        record: &Record,
        kind: Action,
        action: &str,
        who: Who,
    ) -> Answer<Who> {
        match self.context.authority.check(header, action).await {
            Ok(_) => Ok(who),
            Err(error) => {
                let detail = String::new();
                let mut event = Event::of_key(kind, record.id, record.version(), who, detail);
                event.refusal = Some(error.to_string());
                self.keyring.audit().note(&event);
                Err(error)
            }
        }
    }

    async fn granted(
        self: &Arc<Self>,
        name: &OwnedUniqueName,
        uid: u32,
        record: &Record,
        operation: Operation,
    ) -> Answer<bool> {
        if record.grants.list.is_empty() {
            return Ok(false);
        }
        // Grants count only when they authenticate under the root key.
        self.ensure_open().await?;
        let grants = self.keyring.grants(record)?;
        let mut candidates: Vec<Subject> = Vec::new();
        for grant in grants {
            if grant.operations.contains(operation) {
                candidates.push(grant.subject);
            }
        }
        if candidates.is_empty() {
            return Ok(false);
        }
        if candidates.contains(&Subject::User(uid)) {
            return Ok(true);
        }
        let bus = DBusProxy::new(&self.context.connection).await?;
        let Ok(known) = bus.get_connection_credentials(name.clone().into()).await else {
            return Ok(false);
        };
        let groups = known.unix_group_ids().cloned().unwrap_or_default();
        if groups
            .iter()
            .any(|group| candidates.contains(&Subject::Group(*group)))
        {
            return Ok(true);
        }
        if !candidates
            .iter()
            .any(|subject| matches!(subject, Subject::Unit(_)))
        {
            return Ok(false);
        }
        let unit = self.unit_of(&known).await;
        Ok(unit.is_some_and(|unit| candidates.contains(&Subject::Unit(unit))))
    }

    /// The system unit that a caller runs in. Only a bus that gives a descriptor of the process can
    /// say: a process id may be another's by the time that it is looked up.
    async fn unit_of(&self, known: &ConnectionCredentials) -> Option<String> {
        let process = known.process_fd()?;
        let answer = self
            .context
            .connection
            .call_method(
                Some("org.freedesktop.systemd1"),
                "/org/freedesktop/systemd1",
                Some("org.freedesktop.systemd1.Manager"),
                "GetUnitByPIDFD",
                &(Fd::from(process),),
            )
            .await
            .ok()?;
        let (_, unit, _): (OwnedObjectPath, String, Vec<u8>) = answer.body().deserialize().ok()?;
        Some(unit)
    }

    /// Writes that a key was used.
    pub(super) fn used(
        &self,
        record: &Record,
        operation: Operation,
        version: u32,
        who: Who,
        done: Result<(), String>,
    ) {
        let action = match operation {
            Operation::Rotate => Action::Rotate,
            other => Action::Use(other.name()),
        };
        let mut event = Event::of_key(action, record.id, version, who, String::new());
        event.refusal = done.err();
        self.keyring.audit().note(&event);
    }
}

/// Bus errors as the trail has them.
pub(super) fn outcome<T>(done: &Result<T, crate::Error>) -> Result<(), String> {
    done.as_ref().map(drop).map_err(ToString::to_string)
}
