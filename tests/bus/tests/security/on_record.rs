//! What security-ai does goes on record in quantumd's ledger, whenever quantumd is there, and under nobody else's name.

use crate::policy::elements;
use crate::responses::{entries, none, response, responses, stage, value};
use crate::stage::NOBODY;
use crate::support::without_tpm;
use quantumd::Quantumd;
use quantumos_dbus::{Error, Ledger1Proxy};
use quantumos_harness::bus::die_with_parent;
use quantumos_harness::{FakePolkit, PrivateBus, eventually};
use quantumos_service::Running;
use security_ai::Settings;
use std::collections::HashMap;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::Command;
use zbus::Connection;

/// quantumd, with its keys in software.
async fn quantumd(bus: &PrivateBus, root: &Path) -> Running<Quantumd> {
    bus.serve::<Quantumd>(root, without_tpm(true))
        .await
        .unwrap()
}

async fn ledger(client: &Connection) -> Ledger1Proxy<'static> {
    let builder = Ledger1Proxy::builder(client);
    let builder = builder.cache_properties(zbus::proxy::CacheProperties::No);
    builder.build().await.unwrap()
}

/// The data of all entries.
async fn all(ledger: &Ledger1Proxy<'_>) -> Vec<serde_json::Value> {
    let size = ledger.size().await.unwrap();
    let descriptor = ledger.entries(0, size).await.unwrap();
    let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(descriptor));
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (entry, tail) = tail.split_at(usize::from(u16::from_be_bytes(*length)));
        let entry: serde_json::Value = serde_json::from_slice(entry).unwrap();
        all.push(entry["data"].clone());
        rest = tail;
    }
    all
}

