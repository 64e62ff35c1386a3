//! The objects on the bus: `Responses1`, which takes requests, and one `Response1` for each response.
//! They check who asks, read what is shared, and leave the rest to the one task that responds.

use super::grade::{CONTAIN, DENY, Grade, KILL};
use super::plan::Scope;
use super::protect::Protection;
use super::record::{By, Response};
use super::responder::{Aim, Order, SharedHistory, Wanted};
use super::settings::Responses;
use crate::accounts::Accounts;
use quantumos_dbus::{Dictionary, Error, path};
use quantumos_service::{Authority, Caller};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot};
use zbus::fdo::DBusProxy;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, Str, Variant};

/// The longest reason, in bytes.
const LONGEST_REASON: usize = 512;
/// The longest name of a unit, in bytes.
const LONGEST_UNIT: usize = 255;

/// Where a response's object is.
#[must_use]
pub fn response_path(id: u64) -> OwnedObjectPath {
    ObjectPath::from_string_unchecked(format!("{}/{id}", path::RESPONSES)).into()
}

/// `org.quantumos.Responses1`.
pub struct Responses1 {
    pub(crate) connection: Connection,
    pub(crate) authority: Authority,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) settings: RwLock<Responses>,
}

impl Responses1 {
    /// Shows these settings from now on.
    pub(crate) fn set(&self, settings: &Responses) {
        let mut shown = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shown.clone_from(settings);
    }

    async fn wanted(
        &self,
        header: &Header<'_>,
        target: &Dictionary,
        grade: &str,
        options: &Dictionary,
    ) -> Result<Wanted, Error> {
        let mut wanted = wanted(target, grade, options)?;
        let sender = header
            .sender()
            .ok_or_else(|| Error::NotAuthorized("the call names no sender".into()))?;
        let bus = DBusProxy::new(&self.connection).await?;
        let process = bus.get_connection_unix_process_id(sender.to_owned().into());
        wanted.caller = process.await.map_err(|error| {
            Error::NotAuthorized(format!("the bus does not say which process calls: {error}"))
        })?;
        Ok(wanted)
    }
}

