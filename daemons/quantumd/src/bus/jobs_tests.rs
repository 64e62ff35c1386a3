//! Jobs over a private bus, with work that tests can hold and let go.

use super::*;
use crate::bus::descriptor::sealed;
use crate::bus::job::Jobs1;
use quantumos_dbus::{Job1Proxy, Jobs1Proxy};
use quantumos_harness::{PrivateBus, contract, eventually};
use std::io::Read;
use tokio::sync::Notify;

const NOBODY: u32 = 65_534;

struct House {
    bus: PrivateBus,
    jobs: Arc<Jobs>,
    server: String,
    client: Connection,
}

impl House {
    async fn build(settings: JobSettings) -> Self {
        let bus = PrivateBus::start().unwrap();
        let connection = bus.connect().await.unwrap();
        let jobs = Jobs::new(&connection, &Authority::new(&connection), settings);
        let collection = Jobs1(jobs.clone());
        connection
            .object_server()
            .at(path::JOBS, collection)
            .await
            .unwrap();
        Self {
            server: connection.unique_name().unwrap().to_string(),
            client: bus.connect().await.unwrap(),
            bus,
            jobs,
        }
    }

    async fn start<F, Work>(
        &self,
        by: &Connection,
        uid: u32,
        detached: bool,
        work: F,
    ) -> Answer<OwnedObjectPath>
    where
        F: FnOnce(Worker) -> Work,
        Work: Future<Output = Answer<Outcome>> + Send + 'static,
    {
        let name = by.unique_name().unwrap().clone();
        self.jobs
            .start(Caller { name, uid }, "test", detached, work)
            .await
    }

    async fn job(&self, by: &Connection, path: &OwnedObjectPath) -> Job1Proxy<'static> {
        Job1Proxy::builder(by)
            .destination(self.server.clone())
            .path(path.clone())
            .build()
            .await
            .unwrap()
    }

    async fn list(&self, by: &Connection) -> Vec<OwnedObjectPath> {
        let jobs = Jobs1Proxy::builder(by).destination(self.server.clone());
        jobs.build().await.unwrap().list().await.unwrap()
    }
}

fn outcome(text: &str) -> Answer<Outcome> {
    Ok(Outcome::new(
        sealed(c"test", text.as_bytes())?,
        "text/plain",
    ))
}

/// Work that ends when it's told to.
async fn endless(worker: Worker) -> Answer<Outcome> {
    worker.running();
    worker.cancelled().await;
    Err(BusError::Internal("ended".into()))
}

fn settings(per_owner: u32, keep_seconds: u64) -> JobSettings {
    JobSettings {
        per_owner,
        keep_seconds,
    }
}

