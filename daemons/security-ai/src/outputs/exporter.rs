//! Sends records to a collector as OpenTelemetry logs: HTTP with JSON bodies, a batch at a time.
//!
//! Records come by a bounded queue, so detection never waits; what finds no room is counted, told as a problem, and
//! becomes a record of its own when the collector answers again. A collector that can't be reached or says that it
//! is overloaded is tried again, ever more slowly; a batch that it refuses is given up and counted.

use super::endpoint::Endpoint;
use super::record::{self, Record};
use super::settings::Otlp;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use quantumos_service::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The most records of one request.
const BATCH: usize = 128;
/// The most of an answer that is read, in bytes.
const ANSWER: usize = 64 * 1024;
/// Waiting times after a failure: the first and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How long the end of the daemon waits for what is queued.
const FAREWELL: Duration = Duration::from_secs(2);

/// What was counted since start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Records that the collector took.
    pub sent: AtomicU64,
    /// Records that found no room or were refused.
    pub dropped: AtomicU64,
}

/// The way to the task that sends.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Record>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Starts the task.
    ///
    /// # Errors
    /// When the endpoint is none.
    pub fn start(
        settings: &Otlp,
        host: String,
        status: Status,
        counts: Arc<Counts>,
    ) -> Result<Self, &'static str> {
        let (queue, records) = mpsc::channel(settings.queue as usize);
        let sender = Sender {
            endpoint: Endpoint::parse(&settings.endpoint)?,
            patience: Duration::from_secs(settings.timeout_seconds.into()),
            host,
            status,
            counts: counts.clone(),
            told: counts.dropped.load(Ordering::Relaxed),
        };
        let task = tokio::spawn(sender.run(records));
        Ok(Self {
            queue,
            counts,
            task,
        })
    }

    /// Hands a record over; never waits.
    pub fn send(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the task when the queue is empty, or after two seconds.
    pub async fn finish(self) {
        drop(self.queue);
        let mut task = self.task;
        if timeout(FAREWELL, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The collector took all but so many.
    Taken { rejected: u64 },
    /// It may take them later, perhaps after so long.
    Later(String, Option<Duration>),
    /// It will never take them.
    Refused(String),
}

struct Sender {
    endpoint: Endpoint,
    patience: Duration,
    host: String,
    status: Status,
    counts: Arc<Counts>,
    /// How many dropped records the collector was told of.
    told: u64,
}

impl Sender {
    async fn run(mut self, mut records: mpsc::Receiver<Record>) {
        let mut batch = Vec::new();
        let mut pause = AGAIN.0;
        loop {
            if batch.is_empty() && records.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            let dropped = self.counts.dropped.load(Ordering::Relaxed);
            let untold = dropped - self.told;
            let mut sent = batch.clone();
            if untold > 0 {
                let time = now() / 1000;
                sent.push(Record::Dropped {
                    time,
                    count: untold,
                });
            }
            let outcome = match timeout(self.patience, self.post(&sent)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Later("no answer in time".into(), None),
            };
            match outcome {
                Outcome::Taken { rejected } => {
                    let taken = (batch.len() as u64).saturating_sub(rejected);
                    self.counts.sent.fetch_add(taken, Ordering::Relaxed);
                    self.told = dropped;
                    self.give_up(rejected, "some were rejected").await;
                    batch.clear();
                    pause = AGAIN.0;
                }
                Outcome::Refused(reason) => {
                    self.give_up(batch.len() as u64, &reason).await;
                    batch.clear();
                }
                Outcome::Later(reason, after) => {
                    let waiting = batch.len() + records.len();
                    let problem = format!(
                        "alerts can't be sent to the collector: {reason}; {waiting} wait, {dropped} were dropped"
                    );
                    self.status.set_problem("otlp", Some(problem)).await;
                    sleep(after.unwrap_or(pause)).await;
                    pause = (pause * 2).min(AGAIN.1);
                }
            }
        }
    }

    async fn give_up(&self, count: u64, reason: &str) {
        if count == 0 {
            self.status.set_problem("otlp", None).await;
            return;
        }
        self.counts.dropped.fetch_add(count, Ordering::Relaxed);
        let problem = format!("the collector refused {count} alerts: {reason}");
        self.status.set_problem("otlp", Some(problem)).await;
    }

    async fn post(&self, records: &[Record]) -> Outcome {
        let later = |reason: &dyn std::fmt::Display| Outcome::Later(reason.to_string(), None);
        let body = record::request(records, &self.host, now()).to_string();
        let request = Request::post(&self.endpoint.path)
            .header(HOST, &self.endpoint.host)
            .header(CONTENT_TYPE, "application/json")
            .header(
                USER_AGENT,
                concat!("security-ai/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(Bytes::from(body)));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let stream = match self.endpoint.connect().await {
            Ok(stream) => TokioIo::new(stream),
            Err(error) => return later(&error),
        };
        let (mut client, connection) = match http1::handshake(stream).await {
            Ok(pair) => pair,
            Err(error) => return later(&error),
        };
        let answered = async {
            let answer = client
                .send_request(request)
                .await
                .map_err(|e| e.to_string())?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok::<_, String>((status, headers, body))
        };
        // The connection is driven here, so that it ends with the request.
        let answered = tokio::select! {
            answered = answered => answered,
            Err(error) = connection => Err(error.to_string()),
        };
        match answered {
            Ok((status, headers, body)) => {
                let after = headers
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok());
                judge(status, after, &body)
            }
            Err(reason) => Outcome::Later(reason, None),
        }
    }
}

/// What OTLP says an answer means.
fn judge(status: StatusCode, retry_after: Option<&str>, body: &[u8]) -> Outcome {
    let reason = || format!("the collector says {status}");
    match status.as_u16() {
        200..=299 => {
            let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            let rejected = &answer["partialSuccess"]["rejectedLogRecords"];
            let text = rejected.as_str().and_then(|text| text.parse().ok());
            let rejected = text.or_else(|| rejected.as_u64()).unwrap_or(0);
            Outcome::Taken { rejected }
        }
        429 | 502..=504 => {
            let seconds = retry_after.and_then(|text| text.trim().parse().ok());
            let after = seconds.map(|seconds| Duration::from_secs(seconds).min(AGAIN.1));
            Outcome::Later(reason(), after)
        }
        _ => Outcome::Refused(reason()),
    }
}

/// Nanoseconds of the real-time clock.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_otlp_says() {
        let later = |seconds: Option<u64>| Some(seconds.map(Duration::from_secs));
        let partial = br#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#;
        for (status, after, body, taken, wanted) in [
            (200, None, &b"{}"[..], Some(0), None),
            (200, None, b"", Some(0), None),
            (200, None, partial, Some(3), None),
            (429, Some("7"), b"", None, later(Some(7))),
            (503, Some("999999"), b"", None, later(Some(60))),
            (503, Some("soon"), b"", None, later(None)),
            (502, None, b"", None, later(None)),
            (400, None, b"", None, None),
            (404, Some("1"), b"", None, None),
            (301, None, b"", None, None),
            (500, None, b"", None, None),
        ] {
            let outcome = judge(StatusCode::from_u16(status).unwrap(), after, body);
            match (outcome, taken, wanted) {
                (Outcome::Taken { rejected }, Some(wanted), _) => assert_eq!(rejected, wanted),
                (Outcome::Later(_, after), None, Some(wanted)) => assert_eq!(after, wanted),
                (Outcome::Refused(_), None, None) => {}
                (outcome, ..) => panic!("{status}: {outcome:?}"),
            }
        }
    }
}
