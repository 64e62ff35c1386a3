//! Peers that answer nonsense, too much, or nothing at all.

use futures_util::StreamExt;
use quantumos_dbus::bus_name;
use tokio::task::JoinHandle;
use zbus::{Connection, Message, MessageStream, message::Type};

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
