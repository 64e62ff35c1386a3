//! Responses to real processes: what is done, undone, refused, and what a restart makes of it.

use crate::stage::{NOBODY, RULE, Stage};
use futures_util::StreamExt;
use quantumos_dbus::{
    Dictionary, Error, Response1Proxy, Responses1Proxy, Service1Proxy, bus_name, path,
};
use quantumos_ebpf::{Context as EventContext, Event, ExecEvent, ProcessKey};
use quantumos_harness::bus::die_with_parent;
use quantumos_harness::{FakePolkit, contract, eventually};
use security_ai::Settings;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use zbus::{Connection, OwnedVariant, Variant};

pub fn value(value: impl Into<Variant<'static>>) -> OwnedVariant {
    OwnedVariant::try_from(value.into()).unwrap()
}

pub fn entries<const N: usize>(entries: [(&str, OwnedVariant); N]) -> Dictionary {
    entries.map(|(key, value)| (key.to_owned(), value)).into()
}

pub fn none() -> Dictionary {
    Dictionary::new()
}

pub async fn responses(client: &Connection) -> Responses1Proxy<'_> {
    Responses1Proxy::new(client).await.unwrap()
}

pub async fn response<'a>(client: &'a Connection, path: &str) -> Response1Proxy<'a> {
    let builder = Response1Proxy::builder(client).path(path.to_owned());
    let builder = builder.cache_properties(zbus::proxy::CacheProperties::No);
    builder.build().await.unwrap()
}

/// A stage where the host's own processes are.
pub fn stage() -> Stage {
    let stage = Stage::new(&[("netcat.yml", RULE)]);
    std::os::unix::fs::symlink("/proc", stage.root.path().join("proc")).unwrap();
    stage
}

/// A process to act on; it is killed in the end.
pub struct Victim(Child);

