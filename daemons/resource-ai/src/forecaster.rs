//! A forecast for a unit by the best means there is: the model, the exponential average,
//! or what it is now; and a word about which one it was.

use quantumos_resource::features::{self, Features, NAMES};
use quantumos_resource::history::History;
use quantumos_resource::simple;
use serde_json::{Value, json};

use crate::model::Model;
use crate::settings;

/// Time constants of the simple forecast where no manifest gives better ones, in seconds.
const CONSTANTS_S: [f64; 2] = [5.0, 20.0];
/// How many influences are told.
const INFLUENCES: usize = 5;

/// How a forecast was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Means {
    /// By the model.
    Model,
    /// By the exponential average.
    Average,
    /// There was no pressure in the last minute, so none is forecast.
    Calm,
    /// Too little history for anything but the present.
    #[default]
    Persistence,
}

impl Means {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Average => "exponential-average",
            Self::Calm => "calm",
            Self::Persistence => "persistence",
        }
    }
}

/// A forecast of `cpu.some` as shares.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Forecast {
    /// The last 5 s.
    pub now: f64,
    /// The 5 s that end in 5 s.
    pub in_5: f64,
    /// The 5 s that end in 30 s.
    pub in_30: f64,
    /// How it was made.
    pub means: Means,
}

/// Makes forecasts.
#[derive(Debug)]
pub struct Forecaster {
    model: Option<Model>,
    reason: String,
}

impl Forecaster {
    /// Forecasts by the average until there is a model.
    pub fn without(reason: &str) -> Self {
        Self {
            model: None,
            reason: reason.to_owned(),
        }
    }

    /// Loads the model, or falls back and keeps the reason. Takes a while: the signature,
    /// and a runtime that is set up.
    pub fn new(settings: &settings::Model) -> Self {
        match Model::load(settings) {
            Ok(model) => {
                tracing::info!(
                    sha256 = model.manifest.sha256,
                    signer = model.signer,
                    "forecast model loaded"
                );
                Self {
                    model: Some(model),
                    reason: String::new(),
                }
            }
            Err(error) => Self::without(&error.to_string()),
        }
    }

    /// The model in use.
    pub fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }

    /// Why no model is in use; empty when one is.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A forecast for one unit; `None` without any history.
    pub fn forecast(&mut self, group: &History, system: &History, cpus: u32) -> Option<Forecast> {
        let now = simple::persistence(group).or_else(|| simple::exponential_average(group, 5.0))?;
        let stays = Forecast {
            now,
            in_5: now,
            in_30: now,
            means: Means::Persistence,
        };
        let Some(features) = features::extract(group, system, cpus) else {
            return Some(stays);
        };
        if !features::active(&features) {
            return Some(Forecast {
                means: Means::Calm,
                ..stays
            });
        }
        if let Some([in_5, in_30]) = self.by_model(&features) {
            return Some(Forecast {
                now,
                in_5,
                in_30,
                means: Means::Model,
            });
        }
        let average = |constant| simple::exponential_average(group, constant).unwrap_or(now);
        Some(Forecast {
            now,
            in_5: average(CONSTANTS_S[0]),
            in_30: average(CONSTANTS_S[1]),
            means: Means::Average,
        })
    }

    /// A model that fails once is not asked again.
    fn by_model(&mut self, features: &Features) -> Option<[f64; 2]> {
        match self.model.as_mut()?.run(features) {
            Ok(shares) => Some(shares),
            Err(error) => {
                tracing::error!(%error, "the model is not used any more");
                self.reason = error.to_string();
                self.model = None;
                None
            }
        }
    }

    /// The signals of a unit by name, and which of them moved the model's forecast most:
    /// how much lower (in percentage points) it would be with that signal at zero.
    pub fn explain(&self, group: &History, system: &History, cpus: u32) -> Value {
        let Some(features) = features::extract(group, system, cpus) else {
            return json!({ "signals": {}, "influences": [], "historySeconds": group.span_us() / 1_000_000 });
        };
        let signals: serde_json::Map<String, Value> = NAMES
            .iter()
            .zip(features)
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let influences = self.model.as_ref().map_or_else(Vec::new, |model| {
            let whole = model.network.run(&features);
            let mut all: Vec<(usize, [f32; 2])> = (0..features.len())
                .map(|index| {
                    let mut without = features;
                    without[index] = 0.0;
                    let less = model.network.run(&without);
                    (index, [100.0 * (whole[0] - less[0]), 100.0 * (whole[1] - less[1])])
                })
                .collect();
            all.sort_by(|(_, a), (_, b)| (b[0].abs() + b[1].abs()).total_cmp(&(a[0].abs() + a[1].abs())));
            let told = all.into_iter().take(INFLUENCES);
            told.map(|(index, effect)| json!({ "signal": NAMES[index], "value": features[index], "on5s": effect[0], "on30s": effect[1] }))
                .collect()
        });
        json!({ "signals": signals, "influences": influences, "historySeconds": group.span_us() / 1_000_000 })
    }
}
