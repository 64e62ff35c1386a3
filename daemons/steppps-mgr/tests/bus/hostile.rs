//! Peers that answer nonsense, too much, or nothing at all.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::StreamExt;
use quantumos_dbus::bus_name;
use tokio::task::JoinHandle;
use zbus::{Connection, Message, MessageStream, ObjectPath, Variant, message::Type};

use crate::host::Host;

/// What a hostile peer answers to each call.
#[derive(Clone, Copy)]
enum Answer {
    /// A number where there should be something else.
    WrongType,
    /// A text that is far too long and no XML.
    Long,
    /// Well-formed, endless introspection: every object has many children and interfaces.
    Endless,
}

struct Hostile {
    task: JoinHandle<()>,
    _connection: Connection,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hostile(host: &Host, name: &'static str, answer: Answer) -> Hostile {
    let connection = host.bus.connect().await.unwrap();
    let mut messages = MessageStream::from(&connection);
    let sender = connection.clone();
    let task = tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let header = message.header();
            if message.message_type() != Type::MethodCall {
                continue;
            }
            let reply = Message::method_return(&header);
            let reply = match answer {
                Answer::WrongType => reply.build(&(7_u8,)),
                Answer::Long => reply.build(&("<node>".repeat(100_000),)),
                Answer::Endless => {
                    let interfaces: String = (0..500)
                        .map(|n| {
                            format!("<interface name='evil.I{n}'><method name='M{n}'/></interface>")
                        })
                        .collect();
                    let children: String =
                        (0..500).map(|n| format!("<node name='n{n}'/>")).collect();
                    reply.build(&(format!("<node>{interfaces}{children}</node>"),))
                }
            };
            let _ = sender.send(&reply.unwrap()).await;
        }
    });
    connection.request_name(name).await.unwrap();
    Hostile {
        task,
        _connection: connection,
    }
}

#[tokio::test]
async fn nonsense_makes_no_state_and_no_harm() {
    let host = Host::furnished();
    let _systemd = hostile(&host, "org.freedesktop.systemd1", Answer::WrongType).await;
    let _login = hostile(&host, "org.freedesktop.login1", Answer::WrongType).await;
    let _resource = hostile(&host, bus_name::RESOURCE, Answer::WrongType).await;
    let _quantum = hostile(&host, bus_name::QUANTUM, Answer::Long).await;
    let mut running = host.serve().await;
    let client = host.client().await;
    running.reload().await;
    assert_eq!(client.snapshot().await.len(), 7);
    let time = client.view("time").await;
    assert!(
        time.text("RunQueueReason")
            .unwrap()
            .contains(bus_name::RESOURCE),
        "{:?}",
        time.state
    );
    assert_eq!(client.view("script").await.number("JobsQueued"), Some(0));
    assert!(client.view("pixel").await.rows("Sessions").is_empty());
}

#[tokio::test]
async fn endless_vocabulary_is_cut_and_says_so() {
    let host = Host::furnished();
    let _quantum = hostile(&host, bus_name::QUANTUM, Answer::Endless).await;
    let _running = host.serve().await;
    let client = host.client().await;
    let prompt = client
        .until("prompt", "calls are found", |view| {
            view.number("CallsOmitted").is_some()
        })
        .await;
    assert!(prompt.texts("Calls").len() <= 256);
    assert!(prompt.texts("Interfaces").len() <= 64);
}

#[tokio::test]
async fn what_is_announced_and_not_introspected_is_asked_for_once() {
    let host = Host::furnished();
    let asked = Arc::new(AtomicUsize::new(0));
    let secretive = host.bus.connect().await.unwrap();
    let mut messages = MessageStream::from(&secretive);
    let (sender, count) = (secretive.clone(), asked.clone());
    let task = tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let header = message.header();
            if message.message_type() != Type::MethodCall {
                continue;
            }
            let reply = match header.member().map(|name| name.as_str()) {
                Some("Introspect") => {
                    count.fetch_add(1, Ordering::Relaxed);
                    let refusal = "org.freedesktop.DBus.Error.AccessDenied";
                    Message::error(&header, refusal).build(&("no",))
                }
                _ => Message::method_return(&header).build(&()),
            };
            let _ = sender.send(&reply.unwrap()).await;
        }
    });
    secretive.request_name(bus_name::SECURITY).await.unwrap();
    let _running = host.serve().await;
    let client = host.client().await;
    // Its own name is the last one to come.
    client
        .until("prompt", "the daemon itself is found", |view| {
            view.texts("Services") == [bus_name::STEPPPS] && view.health == "attention"
        })
        .await;
    let before = asked.load(Ordering::Relaxed);
    let announced: HashMap<&str, HashMap<&str, Variant<'_>>> =
        HashMap::from([("org.quantumos.Alert1", HashMap::new())]);
    for round in 0..8 {
        let path = ObjectPath::try_from(format!("/org/quantumos/security/alerts/{round}"));
        let path = path.unwrap();
        secretive
            .emit_signal(
                None::<()>,
                "/org/quantumos/security/alerts",
                "org.freedesktop.DBus.ObjectManager",
                "InterfacesAdded",
                &(&path, &announced),
            )
            .await
            .unwrap();
        // EVENT hears this one after the others, so they have been taken in by then.
        let details: HashMap<&str, Variant<'_>> = HashMap::from([("Title", "alert".into())]);
        secretive
            .emit_signal(
                None::<()>,
                "/org/quantumos/security",
                bus_name::SECURITY,
                "AlertRaised",
                &(&path, details),
            )
            .await
            .unwrap();
        let expected = round + 1;
        client
            .until("event", "the alert is seen", |view| {
                view.number("SecurityEvents") >= Some(expected)
            })
            .await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
    task.abort();
}
