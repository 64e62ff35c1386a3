//! The set `crypto`: sealing a file against a bare loop over AWS-LC and against age, and the
//! resonance transform against NumPy's matrix product.

mod signatures;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quantumos_resonance::rft::{Complex64, Rft};

use crate::{Failure, Print};

const ROUNDS: usize = 5;
const CHUNK: usize = 64 * 1024;
const LARGE: u64 = 1 << 30;
const SMALL: u64 = 64 << 20;

/// Measures and prints the set.
///
/// # Errors
/// When quantumctl isn't beside this program, or anything doesn't work.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    signatures::measure(print)?;
    files(print)?;
    transform(print)
}

/// A file system in memory if there is one: what is compared is the programs, not the disk.
fn place() -> Result<tempfile::TempDir, Failure> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    Ok(place?)
}

fn files(print: Print<'_>) -> Result<(), Failure> {
    let quantumctl = std::env::current_exe()?.with_file_name("quantumctl");
    if !quantumctl.is_file() {
        return Err(format!("{} is not there; build it first", quantumctl.display()).into());
    }
    let place = place()?;
    let path = |name: &str| place.path().join(name);
    fs::write(path("key"), [7; 32])?;
    fill(&path("small"), SMALL)?;
    fill(&path("large"), LARGE)?;
    let crypto = |verb: &str, from: &str, to: &str, threads: Option<u32>| {
        let mut command = Command::new(&quantumctl);
        command.args(["crypto", verb, "--cipher", "aes", "--force"]);
        if verb == "decrypt" {
            command = Command::new(&quantumctl);
            command.args(["crypto", verb, "--force"]);
        }
        command.arg(path(from)).arg("--output").arg(path(to));
        command.arg("--key-file").arg(path("key"));
        if let Some(threads) = threads {
            command.arg("--threads").arg(threads.to_string());
        }
        command
    };
    let age = age(place.path())?;
    let mut times: [Vec<f64>; 6] = Default::default();
    let (mut peak_small, mut peak_large) = (0.0, 0.0);
    for round in 0..ROUNDS {
        eprintln!("crypto: round {} of {ROUNDS}", round + 1);
        times[0].push(timed(|| bare(&path("large"), &path("bare")))?);
        let mut one = crypto("encrypt", "large", "sealed", Some(1));
        times[1].push(timed(|| run(&mut one).map(|peak| peak_large = peak))?);
        let mut all = crypto("encrypt", "large", "sealed", None);
        times[2].push(timed(|| run(&mut all).map(drop))?);
        let mut open = crypto("decrypt", "sealed", "opened", Some(1));
        times[3].push(timed(|| run(&mut open).map(drop))?);
        let mut open = crypto("decrypt", "sealed", "opened", None);
        times[4].push(timed(|| run(&mut open).map(drop))?);
        run(&mut crypto("encrypt", "small", "sealed", Some(1))).map(|peak| peak_small = peak)?;
        if let Some(recipient) = &age {
            let mut command = Command::new("age");
            command.arg("-r").arg(recipient).arg("-o").arg(path("aged"));
            command.arg(path("large"));
            times[5].push(timed(|| run(&mut command).map(drop))?);
        }
    }
    let rate = |times: &mut Vec<f64>| LARGE as f64 / 1e6 / median(times);
    let bare = rate(&mut times[0]);
    let one = rate(&mut times[1]);
    let all = rate(&mut times[2]);
    print("crypto.encrypt-file-bare-loop", bare, "MB/s", "", None);
    print(
        "crypto.encrypt-file-one-core",
        one,
        "MB/s",
        "bare loop",
        Some(one / bare),
    );
    print(
        "crypto.encrypt-file-all-cores",
        all,
        "MB/s",
        "bare loop",
        Some(all / bare),
    );
    let opened = rate(&mut times[3]);
    print(
        "crypto.decrypt-file-one-core",
        opened,
        "MB/s",
        "bare loop",
        Some(opened / bare),
    );
    let opened = rate(&mut times[4]);
    print(
        "crypto.decrypt-file-all-cores",
        opened,
        "MB/s",
        "bare loop",
        Some(opened / bare),
    );
    if age.is_some() {
        let peer = rate(&mut times[5]);
        print(
            "crypto.encrypt-file-one-core-age",
            one,
            "MB/s",
            "age",
            Some(one / peer),
        );
        print(
            "crypto.encrypt-file-all-cores-age",
            all,
            "MB/s",
            "age",
            Some(all / peer),
        );
    }
    let name = "crypto.encrypt-file-memory-1GiB";
    print(
        name,
        peak_large / 1024.0,
        "MiB",
        "64 MiB file",
        Some(peak_small / peak_large),
    );
    Ok(())
}

/// Bytes that do not compress, without reading a generator for a GiB.
fn fill(path: &Path, len: u64) -> Result<(), Failure> {
    let mut block = vec![0u8; 1 << 20];
    aws_lc_rs::rand::fill(&mut block).map_err(|_| "the random generator failed")?;
    let mut file = File::create(path)?;
    for _ in 0..len >> 20 {
        file.write_all(&block)?;
    }
    Ok(())
}

