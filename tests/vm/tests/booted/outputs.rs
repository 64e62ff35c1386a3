//! Where alerts go besides the bus and the journal, in the unit's own sandbox; and captures that are signed by a key in
//! the TPM's store, replayed and compared.

use quantumos_harness::Guest;
use quantumos_vm::{Outcome, ensure};

use crate::GUEST;

const SETTINGS: &str = "/etc/quantumos/security-ai.toml";

/// A collector that writes down what it is sent.
const COLLECTOR: &str = r#"
    use strict; use IO::Socket::UNIX;
    unlink "/run/collector.socket"; umask 0;
    my $listener = IO::Socket::UNIX->new(Local => "/run/collector.socket", Listen => 5) or die $!;
    open my $bodies, ">>", "/run/collector.bodies" or die $!;
    $bodies->autoflush(1);
    while (my $peer = $listener->accept) {
        my $length = 0;
        while (<$peer>) {
            $length = $1 if /^content-length:\s*(\d+)/i;
            last if /^\r?\n$/;
        }
        read $peer, my $body, $length;
        print $bodies "$body\n";
        print $peer "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        close $peer;
    }
"#;

#[test]
fn alerts_reach_a_file_prometheus_and_a_collector() {
    GUEST.scenario(|guest| {
        guest.put("/run/collector", "0755", COLLECTOR.as_bytes())?;
        guest.shell("systemd-run --quiet --collect --unit=collector perl /run/collector")?;
        let outcome = sent(guest);
        guest.shell(&format!(
            "systemctl stop collector; rm -f {SETTINGS} /run/collector*; systemctl reload security-ai
             rm -rf /var/log/quantumos/security-ai/*"
        ))?;
        outcome
    });
}

fn sent(guest: &Guest) -> Outcome {
    let text = "[file]\nenabled = true\n[metrics]\nenabled = true\nseconds = 1\n\
        [otlp]\nendpoint = \"unix:/run/collector.socket\"\n";
    guest.eventually("test -S /run/collector.socket")?;
    guest.put(SETTINGS, "0644", text.as_bytes())?;
    guest.shell("systemctl reload security-ai")?;
    guest.shell(
        "cp /usr/bin/true /dev/shm/told && /dev/shm/told --password=hunter2; rm /dev/shm/told",
    )?;
    let file = "/var/log/quantumos/security-ai/alerts.jsonl";
    guest.eventually(&format!("grep -q /dev/shm/told {file}"))?;
    guest.eventually("grep -q /dev/shm/told /run/collector.bodies")?;
    guest.eventually(
        "grep -q '^quantumos_security_alerts_total{.*} [1-9]' /run/quantumos/security-ai/metrics.prom",
    )?;
    guest.eventually(
        "grep -q 'quantumos_security_output_sent_total{output=\"otlp\"} [1-9]' /run/quantumos/security-ai/metrics.prom",
    )?;
    // None of them has what the command line hid.
    guest.shell(&format!("! grep -l hunter2 {file} /run/collector.bodies"))?;
    let problems = guest.shell(
        "busctl get-property org.quantumos.Security1 /org/quantumos/security org.quantumos.Service1 Problems",
    )?;
    ensure(
        !problems.contains("otlp") && !problems.contains("file"),
        || problems.clone(),
    )
}

#[test]
fn a_capture_is_signed_replayed_and_compared() {
    GUEST.scenario(|guest| {
        let script = r#"
            set -e
            cd /root
            quantumctl keys create vm.recorder >/dev/null
            quantumctl keys public vm.recorder --output recorder.pub >/dev/null
            quantumctl --json security record capture --seconds 6 --key vm.recorder >manifest &
            recording=$!
            while kill -0 $recording 2>/dev/null; do
                cp /usr/bin/true /dev/shm/captured; /dev/shm/captured; rm /dev/shm/captured
                read -t 0.3 <> <(:) || true
            done
            wait $recording
            for run in one two; do
                quantumctl --json security test capture --public-key recorder.pub >$run
            done
            cmp one two
            grep -q /dev/shm/captured one
            # No rule of one folder, all of another.
            quantumctl --json security compare capture --against /usr/lib/quantumos/security-ai/rules.d/miner_command.yml >differs || [ $? -eq 1 ]
            grep -q /dev/shm differs || grep -q '"a"' differs
            quantumctl --json security compare capture capture >same
            printf '{"class":"log"}\n' >>capture
            if quantumctl security test capture --public-key recorder.pub; then exit 3; fi
            rm capture* recorder.pub manifest one two differs same
        "#;
        let output = guest.run(&["/bin/bash", "-c", script])?;
        ensure(output.code == 0, || {
            format!("{}: {}{}", output.code, output.text(), output.errors())
        })
    });
}
