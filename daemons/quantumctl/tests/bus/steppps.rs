//! `quantumctl steppps`.

use std::collections::HashMap;

use quantumos_harness::{PrivateBus, eventually};
use serde_json::Value as Json;
use zbus::object_server::SignalEmitter;

use crate::{ctl, services};

#[tokio::test(flavor = "multi_thread")]
async fn dimensions_in_order_and_in_full() {
    let bus = PrivateBus::start().unwrap();
    let _steppps = services::steppps(&bus).await;
    let run = ctl::run(&bus, &["steppps"]).await;
    assert_eq!(
        run.out,
        "\
DIMENSION  HEALTH     AVAILABLE  REASON
space      ok         yes
time       attention  yes        clock unsynchronised
pixel      unknown    no         no display
"
    );
    let json = ctl::run(&bus, &["steppps", "space", "--json"]).await.json();
    assert_eq!(json["state"]["CpuCount"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_printed_as_they_come() {
    let bus = PrivateBus::start().unwrap();
    let connection = services::steppps(&bus).await;
    let (_child, mut lines) = ctl::start(&bus, &["steppps", "space", "--watch", "--json"]);
    let sender = tokio::spawn(async move {
        let emitter = SignalEmitter::new(&connection, "/org/quantumos/steppps").unwrap();
        // The watcher subscribes at its own pace: signal until the test has seen it.
        eventually::<(), _, _>("the test ends", || async {
            for dimension in ["time", "space"] {
                let changed = HashMap::from([("Note".to_owned(), services::own(dimension))]);
                services::Steppps1::changed(&emitter, dimension, changed)
                    .await
                    .unwrap();
            }
            None
        })
        .await;
    });
    for _ in 0..3 {
        let line = lines.next_line().await.unwrap().unwrap();
        let json: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(json["dimension"], "space", "others are left out");
        assert_eq!(json["changed"]["Note"], "space");
    }
    sender.abort();
}