#[tokio::test]
async fn a_job_tells_how_it_goes_and_gives_its_result() {
    let house = House::build(settings(4, 600)).await;
    let go = Arc::new(Notify::new());
    let gate = go.clone();
    let path = house
        .start(&house.client, 0, false, |worker| async move {
            gate.notified().await;
            worker.running();
            worker.progress(0.5);
            gate.notified().await;
            outcome("all of it")
        })
        .await
        .unwrap();
    let job = house.job(&house.client, &path).await;
    assert_eq!(job.kind().await.unwrap(), "test");
    assert_eq!(job.state().await.unwrap(), "waiting");
    assert_eq!(job.ended_at().await.unwrap(), 0);
    assert!(matches!(job.result().await, Err(BusError::Busy(_))));
    let live = contract::differences(
        &house.client,
        &house.server,
        path.as_str(),
        &["org.quantumos.Job1"],
    );
    assert_eq!(live.await.unwrap(), Vec::<String>::new());
    let live = contract::differences(
        &house.client,
        &house.server,
        path::JOBS,
        &["org.quantumos.Jobs1"],
    );
    assert_eq!(live.await.unwrap(), Vec::<String>::new());
    let mut states = job.receive_state_changed().await;
    assert_eq!(states.next().await.unwrap().get().await.unwrap(), "waiting");
    go.notify_one();
    assert_eq!(states.next().await.unwrap().get().await.unwrap(), "running");
    eventually("progress is announced", async || {
        (job.cached_progress().ok().flatten() == Some(0.5)).then_some(())
    })
    .await;
    let waits = tokio::spawn({
        let job = job.clone();
        async move { job.wait().await }
    });
    go.notify_one();
    assert_eq!(states.next().await.unwrap().get().await.unwrap(), "done");
    assert_eq!(waits.await.unwrap().unwrap(), "done");
    assert_eq!(job.progress().await.unwrap(), 1.0);
    // Each reader gets it from the start, and nobody can change it.
    for _ in 0..2 {
        let (result, kind) = job.result().await.unwrap();
        let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(result));
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), kind.as_str()), ("all of it", "text/plain"));
        assert!(std::io::Write::write_all(&mut file, b"x").is_err());
    }
    assert_eq!(house.list(&house.client).await, [path]);
    job.remove().await.unwrap();
    eventually("the object is gone", async || {
        (job.wait().await.is_err() && house.list(&house.client).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn errors_cancellation_and_panics_have_states_of_their_own() {
    let house = House::build(settings(4, 600)).await;
    let failing = |_| async { Err(BusError::Io("disk full".into())) };
    let failed = house.start(&house.client, 0, false, failing).await.unwrap();
    let failed = house.job(&house.client, &failed).await;
    assert_eq!(failed.wait().await.unwrap(), "failed");
    let told = failed.error().await.unwrap();
    assert_eq!(told, ("org.quantumos.Error.Io".into(), "disk full".into()));
    assert_eq!(
        failed.result().await.unwrap_err(),
        BusError::Io("disk full".into())
    );

    let endless = house.start(&house.client, 0, false, endless).await.unwrap();
    let endless = house.job(&house.client, &endless).await;
    endless.cancel().await.unwrap();
    assert_eq!(endless.wait().await.unwrap(), "cancelled");
    assert!(matches!(
        endless.result().await,
        Err(BusError::Cancelled(_))
    ));
    assert_eq!(endless.error().await.unwrap(), Default::default());

    #[allow(clippy::panic)]
    let panics = |_| async { panic!("as tested") };
    let lost = house.start(&house.client, 0, false, panics).await.unwrap();
    let lost = house.job(&house.client, &lost).await;
    assert_eq!(lost.wait().await.unwrap(), "failed");
    assert!(matches!(lost.result().await, Err(BusError::Internal(_))));
}

#[tokio::test]
async fn jobs_go_with_who_started_them_or_after_their_time() {
    let house = House::build(settings(4, 0)).await;
    let starter = house.bus.connect().await.unwrap();
    house.start(&starter, 0, false, endless).await.unwrap();
    let stays = house.start(&starter, 0, true, endless).await.unwrap();
    assert_eq!(house.list(&house.client).await.len(), 2);
    starter.close().await.unwrap();
    eventually("only the detached one is left", async || {
        (house.list(&house.client).await == [stays.clone()]).then_some(())
    })
    .await;
    let job = house.job(&house.client, &stays).await;
    job.cancel().await.unwrap();
    eventually("its time is over", async || {
        house.list(&house.client).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_has_so_many_jobs_and_sees_no_others() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let house = House::build(settings(2, 600)).await;
    let theirs = house.bus.connect_as(NOBODY).await.unwrap();
    let first = house.start(&theirs, NOBODY, false, endless).await.unwrap();
    house.start(&theirs, NOBODY, false, endless).await.unwrap();
    let third = house.start(&theirs, NOBODY, false, endless).await;
    assert!(matches!(third, Err(BusError::LimitExceeded(text)) if text.contains("jobs.per-owner")));
    // What ended makes room, and root's do not count.
    let own = house.start(&house.client, 0, false, endless).await.unwrap();
    let job = house.job(&theirs, &first).await;
    job.cancel().await.unwrap();
    job.wait().await.unwrap();
    let third = house.start(&theirs, NOBODY, false, endless).await.unwrap();
    let listed = house.list(&theirs).await;
    assert!(listed.len() == 2 && listed.contains(&third) && !listed.contains(&first));
    assert_eq!(house.list(&house.client).await.len(), 3);

    let foreign = house.job(&theirs, &own).await;
    for refused in [
        foreign.cancel().await.err(),
        foreign.wait().await.err(),
        foreign.result().await.err(),
        foreign.remove().await.err(),
    ] {
        assert!(
            matches!(refused, Some(BusError::NotAuthorized(_))),
            "{refused:?}"
        );
    }
    assert!(foreign.state().await.is_err() && foreign.progress().await.is_err());
    assert_eq!(
        house.job(&house.client, &own).await.state().await.unwrap(),
        "running"
    );
}
