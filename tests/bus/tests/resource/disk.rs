//! A disk that is full or can't be written: said by name, nothing half done, over by itself.

use quantumos_harness::SmallDisk;

use super::*;

#[tokio::test]
async fn decisions_and_the_mode_wait_for_a_disk_that_takes_them() {
    let root = tempfile::tempdir().unwrap();
    let place = |name: &str| root.path().join(name);
    let runtime = SmallDisk::mount(&place("runtime"), 64).unwrap();
    let state = SmallDisk::mount(&place("state"), 64).unwrap();
    let (Some(runtime), Some(state)) = (runtime, state) else {
        return;
    };
    let bus = PrivateBus::start().unwrap();
    let world = World::new(&UNITS);
    let units = [("web.service", UNSET), ("backup.service", UNSET)];
    let systemd = FakeSystemd::start(&bus, &units).await;
    let mut settings = settings(&world, Mode::Act);
    settings.policy.hold_ms = 1_000;
    let running = bus
        .serve::<ResourceAi>(root.path(), settings)
        .await
        .unwrap();
    let client = bus.connect().await.unwrap();
    let problem = async |words: &str| {
        eventually(words, async || {
            let problems = running.context().status.problems();
            match words {
                "" => problems.is_empty().then_some(()),
                words => problems.iter().any(|one| one.contains(words)).then_some(()),
            }
        })
        .await;
    };

    // What can't be kept is not done: a kill would leave a weight that nobody knows of.
    runtime.fill().unwrap();
    contend(&world);
    problem("decisions.json: No space left").await;
    rounds(&client, 2).await;
    assert_eq!(systemd.state().calls, []);
    let failed = decision(&client).await;
    becomes(&failed, "failed").await;
    runtime.empty().unwrap();
    problem("").await;
    eventually("a decision is applied", async || {
        let calls = systemd.state().calls.clone();
        (calls == [("backup.service".to_owned(), true, 10)]).then_some(())
    })
    .await;

    // What holds goes on holding, and is taken back also when the file can't say so yet.
    let resource = proxy(&client).await;
    for (words, broken) in [("Read-only file system", true), ("No space left", false)] {
        if broken {
            state.set_read_only(true).unwrap();
        } else {
            state.fill().unwrap();
        }
        let error = resource.set_mode("observe").await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains(words) && error.contains("mode"), "{error}");
        assert_eq!(resource.mode().await.unwrap(), "act");
        if broken {
            state.set_read_only(false).unwrap();
        } else {
            state.empty().unwrap();
        }
    }
    runtime.set_read_only(true).unwrap();
    resource.set_mode("observe").await.unwrap();
    problem("decisions.json: Read-only file system").await;
    assert_eq!(systemd.state().weights["backup.service"], UNSET);
    runtime.set_read_only(false).unwrap();
    problem("").await;
    let kept = std::fs::read_to_string(place("runtime/decisions.json")).unwrap();
    assert_eq!(kept, "[]");
    running.stop().await;
}
