//! Windows of what units do, handed over to who learns from them.

use crate::stage::{MANAGE, NOBODY, Stage, exec};
use nix::time::{ClockId, clock_gettime};
use quantumos_dbus::{Error, Windows1Proxy, path};
use quantumos_ebpf::Event;
use quantumos_harness::{FakePolkit, contract, eventually};
use quantumos_learn::Window;
use security_ai::Settings;
use std::io::Read;

/// An execution that happens now.
fn now(pid: u32, image: &str) -> Event {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap();
    match exec(pid, image, b"x\0") {
        Event::Exec(mut exec) => {
            exec.context.time = time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64;
            Event::Exec(exec)
        }
        other => other,
    }
}

fn read(descriptor: zbus::OwnedFd) -> Vec<Window> {
    let mut text = String::new();
    std::fs::File::from(std::os::fd::OwnedFd::from(descriptor))
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| Window::from_line(line).unwrap())
        .collect()
}

#[tokio::test]
async fn windows_end_by_themselves_and_are_taken_once() {
    let stage = Stage::new(&[]);
    let mut settings = Settings::default();
    settings.windows.seconds = 1;
    let running = stage.serve(settings).await;
    let client = stage.bus.connect().await.unwrap();
    let windows = Windows1Proxy::new(&client).await.unwrap();
    assert_eq!(windows.waiting().await.unwrap(), 0);
    stage
        .source
        .give([now(7, "/usr/bin/make"), now(7, "/usr/bin/cc")]);
    // No event comes after these: the daemon has to wake up by itself.
    eventually("the window ends", async || {
        (windows.waiting().await.unwrap() == 1).then_some(())
    })
    .await;
    let (descriptor, count) = windows.take().await.unwrap();
    let taken = read(descriptor);
    assert_eq!((count, taken.len()), (1, 1));
    assert_eq!(taken[0].subject, "tree:/usr/bin/make");
    assert_eq!(taken[0].sums.executions, 2);
    assert!(
        taken[0]
            .items
            .iter()
            .any(|item| item.label == "exec /usr/bin/make")
    );
    let (descriptor, count) = windows.take().await.unwrap();
    assert_eq!((count, read(descriptor).len()), (0, 0));
    assert_eq!(
        (
            windows.closed().await.unwrap(),
            windows.dropped().await.unwrap()
        ),
        (1, 0)
    );
    let lines = contract::differences(
        &client,
        "org.quantumos.Security1",
        path::WINDOWS,
        &["org.quantumos.Windows1"],
    );
    assert!(lines.await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn others_are_asked_about() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: callers of other users need root");
        return;
    }
    let stage = Stage::new(&[]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect_as(NOBODY).await.unwrap();
    let windows = Windows1Proxy::new(&client).await.unwrap();
    let polkit = FakePolkit::start(&stage.bus).await.unwrap();
    let refused = windows.take().await;
    assert!(
        matches!(&refused, Err(Error::NotAuthorized(_))),
        "{refused:?}"
    );
    polkit.allow(MANAGE);
    assert!(windows.take().await.is_ok());
    running.stop().await;
}
