//! How good scores are: the area under the ROC curve, the threshold for a stated rate of false positives, and the
//! share of windows that a threshold catches. Scores grow with strangeness.

/// Area under the ROC curve: the chance that a random strange score is above a random normal one, ties counting
/// half. NaN when either side is empty.
#[must_use]
pub fn auc(normal: &[f64], strange: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = normal
        .iter()
        .map(|score| (*score, false))
        .chain(strange.iter().map(|score| (*score, true)))
        .collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut rank_sum = 0.0;
    let mut from = 0;
    while from < all.len() {
        let ties = all[from..]
            .iter()
            .take_while(|item| item.0 == all[from].0)
            .count();
        let rank = from as f64 + (ties as f64 + 1.0) / 2.0;
        let strange = all[from..from + ties].iter().filter(|item| item.1).count();
        rank_sum += rank * strange as f64;
        from += ties;
    }
    let (n, m) = (normal.len() as f64, strange.len() as f64);
    (rank_sum - m * (m + 1.0) / 2.0) / (n * m)
}

/// The share of scores above a threshold; 0 for none.
#[must_use]
pub fn share_above(scores: &[f64], threshold: f64) -> f64 {
    let above = scores.iter().filter(|score| **score > threshold).count();
    above as f64 / scores.len().max(1) as f64
}

/// Where the tail begins that [`threshold`] extends.
const TAIL: f64 = 0.1;

/// The score that normal windows pass with probability `rate`.
///
/// Where there are enough scores it is their quantile; beyond them the tail above the 90 % quantile is taken as
/// exponential (peaks over threshold), so a rate rarer than one in the number of scores can be stated, and is
/// then an extrapolation. `None` for fewer than 20 scores or a rate outside 0 to 0.1.
#[must_use]
pub fn threshold(normal: &[f64], rate: f64) -> Option<f64> {
    if normal.len() < 20 || !(rate > 0.0 && rate <= TAIL) {
        return None;
    }
    let mut sorted = normal.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let start = quantile(1.0 - TAIL);
    let tail: Vec<f64> = sorted
        .iter()
        .filter(|score| **score > start)
        .map(|score| score - start)
        .collect();
    let mean = tail.iter().sum::<f64>() / tail.len().max(1) as f64;
    let extended = start + mean * (TAIL / rate).ln();
    let seen = quantile(1.0 - rate);
    let enough = rate * sorted.len() as f64 >= 5.0;
    Some(if enough { seen } else { extended.max(seen) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas() {
        for (normal, strange, wanted) in [
            (&[1.0, 2.0][..], &[3.0, 4.0][..], 1.0),
            (&[3.0, 4.0], &[1.0, 2.0], 0.0),
            (&[1.0, 1.0], &[1.0], 0.5),
            (&[1.0, 3.0], &[2.0], 0.5),
            (&[0.1, 0.4, 0.35], &[0.8, 0.38], 5.0 / 6.0),
        ] {
            assert!((auc(normal, strange) - wanted).abs() < 1e-12, "{normal:?}");
        }
        assert!(auc(&[], &[1.0]).is_nan());
    }

    #[test]
    fn thresholds_hold_their_rate_on_an_exponential_tail() {
        let scores: Vec<f64> = (0..10_000)
            .map(|i| -(1.0 - (f64::from(i) + 0.5) / 10_000.0).ln())
            .collect();
        for rate in [0.1, 0.01, 0.001, 0.0001] {
            let at = threshold(&scores, rate).unwrap_or(f64::NAN);
            assert!((at - -rate.ln()).abs() < 0.1, "{rate}: {at}");
        }
        assert_eq!(threshold(&scores[..19], 0.01), None);
        assert_eq!(threshold(&scores, 0.0), None);
        assert_eq!(share_above(&[1.0, 2.0, 3.0, 4.0], 2.0), 0.5);
    }
}
