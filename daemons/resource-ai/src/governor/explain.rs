//! `Explain`: all that is known of one unit, as JSON.

use quantumos_dbus::Error;
use quantumos_resource::controller::Weight;
use quantumos_resource::history::History;
use quantumos_resource::units::is_unit;
use serde_json::{Value, json};

use super::Governor;
use crate::systemd::PROPERTY;

impl Governor {
    /// Explains a unit.
    pub(super) async fn explain(&mut self, unit: &str) -> Result<String, Error> {
        if !is_unit(unit) {
            return Err(Error::InvalidArgument(
                "unit: not the name of a slice, service or scope".into(),
            ));
        }
        let found = {
            let view = self.view.get();
            let mode = view.mode.as_str();
            view.rows
                .iter()
                .find(|(_, row)| row.unit == unit)
                .map(|(path, row)| (path.clone(), row.clone(), mode))
        };
        let decisions = self.decisions_of(unit);
        let Some((path, row, mode)) = found else {
            if decisions.is_empty() {
                return Err(Error::NotFound(format!(
                    "no unit {unit} is running, or it is beyond sampling.most-units"
                )));
            }
            return Ok(
                json!({ "unit": unit, "running": false, "decisions": decisions }).to_string(),
            );
        };
        let (class, because) = self.class(unit);
        let weight = match self.systemd.weight(unit).await {
            Ok(Weight::Set(weight)) => json!(weight),
            Ok(Weight::NotSet) => json!("not set"),
            Ok(Weight::Unknown) | Err(_) => json!("unknown"),
        };
        let nothing = History::default();
        let history = self.groups.get(&path).unwrap_or(&nothing);
        let model: serde_json::Map<String, Value> = self
            .view
            .get()
            .model
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_json()))
            .collect();
        let explanation = json!({
            "unit": unit,
            "running": true,
            "cgroup": path,
            "mode": mode,
            "class": class.as_str(),
            "classBecause": because,
            "protected": self.classes.protected(unit),
            PROPERTY: weight,
            "usage": percent(row.usage),
            "pressure": {
                "now": percent(row.forecast.now),
                "in5s": percent(row.forecast.in_5),
                "in30s": percent(row.forecast.in_30),
                "by": row.forecast.means.as_str(),
            },
            "model": model,
            "evidence": self.forecaster.explain(history, &self.system, self.cpus),
            "policy": self.settings.policy,
            "decisions": decisions,
        });
        Ok(explanation.to_string())
    }

    fn decisions_of(&self, unit: &str) -> Vec<Value> {
        let about = self.decisions.values().filter_map(|shared| {
            let decision = shared.get();
            let proposal = &decision.proposal;
            if ![&proposal.unit, &proposal.beneficiary, &proposal.victim]
                .into_iter()
                .any(|name| name == unit)
            {
                return None;
            }
            Some(json!({
                "id": decision.id,
                "unit": proposal.unit,
                "property": PROPERTY,
                "from": proposal.from,
                "to": proposal.to,
                "reason": proposal.reason,
                "rule": proposal.rule,
                "evidence": proposal.evidence,
                "state": decision.state.as_str(),
                "ended": decision.ended,
                "time": decision.time,
                "expires": decision.expires,
                "undo": format!("quantumctl resource undo {}", decision.id),
            }))
        });
        about.collect()
    }
}

/// A share in percent with two decimals.
fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}