#[zbus::interface(name = "org.quantumos.Responses1", introspection_docs = false)]
impl Responses1 {
    #[zbus(out_args("response"))]
    async fn respond(
        &self,
        #[zbus(header)] header: Header<'_>,
        target: Dictionary,
        grade: &str,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, Error> {
        let wanted = self.wanted(&header, &target, grade, &options).await?;
        let caller = self.authority.check(&header, wanted.grade.action()).await?;
        let id = order(&self.orders, |answer| {
            Order::Respond(wanted, by(&caller), answer)
        })
        .await??;
        Ok(response_path(id))
    }

    #[zbus(out_args("plan"))]
    async fn plan(
        &self,
        #[zbus(header)] header: Header<'_>,
        target: Dictionary,
        grade: &str,
        options: Dictionary,
    ) -> Result<Dictionary, Error> {
        let wanted = self.wanted(&header, &target, grade, &options).await?;
        let grade = wanted.grade;
        let (plan, about) = order(&self.orders, |answer| Order::Plan(wanted, answer)).await?;
        let text = |text: &str| OwnedVariant::from(Str::from(text.to_owned()));
        let mut out = Dictionary::from([
            ("Allowed".to_owned(), plan.is_ok().into()),
            ("Grade".to_owned(), text(grade.name())),
            ("Action".to_owned(), text(grade.action())),
            ("Pid".to_owned(), about.pid.into()),
            ("Start".to_owned(), about.start.into()),
            ("Executable".to_owned(), text(&about.executable)),
            ("Unit".to_owned(), text(&about.unit)),
        ]);
        match plan {
            Ok(plan) => {
                out.insert("Scope".into(), text(plan.scope.name()));
                out.insert("Effect".into(), text(&plan.effect));
                out.insert("Seconds".into(), plan.seconds.into());
            }
            Err(refusal) => {
                out.insert("Refusal".into(), text(&refusal.to_string()));
            }
        }
        Ok(out)
    }

    #[zbus(out_args("undone", "failed"))]
    async fn undo_all(&self, #[zbus(header)] header: Header<'_>) -> Result<(u32, u32), Error> {
        // Whoever may undo what was contained may not be one who may allow executions again.
        self.authority.check(&header, DENY).await?;
        let caller = self.authority.check(&header, CONTAIN).await?;
        let grades = Grade::ALL
            .into_iter()
            .filter(|grade| grade.action() != KILL);
        let grades = grades.collect();
        order(&self.orders, |answer| {
            Order::UndoAll(grades, by(&caller), answer)
        })
        .await
    }

    #[zbus(property)]
    fn automatic(&self) -> bool {
        let shown = self.settings.read();
        shown.unwrap_or_else(PoisonError::into_inner).automatic
    }

    #[zbus(property)]
    fn protected(&self) -> Vec<String> {
        let shown = self.settings.read();
        let shown = shown.unwrap_or_else(PoisonError::into_inner);
        let protection: Protection = shown.protection(crate::process::Identity::default());
        let units = protection.units();
        let all = units.chain(protection.executables());
        all.map(str::to_owned).collect()
    }

    #[zbus(signal)]
    pub(crate) async fn response_changed(
        emitter: &SignalEmitter<'_>,
        response: ObjectPath<'_>,
        details: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<()>;
}

/// `org.quantumos.Response1`.
pub struct ResponseObject {
    pub(crate) id: u64,
    pub(crate) history: SharedHistory,
    pub(crate) authority: Authority,
    pub(crate) orders: mpsc::Sender<Order>,
}

impl ResponseObject {
    fn read<T>(&self, read: impl FnOnce(&Response) -> T) -> Result<T, zbus::fdo::Error> {
        let history = self.history.lock();
        let response = history.get(self.id).map(read);
        response.ok_or_else(|| {
            zbus::fdo::Error::UnknownObject(format!("response {} has left", self.id))
        })
    }
}

#[zbus::interface(name = "org.quantumos.Response1", introspection_docs = false)]
impl ResponseObject {
    async fn undo(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let id = self.id;
        let gone = || Error::NotFound(format!("response {id} has left"));
        let grade = self.read(|response| response.grade).map_err(|_| gone())?;
        let caller = self.authority.check(&header, grade.action()).await?;
        order(&self.orders, |answer| Order::Undo(id, by(&caller), answer)).await?
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.id.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn grade(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.grade.name().into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn scope(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.scope.name().into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn effect(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.effect.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn pid(&self) -> Result<u32, zbus::fdo::Error> {
        self.read(|response| response.about.pid)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn start(&self) -> Result<u64, zbus::fdo::Error> {
        self.read(|response| response.about.start)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn executable(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.about.executable.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn unit(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.about.unit.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn reason(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.reason.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn evidence(&self) -> Result<HashMap<String, String>, zbus::fdo::Error> {
        self.read(|response| {
            let about = &response.about;
            let alert = match about.alert {
                0 => String::new(),
                id => id.to_string(),
            };
            let all = [
                ("Alert", &alert),
                ("RuleId", &about.rule),
                ("Title", &about.title),
                ("Level", &about.level),
                ("Explanation", &about.evidence),
            ];
            let there = all.into_iter().filter(|(_, text)| !text.is_empty());
            there
                .map(|(name, text)| (name.to_owned(), text.clone()))
                .collect()
        })
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn by(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.by.name().to_owned())
    }

    #[zbus(property)]
    fn state(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.state.name().into())
    }

    #[zbus(property)]
    fn detail(&self) -> Result<String, zbus::fdo::Error> {
        self.read(|response| response.detail.clone())
    }

    #[zbus(property)]
    fn ledger(&self) -> Result<HashMap<String, u64>, zbus::fdo::Error> {
        self.read(|response| {
            let entries = response.ledger.iter();
            entries
                .filter_map(|on| on.entry.map(|entry| (on.event.clone(), entry)))
                .collect()
        })
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn time(&self) -> Result<u64, zbus::fdo::Error> {
        self.read(|response| response.time)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn expires(&self) -> Result<u64, zbus::fdo::Error> {
        self.read(|response| response.expires)
    }
}

/// What `ResponseChanged` tells beside the path.
#[must_use]
pub fn details(response: &Response) -> HashMap<&str, Variant<'_>> {
    let about = &response.about;
    HashMap::from([
        ("Id", Variant::from(response.id.to_string())),
        ("Grade", response.grade.name().into()),
        ("Scope", response.scope.name().into()),
        ("Effect", response.effect.as_str().into()),
        ("Pid", about.pid.into()),
        ("Executable", about.executable.as_str().into()),
        ("Unit", about.unit.as_str().into()),
        ("Reason", response.reason.as_str().into()),
        ("By", response.by.name().into()),
        ("State", response.state.name().into()),
        ("Detail", response.detail.as_str().into()),
        ("Time", response.time.into()),
        ("Expires", response.expires.into()),
    ])
}

fn by(caller: &Caller) -> By {
    By::User(caller.uid, Accounts::default().get(caller.uid).name.clone())
}

/// Tells the task, and waits for its answer.
async fn order<T>(
    orders: &mpsc::Sender<Order>,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T, Error> {
    let (answer, answered) = oneshot::channel();
    let stopping = || Error::Unavailable("security-ai is stopping".into());
    orders.send(order(answer)).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())
}

/// A request from its parts on the wire; who calls is filled in later.
fn wanted(target: &Dictionary, grade: &str, options: &Dictionary) -> Result<Wanted, Error> {
    let grade = Grade::from_name(grade).ok_or_else(|| {
        let names: Vec<_> = Grade::ALL.into_iter().map(Grade::name).collect();
        wrong(
            "grade",
            &format!("{grade:?} is none of {}", names.join(", ")),
        )
    })?;
    only("target", target, &["alert", "pid", "start", "unit"])?;
    only("options", options, &["scope", "seconds", "reason"])?;
    let alert: Option<String> = read("target", target, "alert", "s")?;
    let pid: Option<u32> = read("target", target, "pid", "u")?;
    let start: Option<u64> = read("target", target, "start", "t")?;
    let unit: Option<String> = read("target", target, "unit", "s")?;
    let aim = match (alert, pid, start, unit) {
        (Some(id), None, None, None) => Aim::Alert(
            id.parse()
                .map_err(|_| wrong("target alert", &format!("{id:?} is not the id of an alert")))?,
        ),
        (None, Some(pid), start, None) => Aim::Process(pid, start),
        (None, None, None, Some(unit)) if is_unit(&unit) => Aim::Unit(unit),
        (None, None, None, Some(unit)) => {
            return Err(wrong(
                "target unit",
                &format!("{unit:?} is not the name of a unit"),
            ));
        }
        _ => {
            return Err(wrong(
                "target",
                "has to be one of alert (s), pid (u) with or without start (t), and unit (s)",
            ));
        }
    };
    let scope: Option<String> = read("options", options, "scope", "s")?;
    let scope = match scope {
        None => None,
        Some(name) => Some(Scope::from_name(&name).ok_or_else(|| {
            wrong(
                "options scope",
                &format!("{name:?} is none of process, unit, host"),
            )
        })?),
    };
    let reason: String = read("options", options, "reason", "s")?.unwrap_or_default();
    if reason.len() > LONGEST_REASON {
        let length = reason.len();
        let text = format!("{length} bytes long, at most {LONGEST_REASON} are allowed");
        return Err(wrong("options reason", &text));
    }
    Ok(Wanted {
        aim,
        grade,
        scope,
        seconds: read("options", options, "seconds", "u")?,
        reason: crate::mask::printable(reason.as_bytes(), LONGEST_REASON * 2),
        caller: 0,
    })
}

/// What systemd takes for the name of a unit.
fn is_unit(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    name.len() <= LONGEST_UNIT && name.contains('.') && name.bytes().all(allowed)
}

fn wrong(what: &str, why: &str) -> Error {
    Error::InvalidArgument(format!("{what}: {why}"))
}

fn only(what: &str, given: &Dictionary, known: &[&str]) -> Result<(), Error> {
    let strange = given.keys().filter(|key| !known.contains(&key.as_str()));
    match strange.min() {
        None => Ok(()),
        Some(key) => Err(wrong(what, &format!("{key:?} is not known"))),
    }
}

fn read<T: TryFrom<OwnedVariant>>(
    what: &str,
    given: &Dictionary,
    key: &str,
    kind: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = given.get(key) else {
        return Ok(None);
    };
    let value = T::try_from(value.clone());
    let value = value.map_err(|_| wrong(what, &format!("{key} has to be of type {kind}")))?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests;
