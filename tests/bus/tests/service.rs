//! What every daemon gets from the service crate, shown on a daemon that does nothing else.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

use futures_util::StreamExt;
use quantumos_dbus::{Error, Service, Service1Proxy};
use quantumos_harness::{FakePolkit, PrivateBus, contract, eventually};
use quantumos_service::{Authority, BoxError, Context, Daemon, Invalid, Settings};
use serde::{Deserialize, Serialize};
use zbus::{Connection, message::Header};

const ACTION: &str = "org.quantumos.example.act";
const PATH: &str = "/org/quantumos/example";
const NAME: &str = "org.quantumos.Example1";
const NOBODY: u32 = 65_534;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ExampleSettings {
    number: u32,
}

impl Settings for ExampleSettings {
    fn validate(&self) -> Result<(), Invalid> {
        if self.number > 100 {
            Err(Invalid::new("number", "at most 100"))
        } else {
            Ok(())
        }
    }
}

struct Example {
    number: u32,
    context: Context,
}

struct Act(Authority);

#[zbus::interface(name = "org.quantumos.Example1")]
impl Act {
    async fn act(&self, #[zbus(header)] header: Header<'_>) -> Result<u32, Error> {
        Ok(self.0.check(&header, ACTION).await?.uid)
    }
}

impl Daemon for Example {
    type Settings = ExampleSettings;
    const SERVICE: Service = Service {
        unit: "example",
        bus_name: NAME,
        path: PATH,
    };

    async fn start(context: Context, settings: ExampleSettings) -> Result<Self, BoxError> {
        context
            .connection
            .object_server()
            .at(PATH, Act(context.authority.clone()))
            .await?;
        Ok(Self {
            number: settings.number,
            context,
        })
    }

    async fn reload(&mut self, settings: ExampleSettings) -> Result<(), BoxError> {
        if settings.number == 13 {
            return Err("rules.yml:4: thirteen".into());
        }
        self.number = settings.number;
        self.context.status.set_detail("number", self.number.into());
        Ok(())
    }

    async fn stop(self) {}
}

async fn act(connection: &Connection, interactive: bool) -> Result<u32, Error> {
    let proxy = zbus::Proxy::new(connection, NAME, PATH, "org.quantumos.Example1").await?;
    let flags = if interactive {
        zbus::proxy::MethodFlags::ALLOW_INTERACTIVE_AUTH
    } else {
        zbus::proxy::MethodFlags::empty()
    };
    match proxy.call_with_flags::<_, _, u32>("Act", flags, &()).await {
        Ok(Some(uid)) => Ok(uid),
        Ok(None) => panic!("no reply"),
        Err(error) => Err(error.into()),
    }
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: callers of other users need root");
    }
    root
}

#[tokio::test]
async fn privileged_calls_are_asked_about_and_fail_closed() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let _running = bus
        .serve::<Example>(root.path(), ExampleSettings::default())
        .await
        .unwrap();
    let own = bus.connect().await.unwrap();
    assert_eq!(
        act(&own, false).await.unwrap(),
        nix::unistd::geteuid().as_raw()
    );
    if !is_root() {
        return;
    }
    let nobody = bus.connect_as(NOBODY).await.unwrap();
    let error = act(&nobody, false).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotAuthorized(text) if text.contains("no answer")),
        "{error:?}"
    );

    let polkit = FakePolkit::start(&bus).await.unwrap();
    let error = act(&nobody, false).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotAuthorized(text) if text.contains(ACTION)),
        "{error:?}"
    );
    polkit.allow(ACTION);
    assert_eq!(act(&nobody, true).await.unwrap(), NOBODY);

    let asked = polkit.asked();
    assert_eq!(asked.len(), 2);
    for (question, interactive) in asked.iter().zip([false, true]) {
        assert_eq!(question.action, ACTION);
        assert_eq!(question.subject_kind, "system-bus-name");
        assert_eq!(question.sender, nobody.unique_name().unwrap().to_string());
        assert_eq!(question.interactive, interactive);
    }
}

#[tokio::test]
async fn a_bad_configuration_is_refused_and_the_old_one_stays() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut running = bus
        .serve::<Example>(root.path(), ExampleSettings::default())
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let service = Service1Proxy::new(&client, NAME, PATH).await.unwrap();
    let mut changes = service.receive_configuration_error_changed().await;
    assert_eq!(changes.next().await.unwrap().get().await.unwrap(), "");

    let file = root.path().join("etc/quantumos/example.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (text, words, number) in [
        ("number = 7\n", "", 7),
        (
            "number = 8\nnumbr = 9\n",
            "example.toml:2: unknown field `numbr`",
            7,
        ),
        (
            "\n\nnumber = 101\n",
            "example.toml:3: number: at most 100",
            7,
        ),
        ("number = 13\n", "rules.yml:4: thirteen", 7),
        ("number = 9\n", "", 9),
    ] {
        std::fs::write(&file, text).unwrap();
        running.reload().await;
        assert_eq!(running.daemon().number, number, "{text}");
        eventually("ConfigurationError follows", async || {
            let error = service.configuration_error().await.unwrap();
            (error.contains(words) && error.is_empty() == words.is_empty()).then_some(())
        })
        .await;
        let state = if words.is_empty() {
            "ready"
        } else {
            "degraded"
        };
        eventually("State follows", async || {
            (service.state().await.unwrap() == state).then_some(())
        })
        .await;
    }
    let description: serde_json::Value =
        serde_json::from_str(&service.describe().await.unwrap()).unwrap();
    assert_eq!(description["number"], 9);
    assert_eq!(description["busName"], NAME);
}

#[tokio::test]
async fn problems_come_and_go_with_signals() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let running = bus
        .serve::<Example>(root.path(), ExampleSettings::default())
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let service = Service1Proxy::new(&client, NAME, PATH).await.unwrap();
    let mut changes = service.receive_problems_changed().await;
    assert!(
        changes
            .next()
            .await
            .unwrap()
            .get()
            .await
            .unwrap()
            .is_empty()
    );
    running
        .context()
        .status
        .set_problem("disk", Some("the disk is full".into()))
        .await;
    assert_eq!(
        changes.next().await.unwrap().get().await.unwrap(),
        ["the disk is full"]
    );
    running.context().status.set_problem("disk", None).await;
    assert!(
        changes
            .next()
            .await
            .unwrap()
            .get()
            .await
            .unwrap()
            .is_empty()
    );
    running.stop().await;
}

#[tokio::test]
async fn the_name_has_one_owner() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let _first = bus
        .serve::<Example>(root.path(), ExampleSettings::default())
        .await
        .unwrap();
    assert!(
        bus.serve::<Example>(root.path(), ExampleSettings::default())
            .await
            .is_err()
    );
    let client = bus.connect().await.unwrap();
    let lines = contract::differences(&client, NAME, PATH, &["org.quantumos.Service1"])
        .await
        .unwrap();
    assert_eq!(
        lines,
        [format!("{PATH}: org.quantumos.Example1 is not expected")]
    );
}
