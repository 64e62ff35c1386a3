//! One round: read, forecast, and, where the mode says so, decide.

use quantumos_resource::class::Class;
use quantumos_resource::controller::{Observed, Weight};
use quantumos_resource::features::BUCKET_US;
use quantumos_resource::history::{Channel, History};
use quantumos_resource::units::unit_of;
use serde_json::json;

use super::{Governor, Row};
use crate::interface::{Value, model_changed};
use crate::sampler::monotonic_us;
use crate::settings::Mode;

/// How often new units are looked for, in microseconds.
const DISCOVER_US: u64 = 5_000_000;
/// For how long a weight that was read counts, in microseconds.
const WEIGHT_US: u64 = 5_000_000;
/// A unit below this is not worth a second look, as a share.
const QUIET: f64 = 0.02;

impl Governor {
    /// One round.
    pub(super) async fn tick(&mut self) {
        let now = monotonic_us();
        self.read(now).await;
        if self.forecast() {
            self.tell_model();
            model_changed(&self.context.connection).await;
        }
        self.retry_unfinished().await;
        self.retry_save().await;
        let mode = self.view.get().mode;
        if mode != Mode::Observe {
            let units = self.observe(now).await;
            let actions = self.controller.tick(now, &units, mode == Mode::Act);
            self.act(actions, now).await;
        }
        if let Some(meter) = &mut self.latency
            && let Err(error) = meter.turn(now)
        {
            tracing::warn!(%error, "run-queue latency");
        }
    }

    async fn read(&mut self, now: u64) {
        if self.discovered_us == 0 || now.saturating_sub(self.discovered_us) >= DISCOVER_US {
            self.sampler.discover();
            self.discovered_us = now;
        }
        let before = self.system.last().copied();
        match self.sampler.sample_system(now) {
            Ok(sample) => {
                self.system.push(sample);
                self.context.status.set_problem("pressure", None).await;
                if let Some(before) = before {
                    self.note_recent(before.time_us);
                }
            }
            Err(error) => {
                let problem = format!("no pressure of the machine: {error}");
                self.context
                    .status
                    .set_problem("pressure", Some(problem))
                    .await;
            }
        }
        let (mut readings, all) = self.sampler.sample(now);
        if !all {
            // What could not be read is gone, or was made anew under its name.
            self.sampler.discover();
            readings = self.sampler.sample(now).0;
        }
        for (path, sample) in readings {
            self.groups.entry(path).or_default().push(sample);
        }
        self.groups
            .retain(|_, history| history.last().is_some_and(|last| last.time_us == now));
    }

    fn note_recent(&self, before: u64) {
        let Some(last) = self.system.last() else {
            return;
        };
        let channels = [
            ("cpu", Channel::Cpu),
            ("memory", Channel::Memory),
            ("io", Channel::Io),
        ];
        let recent = channels.into_iter().filter_map(|(name, channel)| {
            let share = self.system.share(channel, before, last.time_us)?;
            Some((name, (100.0 * share).min(100.0)))
        });
        self.view.get().recent = recent.collect();
    }

    /// Forecasts for all units; whether the model was dropped over it.
    fn forecast(&mut self) -> bool {
        let was_model = self.forecaster.model().is_some();
        let mut rows = std::collections::BTreeMap::new();
        let histories = std::iter::once(("/", &self.system)).chain(
            self.groups
                .iter()
                .map(|(path, history)| (path.as_str(), history)),
        );
        for (path, history) in histories {
            // A unit that was read once has no forecast yet, but it is there.
            let forecast = self
                .forecaster
                .forecast(history, &self.system, self.cpus)
                .unwrap_or_default();
            let unit = unit_of(path).unwrap_or_default().to_owned();
            let usage = usage(history, self.cpus);
            rows.insert(
                path.to_owned(),
                Row {
                    unit,
                    forecast,
                    usage,
                },
            );
        }
        self.view.get().rows = rows;
        was_model && self.forecaster.model().is_none()
    }