impl Victim {
    pub fn start() -> Self {
        let mut command = Command::new("sleep");
        command.arg("1000");
        die_with_parent(&mut command);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// State letter and start in ticks, as the kernel says them.
    fn stat(&self) -> (char, u64) {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let rest = &text[text.rfind(')').unwrap() + 2..];
        let fields: Vec<&str> = rest.split(' ').collect();
        (
            fields[0].chars().next().unwrap(),
            fields[19].parse().unwrap(),
        )
    }

    pub fn target(&self) -> Dictionary {
        entries([("pid", value(self.pid()))])
    }

    /// It ends, and by SIGKILL.
    pub fn killed(&mut self) {
        assert_eq!(self.0.wait().unwrap().signal(), Some(9));
    }

    async fn becomes(&self, stopped: bool) {
        eventually("the process is stopped, or goes on", async || {
            ((self.stat().0 == 'T') == stopped).then_some(())
        })
        .await;
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_process_is_frozen_thawed_and_killed() {
    let stage = stage();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let mut victim = Victim::start();
    let mut changes = all.receive_response_changed().await.unwrap();

    let plan = all.plan(victim.target(), "freeze", none()).await.unwrap();
    assert_eq!(plan["Allowed"], value(true));
    assert_eq!(plan["Action"], value("org.quantumos.security.contain"));
    assert_eq!(plan["Pid"], value(victim.pid()));
    assert_ne!(victim.stat().0, 'T', "a plan does nothing");

    let options = entries([("reason", value("it looks\nodd"))]);
    let frozen = all.respond(victim.target(), "freeze", options).await;
    let frozen = frozen.unwrap();
    victim.becomes(true).await;
    let signal = changes.next().await.unwrap();
    let told = signal.args().unwrap();
    assert_eq!(told.response.as_str(), frozen.as_str());
    assert_eq!(<&str>::try_from(&told.details["State"]).unwrap(), "applied");
    let one = response(&client, frozen.as_str()).await;
    assert_eq!(one.state().await.unwrap(), "applied");
    assert_eq!(one.by().await.unwrap(), "root");
    assert_eq!(one.reason().await.unwrap(), "it looks\\u{a}odd");
    assert!(one.expires().await.unwrap() > one.time().await.unwrap());
    let executable = one.executable().await.unwrap();
    assert!(
        executable.ends_with("/sleep") || executable.contains("coreutils"),
        "{executable}"
    );
    for (object, interface) in [
        (path::RESPONSES, "org.quantumos.Responses1"),
        (frozen.as_str(), "org.quantumos.Response1"),
    ] {
        let lines = contract::differences(&client, bus_name::SECURITY, object, &[interface]).await;
        let lines = lines.unwrap();
        assert!(lines.is_empty(), "{lines:?}");
    }
    let again = all.respond(victim.target(), "freeze", none()).await;
    assert!(matches!(&again, Err(Error::Busy(_))), "{again:?}");

    one.undo().await.unwrap();
    victim.becomes(false).await;
    assert_eq!(one.state().await.unwrap(), "undone");
    let twice = one.undo().await;
    assert!(
        matches!(&twice, Err(Error::InvalidArgument(_))),
        "{twice:?}"
    );

    let other = entries([
        ("pid", value(victim.pid())),
        ("start", value(victim.stat().1 + 1)),
    ]);
    let wrong = all.respond(other, "kill", none()).await;
    assert!(matches!(&wrong, Err(Error::NotFound(_))), "{wrong:?}");
    let killed = all.respond(victim.target(), "kill", none()).await.unwrap();
    victim.killed();
    let killed = response(&client, killed.as_str()).await;
    assert_eq!(killed.state().await.unwrap(), "done");
    assert_eq!(killed.detail().await.unwrap(), "");
    let dead = all.respond(victim.target(), "kill", none()).await;
    assert!(matches!(&dead, Err(Error::NotFound(_))), "{dead:?}");
    running.stop().await;
}

#[tokio::test]
async fn what_is_protected_is_left_alone_and_the_plan_says_why() {
    let stage = stage();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let protected = all.protected().await.unwrap();
    assert!(protected.iter().any(|pattern| pattern == "dbus.service"));
    // This process is the daemon and the caller; its parent is what the caller runs in.
    let parent = std::os::unix::process::parent_id();
    for pid in [1, std::process::id(), parent] {
        let target = || entries([("pid", value(pid))]);
        let refused = all.respond(target(), "kill", none()).await;
        assert!(
            matches!(&refused, Err(Error::NotAuthorized(_))),
            "{pid}: {refused:?}"
        );
        let plan = all.plan(target(), "kill", none()).await.unwrap();
        assert_eq!(plan["Allowed"], value(false));
        assert!(plan.contains_key("Refusal"), "{plan:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_has_had_its_time_is_undone() {
    let stage = stage();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let victim = Victim::start();
    let options = entries([("seconds", value(1_u32))]);
    let all = responses(&client).await;
    let frozen = all.respond(victim.target(), "freeze", options).await;
    let frozen = response(&client, frozen.unwrap().as_str()).await;
    eventually("its time is over", async || {
        (frozen.state().await.unwrap() == "expired").then_some(())
    })
    .await;
    victim.becomes(false).await;
    running.stop().await;
}

#[tokio::test]
async fn what_holds_a_process_ends_with_it_also_while_the_daemon_is_away() {
    let stage = stage();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    let [mut here, mut away, mut thawed] = [(); 3].map(|()| Victim::start());
    let mut frozen = Vec::new();
    for victim in [&here, &away, &thawed] {
        let path = all.respond(victim.target(), "freeze", none()).await;
        frozen.push(path.unwrap().as_str().to_owned());
    }
    response(&client, &frozen[2]).await.undo().await.unwrap();

    let mut changes = all.receive_response_changed().await.unwrap();
    here.0.kill().unwrap();
    here.killed();
    let one = response(&client, &frozen[0]).await;
    eventually("it ends with its process", async || {
        (one.state().await.unwrap() == "ended").then_some(())
    })
    .await;
    let signal = changes.next().await.unwrap();
    let told = signal.args().unwrap();
    assert_eq!(told.response.as_str(), frozen[0]);
    let told = |name: &str| <&str>::try_from(&told.details[name]).unwrap().to_owned();
    assert_eq!(told("State"), "ended");
    assert_eq!(told("Detail"), "the process is gone");

    running.stop().await;
    for victim in [&mut away, &mut thawed] {
        victim.0.kill().unwrap();
        victim.killed();
    }
    let second = stage.moved();
    let client = second.bus.connect().await.unwrap();
    let running = second.serve(Settings::default()).await;
    for (path, state) in frozen.iter().zip(["ended", "ended", "undone"]) {
        let one = response(&client, path).await;
        eventually("it stands as it should", async || {
            (one.state().await.unwrap() == state).then_some(())
        })
        .await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_nothing_that_is_frozen() {
    let stage = stage();
    let client = stage.bus.connect().await.unwrap();
    let running = stage.serve(Settings::default()).await;
    let (kept, timed, mut gone) = (Victim::start(), Victim::start(), Victim::start());
    let all = responses(&client).await;
    let freeze = async |victim: &Victim, seconds: u32| {
        let options = entries([("seconds", value(seconds))]);
        let made = all.respond(victim.target(), "freeze", options).await;
        made.unwrap().to_string()
    };
    let of_kept = freeze(&kept, 0).await;
    let of_gone = freeze(&gone, 0).await;
    let of_timed = freeze(&timed, 2).await;
    running.stop().await;
    kept.becomes(true).await;
    gone.0.kill().unwrap();
    gone.0.wait().unwrap();

    let second = stage.moved();
    let client = second.bus.connect().await.unwrap();
    let running = second.serve(Settings::default()).await;
    let one = response(&client, &of_kept).await;
    assert_eq!(one.state().await.unwrap(), "applied");
    one.undo().await.unwrap();
    kept.becomes(false).await;
    let timed_out = response(&client, &of_timed).await;
    eventually("its time is over, daemon or not", async || {
        (timed_out.state().await.unwrap() == "expired").then_some(())
    })
    .await;
    timed.becomes(false).await;
    let ended = response(&client, &of_gone).await;
    eventually("it ended with its process", async || {
        (ended.state().await.unwrap() == "ended").then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_told_and_memory_stands_in() {
    let stage = stage();
    // What is a folder can't be replaced by a file.
    let file = stage.root.path().join("state/responses.jsonl/x");
    std::fs::create_dir_all(file).unwrap();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let victim = Victim::start();
    let all = responses(&client).await;
    let frozen = all.respond(victim.target(), "freeze", none()).await;
    let frozen = frozen.unwrap();
    let service = Service1Proxy::new(&client, bus_name::SECURITY, path::SECURITY);
    let problems = service.await.unwrap().problems().await.unwrap();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("their file can't be written")),
        "{problems:?}"
    );
    let kept = std::fs::read_to_string(stage.root.path().join("runtime/responses.jsonl"));
    assert!(kept.unwrap().contains("stop-process"));
    response(&client, frozen.as_str())
        .await
        .undo()
        .await
        .unwrap();
    victim.becomes(false).await;
    running.stop().await;
}

#[tokio::test]
async fn an_alert_is_answered_when_the_configuration_says_so() {
    let stage = stage();
    let mut settings = Settings::default();
    settings.responses.automatic = true;
    settings.responses.rules = BTreeMap::from([("netcat".into(), "freeze".into())]);
    let running = stage.serve(settings).await;
    let client = stage.bus.connect().await.unwrap();
    let all = responses(&client).await;
    assert!(all.automatic().await.unwrap());
    let mut changes = all.receive_response_changed().await.unwrap();
    let victim = Victim::start();
    let (_, start) = victim.stat();
    let seen = |start: u64| {
        Event::Exec(Box::new(ExecEvent {
            context: EventContext {
                process: ProcessKey {
                    pid: victim.pid(),
                    start_time: start * 10_000_000,
                },
                comm: b"nc".to_vec(),
                ..EventContext::default()
            },
            filename: b"/usr/bin/nc".to_vec(),
            executable: b"/usr/bin/nc".to_vec(),
            argv: b"nc\0".to_vec(),
            ..ExecEvent::default()
        }))
    };
    // Another process had the number when this happened.
    stage.source.give([seen(start - 1)]);
    let signal = changes.next().await.unwrap();
    let told = signal.args().unwrap();
    assert_eq!(<&str>::try_from(&told.details["State"]).unwrap(), "refused");
    assert_ne!(victim.stat().0, 'T');
    stage.source.give([seen(start)]);
    let signal = changes.next().await.unwrap();
    let told = signal.args().unwrap();
    assert_eq!(<&str>::try_from(&told.details["State"]).unwrap(), "applied");
    victim.becomes(true).await;
    let made = response(&client, told.response.as_str()).await;
    assert_eq!(made.by().await.unwrap(), "automatic");
    let evidence = made.evidence().await.unwrap();
    assert_eq!(evidence["RuleId"], "netcat");
    assert_eq!(evidence["Explanation"], "Image ends with \"/nc\"");
    // What an alert is about can be named by it.
    let target = entries([("alert", value(evidence["Alert"].clone()))]);
    all.respond(target, "observe", none()).await.unwrap();
    assert_eq!(all.undo_all().await.unwrap(), (1, 0));
    victim.becomes(false).await;
    running.stop().await;
}

#[tokio::test]
async fn each_grade_asks_for_its_action() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: callers of other users need root");
        return;
    }
    let (contain, deny) = (
        "org.quantumos.security.contain",
        "org.quantumos.security.deny",
    );
    let kill = "org.quantumos.security.kill";
    let stage = stage();
    let running = stage.serve(Settings::default()).await;
    let polkit = FakePolkit::start(&stage.bus).await.unwrap();
    let nobody = stage.bus.connect_as(NOBODY).await.unwrap();
    let all = responses(&nobody).await;
    let victim = Victim::start();
    for (grade, action) in [
        ("observe", contain),
        ("throttle", contain),
        ("freeze", contain),
        ("isolate", contain),
        ("deny", deny),
        ("kill", kill),
    ] {
        let refused = all.respond(victim.target(), grade, none()).await;
        assert!(
            matches!(&refused, Err(Error::NotAuthorized(text)) if text.contains(action)),
            "{grade}: {refused:?}"
        );
    }
    polkit.allow(contain);
    let made = all
        .respond(victim.target(), "freeze", none())
        .await
        .unwrap();
    let one = response(&nobody, made.as_str()).await;
    assert_eq!(one.by().await.unwrap(), "nobody");
    polkit.refuse(contain);
    let refused = one.undo().await;
    assert!(
        matches!(&refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    polkit.allow(contain);
    let refused = all.undo_all().await;
    assert!(
        matches!(&refused, Err(Error::NotAuthorized(text)) if text.contains(deny)),
        "{refused:?}"
    );
    one.undo().await.unwrap();
    running.stop().await;
}
