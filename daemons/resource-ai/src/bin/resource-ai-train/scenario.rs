//! What runs during a recording: a handful of workers in units of their own, drawn from
//! a seed. The same seed gives the same workers with the same rhythm.

use quantumos_resource::rng::Rng;

/// A worker and the unit that it runs in.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// Name of its service, without a suffix.
    pub unit: String,
    /// Slice that it is in.
    pub slice: &'static str,
    /// Arguments for the `load` command.
    pub arguments: Vec<String>,
}

/// The workers of a seed on a machine with so many CPUs.
pub fn workers(seed: u64, cpus: u32) -> Vec<Worker> {
    let mut rng = Rng::new(seed);
    let count = 3 + rng.below(3);
    (0..count)
        .map(|index| worker(&mut rng, seed, index, cpus))
        .collect()
}

fn worker(rng: &mut Rng, seed: u64, index: u64, cpus: u32) -> Worker {
    let threads = 1 + rng.below(u64::from(cpus) + 1);
    let kinds: [(&str, &'static str); 7] = [
        ("periodic", "system.slice"),
        ("bursts", "system.slice"),
        ("compile", "build.slice"),
        ("steady", "system.slice"),
        ("ramp", "background.slice"),
        ("writer", "background.slice"),
        ("memory", "system.slice"),
    ];
    // Periodic work, bursts and compiles are the most common.
    let pick = [0, 0, 1, 1, 2, 2, 3, 4, 5, 6][rng.below(10) as usize];
    let (kind, slice) = kinds[pick];
    let period_ms = (2_000.0 * 20.0_f64.powf(rng.unit())) as u64;
    let duty = rng.between(0.15, 0.7);
    let threads = if matches!(kind, "writer" | "memory") {
        1
    } else {
        threads
    };
    Worker {
        unit: format!("load-{seed}-{index}-{kind}"),
        slice,
        arguments: [
            "--kind".to_owned(),
            kind.into(),
            "--threads".into(),
            threads.to_string(),
            "--period-ms".into(),
            period_ms.to_string(),
            "--duty".into(),
            format!("{duty:.3}"),
            "--seed".into(),
            rng.next_u64().to_string(),
        ]
        .into(),
    }
}