    /// The units as the controller wants to see them. Weights are asked for only where
    /// they could matter: a question to systemd is dear.
    async fn observe(&mut self, now: u64) -> Vec<Observed> {
        let rows: Vec<(String, Row)> = {
            let view = self.view.get();
            view.rows
                .iter()
                .filter(|(path, _)| *path != "/")
                .map(|(path, row)| (path.clone(), row.clone()))
                .collect()
        };
        let policy = self.settings.policy;
        let needy = rows.iter().any(|(_, row)| row.forecast.in_5 >= policy.high);
        let mut units = Vec::with_capacity(rows.len());
        for (path, row) in rows {
            let class = self.class(&row.unit).0;
            let protected = self.classes.protected(&row.unit).is_some();
            let ours = self.controller.in_force().contains_key(&row.unit);
            let may_change = !protected
                && (row.unit.ends_with(".slice")
                    || class.may_wait() && row.usage >= policy.min_usage);
            let weight = if ours || needy && may_change && row.usage >= QUIET {
                self.weight(&row.unit, now, ours).await
            } else {
                Weight::Unknown
            };
            units.push(Observed {
                unit: row.unit,
                path,
                class,
                protected,
                weight,
                now: row.forecast.now,
                in_5: row.forecast.in_5,
                in_30: row.forecast.in_30,
                usage: row.usage,
            });
        }
        units
    }

    /// The class of a unit and what said so.
    pub(super) fn class(&self, unit: &str) -> (Class, String) {
        if self
            .foreground
            .values()
            .any(|foreground| foreground == unit)
        {
            return (Class::Foreground, "SetForeground".into());
        }
        let (class, rule) = self.classes.of(unit);
        (class, rule.to_owned())
    }

    async fn weight(&mut self, unit: &str, now: u64, fresh: bool) -> Weight {
        if self.weights.len() > 4 * self.settings.sampling.most_units {
            self.weights.clear();
        }
        if let Some((at, weight)) = self.weights.get(unit)
            && !fresh
            && now.saturating_sub(*at) < WEIGHT_US
        {
            return *weight;
        }
        let weight = match self.systemd.weight(unit).await {
            Ok(weight) => weight,
            Err(refusal) => {
                tracing::debug!(unit, ?refusal, "weight unknown");
                Weight::Unknown
            }
        };
        self.weights.insert(unit.to_owned(), (now, weight));
        weight
    }

    /// What cannot be read, as problems; what is armed, for Describe.
    pub(super) async fn tell_sources(&self) {
        let status = &self.context.status;
        let sources = self.sampler.sources();
        status.set_problem("cgroup", sources.cgroup_problem()).await;
        let pressure = sources.pressure_problem();
        let refused = self.triggers.refused();
        let triggers = (pressure.is_none() && !refused.is_empty()).then(|| {
            format!(
                "pressure triggers refused, reading by the clock only: {}",
                refused.join("; ")
            )
        });
        status.set_problem("pressure", pressure).await;
        status.set_problem("triggers", triggers).await;
        status.set_detail("triggers", json!(self.triggers.armed()));
    }

    /// The model as the bus shows it.
    pub(super) fn tell_model(&self) {
        let told = match self.forecaster.model() {
            Some(model) => {
                let manifest = &model.manifest;
                let mut told = vec![
                    ("state", Value::Text("in-use".into())),
                    ("name", Value::Text(manifest.name.clone())),
                    ("architecture", Value::Text(manifest.architecture.clone())),
                    ("sha256", Value::Text(manifest.sha256.clone())),
                    ("signer", Value::Text(model.signer.clone())),
                    (
                        "recorded-on",
                        Value::Text(manifest.training.recorded_on.join("; ")),
                    ),
                    ("held-out-rows", Value::Count(manifest.held_out.rows)),
                ];
                let names = [
                    ["error-5s", "error-5s-persistence", "error-5s-average"],
                    ["error-30s", "error-30s-persistence", "error-30s-average"],
                ];
                for (score, names) in manifest.scores.iter().zip(names) {
                    let figures = [score.model, score.persistence, score.average];
                    told.extend(names.into_iter().zip(figures.map(Value::Number)));
                }
                told
            }
            None => vec![
                ("state", Value::Text("simple".into())),
                ("name", Value::Text("exponential-average".into())),
                ("reason", Value::Text(self.forecaster.reason().to_owned())),
            ],
        };
        self.view.get().model = told;
    }
}

/// CPU used in the last 5 s (or what there is of them), as a share of the machine.
fn usage(history: &History, cpus: u32) -> f64 {
    let Some(last) = history.last() else {
        return 0.0;
    };
    let span = BUCKET_US.min(history.span_us());
    let used = history
        .share(Channel::Usage, last.time_us - span, last.time_us)
        .unwrap_or(0.0);
    used / f64::from(cpus.max(1))
}
