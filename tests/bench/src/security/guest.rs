//! What only a booted image has: BPF among the active security modules, so that executions can be denied, and the unit
//! with its sandbox. What a denial adds to an execution is measured with its program attached and not attached by
//! turns, and by the kernel's own statistics, which are what counts where the guest's processor is emulated.

use std::path::Path;

use quantumos_harness::guest::{Accelerator, Guest, Options};

use super::{everything, median};
use crate::{Failure, Print, image};

/// Turns, and executions of each.
const TURNS: usize = 7;
const EXECUTIONS: usize = 200;

/// Measures, where there is an image.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let image = match image() {
        Ok(image) if image.exists() => image,
        Ok(image) => {
            eprintln!("skipped: no image at {}", image.display());
            return Ok(());
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            return Ok(());
        }
    };
    let accelerator = Accelerator::working(&image);
    eprintln!("security.guest: the guest runs on {accelerator:?}");
    let guest = Guest::boot(Options::of(image))?;
    guest.run(&["systemctl", "is-system-running", "--wait"])?;
    denials(&guest, print)?;
    memory(&guest, print)
}

fn bash(guest: &Guest, script: &str) -> Result<String, Failure> {
    let output = guest.run(&["/bin/bash", "-c", script])?;
    match output.code {
        0 => Ok(output.text()),
        code => Err(format!("{code}: {}{}", output.text(), output.errors()).into()),
    }
}

fn denials(guest: &Guest, print: Print<'_>) -> Result<(), Failure> {
    let prepare = "set -e
        sysctl -qw kernel.bpf_stats_enabled=1
        cp /usr/bin/sleep /var/tmp/denied
        systemd-run --quiet --collect --unit=denied /var/tmp/denied 1000";
    bash(guest, prepare)?;
    let measure = format!(
        "set -e
        took() {{
            local start=${{EPOCHREALTIME//[!0-9]/}} i
            for ((i = 0; i < {EXECUTIONS}; i++)); do /bin/true; done
            echo $((${{EPOCHREALTIME//[!0-9]/}} - start))
        }}
        pid=$(systemctl show --value -p MainPID denied)
        took >/dev/null
        for ((turn = 0; turn < {TURNS}; turn++)); do
            off=$(took)
            id=$(quantumctl --json security respond deny --pid $pid --scope host |
                sed -n 's/.*\"id\": *\"\\([0-9]*\\)\".*/\\1/p' | head -n 1)
            on=$(took)
            quantumctl security undo $id
            echo $off $on
        done
        # The program's own figures are there while it is attached.
        quantumctl security respond deny --pid $pid --scope host >/dev/null
        took >/dev/null
        quantumctl --json security statistics
        quantumctl security undo --all >/dev/null"
    );
    let text = bash(guest, &measure)?;
    let (text, statistics) = text.split_at(text.find('{').unwrap_or(text.len()));
    let mut added = Vec::new();
    let mut bare = Vec::new();
    for line in text.lines() {
        let mut numbers = line.split(' ').map(str::parse::<f64>);
        let (Some(Ok(off)), Some(Ok(on))) = (numbers.next(), numbers.next()) else {
            return Err(format!("no times: {text}").into());
        };
        let each = EXECUTIONS as f64;
        added.push((on - off) / each);
        bare.push(off / each);
    }
    eprintln!(
        "security.deny: an execution takes {:.1} us without; the turns differ by {:.1} to {:.1} us",
        median(bare),
        added.iter().copied().fold(f64::INFINITY, f64::min),
        added.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    );
    let added = median(added);
    print("security.deny.added-to-exec", added, "us", "", None);
    let of = |kind: &str| statistic(statistics, &format!("program.deny_exec.{kind}"));
    let (Some(runs), Some(time)) = (of("runs"), of("ns")) else {
        return Err(format!("no statistics of deny_exec: {statistics}").into());
    };
    eprintln!("security.deny: {runs} runs of the program");
    let each = time / runs.max(1.0);
    print("security.deny.program", each, "ns/run", "", None);
    let end = "systemctl stop denied; rm /var/tmp/denied; sysctl -qw kernel.bpf_stats_enabled=0";
    bash(guest, end).map(drop)
}

/// A number after its name in a JSON document.
fn statistic(text: &str, name: &str) -> Option<f64> {
    let (_, rest) = text.split_once(&format!("\"{name}\""))?;
    let rest = rest.trim_start_matches([':', ' ', '\n']);
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}

/// The unit's share with everything loaded. Its own pack is in the image; the corpus goes beside it.
fn memory(guest: &Guest, print: Print<'_>) -> Result<(), Failure> {
    let settings = "/etc/quantumos/security-ai.toml";
    for (name, bytes) in everything::files("unix:/run/collector.socket")? {
        let mut bytes = bytes;
        let name = name.replacen("/usr/lib/", "/etc/", 1);
        if name == settings {
            bytes.extend_from_slice(everything::place(Path::new("/")).as_bytes());
        }
        guest.put(&name, "0644", &bytes)?;
    }
    bash(guest, "systemctl restart security-ai")?;
    guest.eventually(
        "for i in $(seq 20); do /bin/true; done
         busctl call org.quantumos.Security1 /org/quantumos/security org.quantumos.Service1 Describe | grep -q threshold",
    )?;
    let text = bash(
        guest,
        "awk '$1 == \"Pss:\" { sum += $2 } END { print sum }' \
         $(sed 's|.*|/proc/&/smaps_rollup|' /sys/fs/cgroup/system.slice/security-ai.service/cgroup.procs)",
    )?;
    let kibibytes: f64 = text.trim().parse()?;
    let name = "security.memory.guest-pss";
    print(name, kibibytes / 1024.0, "MiB", "", None);
    Ok(())
}
