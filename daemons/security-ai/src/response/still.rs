//! Whether a response still holds its unit. Nothing is remembered for that: systemd and the control groups are asked
//! how the unit is now, so it does not matter how often it was started anew, or who was away meanwhile.

use super::facts::Host;
use super::hands::{Hands, Trouble, everything};
use super::plan::Act;
use super::record::{Before, Response};
use quantumos_service::systemd::{SystemdError, UNIT, unit_interface};

const GONE: &str = "the unit is gone";
const ANEW: &str = "the unit was started anew without it, or somebody took it back";
const STOPPED: &str = "the unit has stopped";
const THAWED: &str = "the unit was thawed";
const DEAD: &str =
    "nothing of the unit runs any more, but systemd takes it for frozen and does not start it";
const REGROUPED: &str = "the unit's control groups are gone; started anew it has others";

impl Hands {
    /// Why nothing is left of what a response did to a unit; none while something is, or when it did nothing to one.
    ///
    /// # Errors
    /// When that can't be found out.
    pub async fn over(
        &self,
        host: &Host,
        response: &Response,
    ) -> Result<Option<&'static str>, Trouble> {
        let Some(unit) = response.unit() else {
            return Ok(None);
        };
        let act = &response.act;
        let object = match self.systemd.unit(unit).await {
            Ok(object) => object,
            Err(SystemdError::NoSuchUnit) => return Ok(without(response)),
            Err(error) => return Err(error.into()),
        };
        let why = match act {
            Act::Throttle { .. } => {
                for before in &response.before {
                    if let Before::Number { property, set, .. } = before
                        && self.number(&object, unit, property).await? == *set
                    {
                        return Ok(None);
                    }
                }
                Some(ANEW)
            }
            Act::Isolate(_) => {
                let denied = self.networks(&object, unit, "IPAddressDeny").await?;
                let allowed = self.networks(&object, unit, "IPAddressAllow").await?;
                let all = everything().iter().all(|net| denied.contains(net));
                (!all || !allowed.is_empty()).then_some(ANEW)
            }
            Act::FreezeUnit(_) => {
                let freezer = self.text(&object, UNIT, "FreezerState").await?;
                let active = self.text(&object, UNIT, "ActiveState").await?;
                unfrozen(&freezer, &active)
            }
            Act::DenyFile { groups, .. } | Act::DenyGroups(groups) => {
                let Some(interface) = unit_interface(unit) else {
                    return Ok(None);
                };
                let path = self.text(&object, interface, "ControlGroup").await?;
                let (host, denied) = (host.clone(), groups.clone());
                let look = move || host.groups(&path).iter().any(|one| denied.contains(one));
                let read = tokio::task::spawn_blocking(look).await;
                let is_left = read.map_err(|error| Trouble::Unsure(error.to_string()))?;
                (!is_left).then_some(REGROUPED)
            }
            _ => None,
        };
        Ok(why)
    }
}

/// Why nothing is left of a response when systemd does not know its unit. A unit with a file is only not loaded: what
/// was set on it is set when it starts again, and only what it ran with is gone.
fn without(response: &Response) -> Option<&'static str> {
    match response.act {
        Act::Throttle { .. } | Act::Isolate(_) => {
            response.before.contains(&Before::Transient).then_some(GONE)
        }
        _ => Some(GONE),
    }
}

/// Why a unit is not frozen, by the states that systemd says.
fn unfrozen(freezer: &str, active: &str) -> Option<&'static str> {
    let runs = !matches!(active, "inactive" | "failed" | "activating" | "maintenance");
    match (freezer, runs) {
        ("running", true) => Some(THAWED),
        ("running", false) => Some(STOPPED),
        (_, true) => None,
        // A frozen unit is neither started nor thawed by systemd when its last process has ended.
        (_, false) => Some(DEAD),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::State;
    use super::super::record::tests::response;
    use super::*;

    #[test]
    fn a_freeze_is_over_when_nothing_of_the_unit_runs_or_all_of_it_does() {
        for (freezer, active, why) in [
            ("frozen", "active", None),
            ("freezing", "reloading", None),
            ("frozen-by-parent", "active", None),
            ("frozen", "deactivating", None),
            ("running", "active", Some(THAWED)),
            ("running", "activating", Some(STOPPED)),
            ("running", "inactive", Some(STOPPED)),
            ("frozen", "failed", Some(DEAD)),
            ("frozen", "activating", Some(DEAD)),
        ] {
            assert_eq!(unfrozen(freezer, active), why, "{freezer} {active}");
        }
    }

    #[test]
    fn only_limits_of_a_unit_with_a_file_outlive_its_being_loaded() {
        let limits = [
            Act::Isolate("a.service".into()),
            Act::Throttle {
                unit: "a.service".into(),
                quota: 1,
                io_weight: 1,
            },
        ];
        for act in limits {
            let mut held = response(act, State::Applied);
            assert_eq!(held.unit(), Some("a.service"));
            assert_eq!(without(&held), None);
            held.before.push(Before::Transient);
            assert_eq!(without(&held), Some(GONE));
        }
        for act in [
            Act::FreezeUnit("a.service".into()),
            Act::DenyGroups(vec![7]),
        ] {
            assert_eq!(without(&response(act, State::Applied)), Some(GONE));
        }
    }
}
