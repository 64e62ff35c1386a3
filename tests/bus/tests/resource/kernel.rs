//! What only this kernel can say: triggers that fire, run queues that are measured, and a
//! machine that has neither.

use futures_util::StreamExt;

use super::*;

#[tokio::test]
async fn a_machine_without_pressure_says_so() {
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&[]);
    std::fs::remove_dir_all(world.proc()).unwrap();
    std::fs::remove_dir_all(world.cgroup()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let running = bus
        .serve::<ResourceAi>(root.path(), settings(&world, Mode::Act))
        .await
        .unwrap();
    let problems = running.context().status.problems();
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("no pressure")),
        "{problems:?}"
    );
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("not a cgroup v2 hierarchy")),
        "{problems:?}"
    );
    let client = bus.connect().await.unwrap();
    assert!(matches!(
        proxy(&client).await.pressure().await.unwrap_err(),
        Error::NotSupported(_)
    ));
}

#[tokio::test]
async fn this_kernels_trigger_fires_under_load() {
    let writable = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/pressure/cpu");
    if let Err(error) = writable {
        println!("skipped: no pressure triggers here: {error}");
        return;
    }
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.triggers.resources = vec!["cpu".into()];
    settings.triggers.stall_ms = 1;
    settings.latency.enabled = false;
    let _running = bus
        .serve::<ResourceAi>(root.path(), settings)
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let mut stalls = proxy(&client)
        .await
        .receive_pressure_stalled()
        .await
        .unwrap();
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let threads: Vec<_> = (0..4 * resource_ai::sampler::cpus())
        .map(|_| {
            let ended = ended.clone();
            std::thread::spawn(move || while !ended.load(std::sync::atomic::Ordering::Relaxed) {})
        })
        .collect();
    let stall = tokio::time::timeout(quantumos_harness::wait::PATIENCE, stalls.next()).await;
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let stall = stall.unwrap().unwrap();
    let args = stall.args().unwrap();
    assert_eq!(
        (args.resource, args.kind, args.window_usec),
        ("cpu", "some", 2_000_000)
    );
}

#[tokio::test]
async fn this_kernels_run_queues_are_measured() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: eBPF needs root");
        return;
    }
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    let root = tempfile::tempdir().unwrap();
    let mut settings = settings(&world, Mode::Observe);
    settings.latency.enabled = true;
    let running = bus
        .serve::<ResourceAi>(root.path(), settings)
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let resource = proxy(&client).await;
    if let Err(Error::NotSupported(_)) = resource.latency().await {
        println!("skipped: {:?}", running.context().status.problems());
        return;
    }
    let rows = eventually("a wake-up", async || {
        Some(resource.latency().await.unwrap()).filter(|rows| !rows.is_empty())
    })
    .await;
    for (group, wakeups, p50, p99, max) in rows {
        assert!(
            wakeups > 0 && p50 <= p99 && p99 <= max,
            "{group}: {wakeups} {p50} {p99} {max}"
        );
    }
}
