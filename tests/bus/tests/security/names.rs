//! What name servers answer, from a real datagram on the loopback interface to an alert that says the host's name.

use crate::stage::{Stage, alert, alerts, put};
use quantumos_dbus::{Security1Proxy, Service1Proxy, path};
use quantumos_ebpf::{ConnectEvent, Context as EventContext, Event};
use quantumos_harness::eventually;
use security_ai::Settings;
use std::net::{Ipv4Addr, UdpSocket};

const RULE: &str = "title: Tunnel\nid: tunnel\nlogsource: {product: linux, category: network_connection}\n\
    detection:\n  s: {DestinationHostname|endswith: .tunnel.example}\n  condition: s\nlevel: high\n";
const OTHER: &str = "title: x\nlogsource: {category: process_creation}\ndetection: {s: {Image: /x}, condition: s}\n";
const NAME: &str = "a.tunnel.example";

/// Has a name server answer that A.tunnel.example is at an address, and takes the answer; whether this host lets it.
fn answered(test: u8, address: Ipv4Addr) -> bool {
    let [.., high, low] = std::process::id().to_be_bytes();
    let here = |port| UdpSocket::bind((Ipv4Addr::new(127, test, high, low), port));
    let (server, asker) = match (here(53), here(0)) {
        (Ok(server), Ok(asker)) => (server, asker),
        (server, _) => {
            println!("skipped: no name server's port: {:?}", server.err());
            return false;
        }
    };
    let mut answer =
        b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x01A\x06tunnel\x07example\0\0\x01\0\x01".to_vec();
    // An alias, host.example, and its address.
    answer.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x07\x04host\xc0\x15");
    answer.extend(b"\xc0\x2e\0\x01\0\x01\0\0\0\x3c\0\x04");
    answer.extend(address.octets());
    server
        .send_to(&answer, asker.local_addr().unwrap())
        .unwrap();
    // Who has the answer knows that the daemon's socket had it before.
    assert_eq!(asker.recv(&mut [0; 512]).unwrap(), answer.len());
    true
}

#[tokio::test]
async fn a_connection_has_the_name_that_was_asked_for_while_a_rule_looks_for_names() {
    let stage = Stage::new(&[("rules.yml", RULE)]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let counted = || async { security.statistics().await.unwrap() };
    assert_eq!(security.rules_loaded().await.unwrap(), 1);
    if !counted().await.contains_key("names.answers") {
        let service = Service1Proxy::new(&client, "org.quantumos.Security1", path::SECURITY).await;
        let problems = service.unwrap().problems().await.unwrap();
        let told = |text: &String| text.contains("names of hosts are not known");
        assert!(problems.iter().any(told), "{problems:?}");
        println!("skipped: no packet socket: {problems:?}");
        return running.stop().await;
    }
    let connect = |last| {
        Event::Connect(ConnectEvent {
            context: EventContext::default(),
            address: Ipv4Addr::new(192, 0, 2, last).into(),
            port: 443,
            protocol: 6,
        })
    };
    if !answered(54, Ipv4Addr::new(192, 0, 2, 9)) {
        return running.stop().await;
    }
    stage.source.give([connect(8), connect(9)]);
    let path = eventually("an alert", || async {
        let mut paths = alerts(&client).await;
        (paths.len() == 1).then(|| paths.remove(0))
    })
    .await;
    let one = alert(&client, &path).await;
    let fields = one.fields().await.unwrap();
    assert_eq!(
        (&*fields["DestinationIp"], &*fields["DestinationHostname"]),
        ("192.0.2.9", NAME)
    );
    let explanation = one.explanation().await.unwrap();
    assert!(explanation.contains("DestinationHostname"), "{explanation}");
    assert!(counted().await["names.known"] >= 1);

    // Without a rule that looks for names nothing listens, and nothing is kept.
    put(
        stage.root.path(),
        "usr/lib/quantumos/security-ai/rules.d/rules.yml",
        OTHER,
    );
    security.reload_rules().await.unwrap();
    let counted = counted().await;
    assert_eq!(
        (counted.get("names.answers"), counted["names.known"]),
        (None, 0)
    );
    running.stop().await;
}

#[tokio::test]
async fn a_connection_that_the_kernel_tells_of_has_its_name() {
    let stage = Stage::new(&[("rules.yml", RULE)]);
    let Some(running) = stage.serve_on_this_kernel().await else {
        return;
    };
    let client = stage.bus.connect().await.unwrap();
    let [.., last] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(198, 51, 100, last);
    if !answered(55, address) {
        return running.stop().await;
    }
    let connected = tokio::process::Command::new("bash")
        .args(["-c", &format!("exec 3<>/dev/udp/{address}/4242")])
        .status()
        .await;
    if !connected.unwrap().success() {
        println!("skipped: no route to {address}");
        return running.stop().await;
    }
    let path = eventually("an alert", || async { alerts(&client).await.pop() }).await;
    let one = alert(&client, &path).await;
    assert_eq!(one.fields().await.unwrap()["DestinationHostname"], NAME);
    let executable = one.executable().await.unwrap();
    assert!(executable.ends_with("/bash"), "{executable}");
    running.stop().await;
}
