//! The ledger of keys in the image: what happens is on record, survives a restart, and verifies from a copied
//! folder where no service is.

use crate::GUEST;

#[test]
fn what_happens_to_keys_is_proved_from_a_copied_folder() {
    GUEST.scenario(|guest| {
        let script = r#"
            set -e
            quantumctl keys create vm.ledger >/dev/null
            quantumctl keys rotate vm.ledger >/dev/null
            before=$(quantumctl --json ledger status | sed -n 's/.*"entries": *\([0-9]*\).*/\1/p')
            systemctl restart quantumd
            after=$(quantumctl --json ledger status | sed -n 's/.*"entries": *\([0-9]*\).*/\1/p')
            test "$after" -ge "$before"
            quantumctl ledger status --check | grep -q 'this ledger verifies'
            quantumctl ledger keys >/root/ledger.keys
            quantumctl ledger consistency "$before" >/root/ledger.added
            quantumctl ledger seal >/root/seal.json
            quantumctl ledger export /root/ledger.copy >/dev/null
            # As somebody else, with the copied files and the keys only.
            chmod -R a+rX /root/ledger.copy /root/ledger.keys; mv /root/ledger.* /root/seal.json /tmp/
            for file in /tmp/ledger.copy /tmp/ledger.added /tmp/seal.json; do
                runuser -u nobody -- env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent \
                    quantumctl ledger verify "$file" --key /tmp/ledger.keys
            done
            file=$(find /tmp/ledger.copy -type f -path '*entries*' | head -n 1)
            printf X | dd of="$file" bs=1 seek=40 conv=notrunc status=none
            if quantumctl ledger verify /tmp/ledger.copy --key /tmp/ledger.keys; then exit 3; fi
            rm -r /tmp/ledger.* /tmp/seal.json
        "#;
        guest.shell(script).map(drop)?;
        Ok(())
    });
}
