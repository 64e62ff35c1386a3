//! One worker of a load: uses CPU, memory or the disk in a rhythm that its seed gives.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use quantumos_resource::rng::Rng;

use crate::{Outcome, named};

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Works for a part of each period.
    Periodic,
    /// Works and rests for random times.
    Bursts,
    /// Many small jobs at once, then one alone, then a rest, as a build does.
    Compile,
    /// Works for a part of each tenth of a second.
    Steady,
    /// One thread more in each period.
    Ramp,
    /// Writes and syncs a file in each period.
    Writer,
    /// Takes memory, touches it and gives it back.
    Memory,
}

/// How a worker is told.
#[derive(Debug, Args)]
pub struct Options {
    /// What to do
    #[arg(long, value_enum)]
    kind: Kind,
    /// With how many threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,
    /// Length of its rhythm, in milliseconds
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
    period_ms: u64,
    /// Part of the time that it works
    #[arg(long, default_value_t = 0.5)]
    duty: f64,
    /// Seed of its random times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Runs the worker until its time is over.
pub fn run(options: &Options) -> Outcome {
    let mut rng = Rng::new(options.seed);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let period = Duration::from_millis(options.period_ms);
    let work = period.mul_f64(options.duty.clamp(0.01, 0.99));
    let rest = period.saturating_sub(work);
    // Workers of one seed would otherwise all start together.
    std::thread::sleep(period.mul_f64(rng.unit()).min(Duration::from_secs(20)));
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        match options.kind {
            Kind::Periodic => {
                spin(options.threads, work);
                std::thread::sleep(rest);
            }
            Kind::Bursts => {
                spin(options.threads, exponential(&mut rng, work));
                std::thread::sleep(exponential(&mut rng, rest));
            }
            Kind::Compile => {
                compile(options.threads, work, &mut rng);
                std::thread::sleep(rest);
            }
            Kind::Steady => {
                spin(
                    options.threads,
                    Duration::from_millis(100).mul_f64(options.duty.clamp(0.01, 0.99)),
                );
                std::thread::sleep(
                    Duration::from_millis(100).mul_f64(1.0 - options.duty.clamp(0.01, 0.99)),
                );
            }
            Kind::Ramp => {
                spin(1 + round % (options.threads + 1), work);
                std::thread::sleep(rest);
            }
            Kind::Writer => {
                write(4 + rng.below(12))?;
                std::thread::sleep(rest);
            }
            Kind::Memory => {
                touch(32 + rng.below(96), work);
                std::thread::sleep(rest);
            }
        }
    }
    Ok(())
}

fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    mean.mul_f64((-(1.0 - rng.unit()).ln()).clamp(0.02, 4.0))
}

/// Keeps threads busy for a time.
fn spin(threads: u64, time: Duration) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| busy(time));
        }
    });
}

fn busy(time: Duration) {
    let end = Instant::now() + time;
    let mut number = 1_u64;
    while Instant::now() < end {
        for _ in 0..10_000 {
            number = std::hint::black_box(
                number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
    }
}

/// Jobs of random length on so many threads for a time, then a last one alone.
fn compile(threads: u64, time: Duration, rng: &mut Rng) {
    let end = Instant::now() + time.mul_f64(0.8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let mut own = Rng::new(rng.next_u64());
            scope.spawn(move || {
                while Instant::now() < end {
                    busy(exponential(&mut own, Duration::from_millis(150)));
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
    });
    busy(time.mul_f64(0.2));
}

fn write(mebibytes: u64) -> Outcome {
    let path = std::env::temp_dir().join(format!("resource-ai-load.{}", std::process::id()));
    let written = File::create(&path).and_then(|mut file| {
        let block = vec![0x5a_u8; 1 << 20];
        for _ in 0..mebibytes {
            file.write_all(&block)?;
        }
        file.sync_all()
    });
    let _ = std::fs::remove_file(&path);
    Ok(written.map_err(named(&path))?)
}

fn touch(mebibytes: u64, time: Duration) {
    let end = Instant::now() + time;
    let mut memory = vec![0_u8; (mebibytes as usize) << 20];
    let mut value = 0_u8;
    while Instant::now() < end {
        value = value.wrapping_add(1);
        for page in memory.chunks_mut(4096) {
            page[0] = value;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::hint::black_box(&memory);
}
