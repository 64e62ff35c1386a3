//! The small files of a cgroup that are read beside its pressure: `cpu.stat`,
//! `memory.current`, and `/proc/stat`'s first line for hosts whose root cgroup has no
//! `cpu.stat`.

use crate::Error;

/// A file longer than this many bytes is refused.
pub const MAX_LEN: usize = 16 * 1024;

/// The fields of `cpu.stat` that are used, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuStat {
    /// CPU time used, all CPUs together.
    pub usage_us: u64,
    /// Time throttled by a quota; zero where the controller is off.
    pub throttled_us: u64,
}

/// Reads `cpu.stat`.
///
/// # Errors
/// `Error::KernelText` when a line is not `name number` or `usage_usec` is missing.
pub fn cpu_stat(text: &str) -> Result<CpuStat, Error> {
    let fail = |line: usize, reason: String| Error::KernelText {
        file: "cpu.stat",
        line,
        reason,
    };
    if text.len() > MAX_LEN {
        return Err(fail(
            1,
            format!("{} bytes, at most {MAX_LEN} expected", text.len()),
        ));
    }
    let mut usage = None;
    let mut out = CpuStat::default();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let (name, value) = line
            .split_once(' ')
            .ok_or_else(|| fail(number, "not `name number`".into()))?;
        match name {
            "usage_usec" => usage = Some(count(value).map_err(|reason| fail(number, reason))?),
            "throttled_usec" => {
                out.throttled_us = count(value).map_err(|reason| fail(number, reason))?
            }
            _ => {}
        }
    }
    out.usage_us = usage.ok_or_else(|| fail(1, "no usage_usec".into()))?;
    Ok(out)
}

/// Reads a file that holds one number, such as `memory.current` (bytes).
///
/// # Errors
/// `Error::KernelText` when it holds anything else.
pub fn single(file: &'static str, text: &str) -> Result<u64, Error> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    count(line).map_err(|reason| Error::KernelText {
        file,
        line: 1,
        reason,
    })
}

/// CPU time used by the whole machine from `/proc/stat`, in microseconds (user, nice,
/// system, irq, softirq; not idle, iowait or steal).
///
/// # Errors
/// `Error::KernelText` when the first line has another form.
pub fn proc_stat_usage(text: &str, ticks_per_second: u64) -> Result<u64, Error> {
    let fail = |reason: &str| Error::KernelText {
        file: "stat",
        line: 1,
        reason: reason.into(),
    };
    let line = text.lines().next().ok_or_else(|| fail("empty"))?;
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("cpu") || ticks_per_second == 0 {
        return Err(fail("does not begin with the sum over all CPUs"));
    }
    let mut used: u64 = 0;
    for index in 0..7 {
        let ticks = words
            .next()
            .and_then(|word| count(word).ok())
            .ok_or_else(|| fail("fewer than seven numbers"))?;
        if index != 3 && index != 4 {
            used = used.saturating_add(ticks);
        }
    }
    Ok(used.saturating_mul(1_000_000) / ticks_per_second)
}

fn count(text: &str) -> Result<u64, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seen: String = text
            .chars()
            .take(40)
            .flat_map(char::escape_default)
            .collect();
        return Err(format!("`{seen}` is not a whole number"));
    }
    text.parse()
        .map_err(|_| "a number that does not fit 64 bits".to_owned())
}