/// Event and response of each.
fn events(data: &[serde_json::Value]) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    let both = data
        .iter()
        .map(|data| [text(&data["event"]), text(&data["response"])]);
    both.map(|both| both.join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_wait_for_the_ledger_over_a_restart_and_are_there_once() {
    let stage = stage();
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let mut victim = Command::new("sleep");
    victim.arg("1000");
    die_with_parent(&mut victim);
    let mut victim = victim.spawn().unwrap();
    let target = || entries([("pid", value(victim.id()))]);

    // Nobody keeps a ledger yet, and nobody waits for one.
    let responder = responses(&client).await;
    let frozen = responder.respond(target(), "freeze", none()).await.unwrap();
    let one = response(&client, frozen.as_str()).await;
    assert_eq!(one.state().await.unwrap(), "applied");
    one.undo().await.unwrap();
    let init = entries([("pid", value(1_u32))]);
    let refused = responder.respond(init, "kill", none()).await;
    assert!(
        matches!(refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    assert_eq!(one.ledger().await.unwrap(), HashMap::new());
    running.stop().await;

    // It waits for the next one of the daemons, and for the next of quantumd.
    let running = stage.serve(Settings::default()).await;
    let house = tempfile::tempdir().unwrap();
    let keeper = quantumd(&stage.bus, house.path()).await;
    let log = ledger(&client).await;
    let done = eventually("the response is on record", async || {
        let on_record = one.ledger().await.unwrap();
        (on_record.len() == 3).then_some(on_record)
    })
    .await;
    let place = |event: &str| usize::try_from(done[event]).unwrap();
    assert_eq!(
        [place("planned"), place("applied"), place("undone")],
        [0, 1, 2]
    );
    eventually("the refusal is on record", async || {
        (log.size().await.unwrap() == 4).then_some(())
    })
    .await;
    let data = all(&log).await;
    assert_eq!(
        events(&data),
        ["planned 1", "applied 1", "undone 1", "refused -"]
    );
    assert_eq!(data[0]["grade"], "freeze");
    assert_eq!(data[0]["pid"], victim.id().to_string());
    assert_eq!(data[3]["pid"], "1");
    assert_eq!(data[3]["by"], "root");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid());
    assert_eq!(
        data[0]["agent"],
        user.unwrap().unwrap().name,
        "as the bus knows it"
    );
    assert!(log.inclusion_proof(2).await.unwrap().contains("extra"));
    assert_eq!(log.verify().await.unwrap(), []);

    // quantumd goes and comes back: what happens meanwhile is there after, and what was there is there once.
    keeper.stop().await;
    let killed = responder.respond(target(), "kill", none()).await.unwrap();
    victim.wait().unwrap();
    let keeper = quantumd(&stage.bus, house.path()).await;
    let two = response(&client, killed.as_str()).await;
    eventually("the second is on record", async || {
        (two.ledger().await.unwrap().len() == 2).then_some(())
    })
    .await;
    let data = all(&log).await;
    assert_eq!(events(&data)[4..], ["planned 2", "done 2"]);
    running.stop().await;
    // After a restart nothing is told again.
    let running = stage.serve(Settings::default()).await;
    let frozen = responses(&client).await;
    let init = entries([("pid", value(1_u32))]);
    frozen.respond(init, "kill", none()).await.unwrap_err();
    eventually("only what is new is on record", async || {
        let size = log.size().await.unwrap();
        assert!(size <= 7, "{size}");
        (size == 7).then_some(())
    })
    .await;
    running.stop().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_append_does_and_only_in_its_own_name() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: callers of other users need root");
        return;
    }
    // The installed policy, with `daemon` for security-ai, since the bus knows users of the password file only.
    const AGENT: u32 = 1;
    let policy = elements("Quantum1")
        .replace("user=\"security-ai\"", "user=\"daemon\"")
        .replace("user=\"quantumd\"", "user=\"root\"");
    let bus = PrivateBus::start_with(&format!(
        "{policy}<policy context=\"default\"><allow own=\"org.freedesktop.PolicyKit1\"/>\
         <allow send_destination=\"org.freedesktop.PolicyKit1\"/></policy>"
    ))
    .unwrap();
    let house = tempfile::tempdir().unwrap();
    let keeper = quantumd(&bus, house.path()).await;
    let polkit = FakePolkit::start(&bus).await.unwrap();
    let facts = HashMap::from([("unit".to_owned(), "a.service".to_owned())]);

    // The bus itself lets nobody else through.
    let stranger = ledger(&bus.connect_as(NOBODY).await.unwrap()).await;
    let refused = stranger.append("applied", "1", 7, &facts).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(polkit.asked().is_empty(), "it came through to quantumd");
    assert_eq!(stranger.size().await.unwrap(), 0, "reading is for all");

    let agent = ledger(&bus.connect_as(AGENT).await.unwrap()).await;
    let refused = agent.append("applied", "1", 7, &facts).await;
    assert!(
        matches!(refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    assert_eq!(polkit.asked()[0].action, "org.quantumos.ledger.append");
    polkit.allow("org.quantumos.ledger.append");
    assert_eq!(agent.append("applied", "1", 7, &facts).await.unwrap(), 0);
    assert_eq!(agent.append("applied", "1", 7, &facts).await.unwrap(), 0);
    assert_eq!(agent.append("undone", "2", 8, &facts).await.unwrap(), 1);
    for (event, id, name) in [
        ("Applied", "3", "unit"),
        ("applied", "", "unit"),
        ("applied", "3", "agent"),
    ] {
        let facts = HashMap::from([(name.to_owned(), "root".to_owned())]);
        let wrong = agent.append(event, id, 7, &facts).await;
        assert!(matches!(wrong, Err(Error::InvalidArgument(_))), "{wrong:?}");
    }
    let root = ledger(&bus.connect().await.unwrap()).await;
    assert_eq!(root.append("applied", "1", 7, &facts).await.unwrap(), 2);
    let data = all(&root).await;
    let agents: Vec<_> = data.iter().map(|data| data["agent"].as_str()).collect();
    assert_eq!(agents, [Some("daemon"), Some("daemon"), Some("root")]);
    assert_eq!(root.verify().await.unwrap(), []);
    keeper.stop().await;
}
