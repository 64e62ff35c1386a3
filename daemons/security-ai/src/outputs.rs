//! Where alerts and losses go besides the bus and the journal: a file of JSON lines ([`lines`]), a collector of
//! OpenTelemetry logs ([`exporter`]), a file of figures for Prometheus ([`metrics`]). The task that owns the alerts tells
//! them; none of them may hold it up.

pub mod endpoint;
pub mod exporter;
pub mod lines;
pub mod metrics;
pub mod record;
pub mod settings;
#[cfg(test)]
mod tests;

use crate::alert::Alert;
use crate::book::Entry;
use exporter::{Counts, Exporter};
use lines::Lines;
use metrics::Raised;
use quantumos_service::Status;
use record::{Happened, Record};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What outputs counted, shared with who shows it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    raised: Arc<Mutex<Raised>>,
    sent: Arc<Counts>,
    lines_dropped: Arc<AtomicU64>,
}

impl Tally {
    /// Alerts since start.
    #[must_use]
    pub fn raised(&self) -> Raised {
        let raised = self.raised.lock();
        raised.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of each output the records delivered and dropped.
    #[must_use]
    pub fn outputs(&self) -> Vec<(&'static str, Option<u64>, u64)> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let sent = &self.sent;
        vec![
            ("otlp", Some(read(&sent.sent)), read(&sent.dropped)),
            ("file", None, read(&self.lines_dropped)),
        ]
    }
}

/// The outputs that are switched on.
#[derive(Debug)]
pub struct Outputs {
    root: PathBuf,
    status: Status,
    tally: Tally,
    settings: (settings::Lines, settings::Otlp),
    lines: Option<Lines>,
    exporter: Option<Exporter>,
    /// What the file's last line met.
    failure: Option<String>,
}

impl Outputs {
    /// What the settings switch on; files are below `root`.
    #[must_use]
    pub fn new(
        root: PathBuf,
        status: Status,
        lines: settings::Lines,
        otlp: settings::Otlp,
    ) -> Self {
        let mut outputs = Self {
            root,
            status,
            tally: Tally::default(),
            settings: Default::default(),
            lines: None,
            exporter: None,
            failure: None,
        };
        outputs.open(lines, otlp);
        outputs
    }

    /// What they counted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Goes on with other settings; what is queued for a collector is sent first.
    pub async fn configure(&mut self, lines: settings::Lines, otlp: settings::Otlp) {
        if self.settings.1 != otlp
            && let Some(exporter) = self.exporter.take()
        {
            // Nobody waits for a collector that is no longer wanted.
            tokio::spawn(exporter.finish());
            self.status.set_problem("otlp", None).await;
        }
        self.open(lines, otlp);
    }

    fn open(&mut self, lines: settings::Lines, otlp: settings::Otlp) {
        if self.settings.0 != lines {
            self.lines = lines.enabled.then(|| Lines::new(&self.root, &lines));
        }
        if !otlp.endpoint.is_empty() && self.exporter.is_none() {
            let host = nix::unistd::gethostname().unwrap_or_default();
            let host = host.to_string_lossy().into_owned();
            let (status, counts) = (self.status.clone(), self.tally.sent.clone());
            match Exporter::start(&otlp, host, status, counts) {
                Ok(exporter) => self.exporter = Some(exporter),
                // The settings were validated.
                Err(reason) => tracing::error!(reason, "no collector"),
            }
        }
        self.settings = (lines, otlp);
    }

    /// Counts an alert, whether it is folded or not.
    pub fn count(&self, alert: &Alert) {
        let raised = self.tally.raised.lock();
        let mut raised = raised.unwrap_or_else(PoisonError::into_inner);
        raised.count(&alert.rule, &alert.title, &alert.level);
    }

    /// An alert is new, or was counted again.
    pub fn alert(&mut self, happened: Happened, entry: &Entry) {
        if self.lines.is_some() || self.exporter.is_some() {
            self.tell(Record::Alert(happened, Box::new(entry.clone())));
        }
    }

    /// Events were lost.
    pub fn lost(&mut self, class: &str, count: u64, total: u64) {
        self.tell(Record::Lost {
            time: crate::clock::real_time(crate::clock::boot_time()),
            class: class.into(),
            count,
            total,
        });
    }

    fn tell(&mut self, record: Record) {
        if let Some(lines) = &mut self.lines {
            let now = crate::clock::real_time(crate::clock::boot_time());
            let written = lines.write(&record, now);
            self.failure = written.err().map(|error| error.to_string());
        }
        if let Some(exporter) = &self.exporter {
            exporter.send(record);
        }
    }

    /// Tries again what could not be written, and says what is wrong; whether something still waits for the disk.
    pub async fn tick(&mut self) -> bool {
        let mut behind = false;
        if let Some(lines) = &mut self.lines {
            let now = crate::clock::real_time(crate::clock::boot_time());
            if lines.is_behind() {
                self.failure = lines.flush(now).err().map(|error| error.to_string());
            }
            behind = lines.is_behind();
            let dropped = lines.dropped();
            self.tally.lines_dropped.store(dropped, Ordering::Relaxed);
        } else {
            self.failure = None;
        }
        let problem = self.failure.as_ref();
        let problem =
            problem.map(|error| format!("the file of JSON lines can't be written: {error}"));
        self.status.set_problem("lines", problem).await;
        behind
    }

    /// Sends what is queued, for at most two seconds.
    pub async fn finish(&mut self) {
        if let Some(exporter) = self.exporter.take() {
            exporter.finish().await;
        }
    }
}
