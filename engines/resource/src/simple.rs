//! The two simple forecasts that a model has to beat: persistence (it stays as it is)
//! and an exponential average of the last minute.

use crate::features::BUCKET_US;
use crate::history::{Channel, History};

const SECOND_US: u64 = 1_000_000;

/// The mean of the last five seconds, as a share. `None` while there is less history.
pub fn persistence(group: &History) -> Option<f64> {
    let now = group.last()?.time_us;
    group.share(Channel::Cpu, now.checked_sub(BUCKET_US)?, now)
}

/// The exponential average over up to a minute with a time constant in seconds, as a
/// share. Uses what history there is, one second at least.
pub fn exponential_average(group: &History, constant_s: f64) -> Option<f64> {
    let now = group.last()?.time_us;
    let seconds = (group.span_us() / SECOND_US).min(60);
    if seconds == 0 || constant_s.is_nan() || constant_s <= 0.0 {
        return None;
    }
    let step = (-1.0 / constant_s).exp();
    let (mut weight, mut sum, mut weights) = (1.0, 0.0, 0.0);
    for second in 0..seconds {
        let to = now - second * SECOND_US;
        sum += weight * group.share(Channel::Cpu, to - SECOND_US, to)?;
        weights += weight;
        weight *= step;
    }
    Some(sum / weights)
}