/// The least that sealing a file can be: read, seal in place, write, in the same chunks.
fn bare(from: &Path, to: &Path) -> Result<(), Failure> {
    let fail = |_| Failure::from("AES-256-GCM failed");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(fail)?);
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0u8; CHUNK + 16];
    let mut number = 0u64;
    loop {
        let mut len = 0;
        while len < CHUNK {
            match from.read(&mut buffer[len..CHUNK])? {
                0 => break,
                more => len += more,
            }
        }
        if len == 0 {
            return Ok(());
        }
        let mut nonce = [0u8; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut buffer[..len]);
        buffer[len..len + 16].copy_from_slice(tag.map_err(fail)?.as_ref());
        to.write_all(&buffer[..len + 16])?;
        number += 1;
    }
}

/// The recipient of a new age identity, or nothing where age isn't installed.
fn age(place: &Path) -> Result<Option<String>, Failure> {
    let made = Command::new("age-keygen")
        .arg("-o")
        .arg(place.join("age"))
        .output();
    match made {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let key = text.rsplit(' ').next().map(|key| key.trim().to_owned());
            Ok(key)
        }
        Ok(output) => Err(format!("age-keygen: {output:?}").into()),
        Err(_) => {
            eprintln!("skipped: age is not installed (Debian: apt install age)");
            Ok(None)
        }
    }
}

/// Runs to the end and gives the most memory in KiB that it was seen to have.
fn run(command: &mut Command) -> Result<f64, Failure> {
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0f64;
    loop {
        if let Some(ended) = child.try_wait()? {
            return if ended.success() {
                Ok(peak)
            } else {
                Err(format!("{command:?}: {ended}").into())
            };
        }
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(seen.unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn timed(work: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The transform at N = 1024 on one core, beside NumPy's product on one and on all, and how the cost of
/// both grows: at powers of two, where the condition is bad, and at Fibonacci numbers.
fn transform(print: Print<'_>) -> Result<(), Failure> {
    let python = numpy();
    if python.is_none() {
        eprintln!("skipped: NumPy could not be installed");
    }
    for (n, name, threads, peer) in [
        (1024, "rft-1024", "1", "NumPy matvec, one core"),
        (1024, "rft-1024-one-core", "", "NumPy matvec, all cores"),
        (256, "rft-256", "1", "NumPy matvec, one core"),
        (512, "rft-512", "1", "NumPy matvec, one core"),
        (2048, "rft-2048", "1", "NumPy matvec, one core"),
        (4096, "rft-4096", "1", "NumPy matvec, one core"),
        (987, "rft-987", "1", "NumPy matvec, one core"),
        (4181, "rft-4181", "1", "NumPy matvec, one core"),
    ] {
        let one = forward(n)?;
        let theirs = python
            .as_deref()
            .map(|python| numpy_product(python, n, threads));
        let ratio = theirs.transpose()?.map(|theirs| theirs / one);
        let peer = ratio.map_or("", |_| peer);
        print(&format!("crypto.{name}"), one, "us", peer, ratio);
    }
    for n in [8192, 16_384, 17_711] {
        print(&format!("crypto.rft-{n}"), forward(n)?, "us", "", None);
    }
    Ok(())
}

/// Microseconds of a transform of `n` values.
fn forward(n: usize) -> Result<f64, Failure> {
    let rft = Rft::new(n)?;
    let signal: Vec<Complex64> = (0..n).map(|i| Complex64::cis(i as f64)).collect();
    let mut times = Vec::new();
    for _ in 0..(2_000_000 / n).clamp(15, 500) {
        times.push(timed(|| {
            std::hint::black_box(rft.forward(std::hint::black_box(&signal))?);
            Ok(())
        })?);
    }
    Ok(median(&mut times) * 1e6)
}

/// A Python with NumPy from PyPI, made once.
fn numpy() -> Option<PathBuf> {
    let place = std::env::temp_dir().join("quantumos-bench-numpy");
    let python = place.join("bin/python");
    let works = |python: &Path| {
        let mut command = Command::new(python);
        command.args(["-c", "import numpy"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !works(&python) {
        let quiet = |command: &mut Command| {
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let made = quiet(Command::new("python3").args(["-m", "venv"]).arg(&place))
            && quiet(Command::new(place.join("bin/pip")).args(["install", "-q", "numpy"]));
        if !made {
            return None;
        }
    }
    works(&python).then_some(python)
}

/// Microseconds of NumPy's product of a complex matrix of `n` by `n` and a vector.
fn numpy_product(python: &Path, n: usize, threads: &str) -> Result<f64, Failure> {
    const SCRIPT: &str = "
import numpy, sys, time
n = int(sys.argv[1])
r = numpy.random.default_rng(0)
u = r.normal(size=(n, n)) + 1j * r.normal(size=(n, n))
x = r.normal(size=n) + 1j * r.normal(size=n)
t = []
for _ in range(max(15, min(500, 500 * 1024 ** 2 // n ** 2))):
    s = time.perf_counter()
    u @ x
    t.append(time.perf_counter() - s)
print(sorted(t)[len(t) // 2] * 1e6)
";
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, &n.to_string()]);
    if !threads.is_empty() {
        command.env("OPENBLAS_NUM_THREADS", threads);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().parse()?)
}
