//! Credentials that systemd itself loads from quantumd's socket.

use quantumos_vm::ensure;

use crate::GUEST;

#[test]
fn a_unit_loads_what_it_was_granted_and_does_not_start_without() {
    GUEST.scenario(|guest| {
        let script = r#"
            set -e
            test "$(stat -c %U:%a /run/quantumos/credentials.sock)" = root:600
            printf 'the secret' | quantumctl credential set vm.secret >/dev/null
            quantumctl credential grant vm.secret vm-granted.service >/dev/null
            run() { # unit: prints the credential that the unit got
                systemd-run --quiet --wait --pipe --unit="$1" \
                    -p LoadCredential=vm.secret:/run/quantumos/credentials.sock \
                    /bin/sh -c 'cat "$CREDENTIALS_DIRECTORY/vm.secret"'
            }
            test "$(run vm-granted)" = 'the secret'
            # As another user too: systemd hands it on.
            test "$(systemd-run --quiet --wait --pipe --unit=vm-granted -p DynamicUser=yes \
                -p LoadCredential=vm.secret:/run/quantumos/credentials.sock \
                /bin/sh -c 'cat "$CREDENTIALS_DIRECTORY/vm.secret"')" = 'the secret'
            if out=$(run vm-other 2>/dev/null); then echo "vm-other got: $out"; exit 3; fi
            systemctl reset-failed vm-other.service || true
            # What was replaced is what the next start gets; what was taken back is gone.
            printf 'another' | quantumctl credential set vm.secret >/dev/null
            test "$(run vm-granted)" = another
            quantumctl credential revoke vm.secret vm-granted.service >/dev/null
            if run vm-granted >/dev/null 2>&1; then exit 4; fi
            systemctl reset-failed vm-granted.service || true
            quantumctl credential remove vm.secret >/dev/null
        "#;
        guest.shell(script).map(drop)?;
        // Who read it and who was refused are both on the trail.
        for said in ["vm-other.service has no grant", "unit vm-granted.service"] {
            let trail = format!(
                "journalctl -u quantumd -o verbose --since=-10min | grep -c '{said}'; true"
            );
            let count = guest.shell(&trail)?;
            ensure(count.trim() != "0", || {
                format!("{said:?} is not in the journal")
            })?;
        }
        Ok(())
    });
}
