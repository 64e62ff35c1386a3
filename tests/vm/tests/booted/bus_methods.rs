//! Keys1, Key1, Ledger1 and Entropy1 with nothing but busctl: each method once as an administrator and once as a user
//! without rights, who may have what is public and nothing else.

use quantumos_dbus::{bus_name, path};
use quantumos_vm::{Bus, Outcome, ensure};
use serde_json::Value;

use crate::GUEST;

const KEYS: &str = "org.quantumos.Keys1";
const KEY: &str = "org.quantumos.Key1";
const LEDGER: &str = "org.quantumos.Ledger1";
const ENTROPY: &str = "org.quantumos.Entropy1";

/// An array of bytes as busctl takes it: how many, and each.
fn array(bytes: &Value) -> Vec<String> {
    let bytes = bytes.as_array().map(Vec::as_slice).unwrap_or_default();
    let count = bytes.len().to_string();
    std::iter::once(count)
        .chain(bytes.iter().map(ToString::to_string))
        .collect()
}

#[test]
fn each_method_of_keys_ledger_and_entropy_for_root_and_for_nobody() {
    GUEST.scenario(|guest| {
        let root = Bus::of(guest);
        let nobody = root.user("nobody");
        let create = ["ssa{sv}", "ML-DSA-87", "walked through", "0"];
        let made = root.call(bus_name::QUANTUM, path::KEYS, KEYS, "Create", &create)?;
        let key = made[0].as_str().ok_or("no path")?;
        nobody.refusal(bus_name::QUANTUM, path::KEYS, KEYS, "Create", &create)?;

        let sign = ["aya{sv}", "1", "7", "0"];
        let signature = root.call(bus_name::QUANTUM, key, KEY, "Sign", &sign)?;
        let public = root.call(bus_name::QUANTUM, key, KEY, "PublicKey", &[])?;
        let (signature, public) = (array(&signature[0]), array(&public[0]));
        let words = |signature_type: &str, message: &[&str]| -> Vec<String> {
            let mut words = vec![signature_type.to_owned(), "ML-DSA-87".into()];
            words.extend(public.iter().cloned());
            words.extend(message.iter().map(|word| (*word).to_owned()));
            words.extend(signature.iter().cloned());
            words.push("0".into());
            words
        };
        for bus in [root, nobody] {
            for (message, valid) in [("7", true), ("8", false)] {
                let words = words("sayayaya{sv}", &["1", message]);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let answer = bus.call(bus_name::QUANTUM, path::KEYS, KEYS, "Verify", &words)?;
                ensure(answer[0] == valid, || format!("{message}: {answer}"))?;
            }
        }
        // The message by descriptor, which busctl takes from who starts it, as systemd passes sockets.
        let quoted = words("sayhaya{sv}", &["3"]).join("' '");
        let (name, at) = (bus_name::QUANTUM, path::KEYS);
        let call = format!("busctl call {name} {at} {KEYS} VerifyDescriptor '{quoted}'");
        let given = "LISTEN_PID=\\$\\$ LISTEN_FDS=1 exec";
        let script = format!(
            "set -e; printf '\\007' >/tmp/walk; chmod a+r /tmp/walk
             sh -c \"{given} {call}\" 3</tmp/walk
             runuser -u nobody -- sh -c \"{given} {call}\" 3</tmp/walk
             rm /tmp/walk"
        );
        let told = guest.shell(&script)?;
        ensure(told.matches("b true").count() == 2, || told)?;

        ledger(root, nobody)?;
        entropy(root, nobody)
    });
}

fn ledger(root: Bus<'_>, nobody: Bus<'_>) -> Outcome {
    let at = path::LEDGER;
    type Method = (&'static str, &'static [&'static str], bool);
    let methods: [Method; 6] = [
        ("Checkpoint", &[], true),
        ("ConsistencyProof", &["t", "1"], true),
        ("Verify", &[], true),
        ("Entries", &["tt", "0", "1"], false),
        ("InclusionProof", &["t", "0"], false),
        ("Seal", &[], false),
    ];
    for (method, arguments, open) in methods {
        let answer = root.call(bus_name::QUANTUM, at, LEDGER, method, arguments)?;
        ensure(answer.is_array(), || format!("{method}: {answer}"))?;
        if open {
            nobody.call(bus_name::QUANTUM, at, LEDGER, method, arguments)?;
        } else {
            let why = nobody.refusal(bus_name::QUANTUM, at, LEDGER, method, arguments)?;
            ensure(why.contains("org.quantumos.keys.manage"), || why)?;
        }
    }
    // Only agents append; who is none does not get past the bus.
    let forged = ["ssta{ss}", "forged", "1", "1", "0"];
    let why = nobody.refusal(bus_name::QUANTUM, at, LEDGER, "Append", &forged)?;
    ensure(why.contains("Append") || why.contains("ccess"), || why)?;
    let findings = root.call(bus_name::QUANTUM, at, LEDGER, "Verify", &[])?;
    ensure(findings[0] == Value::Array(Vec::new()), || {
        findings.to_string()
    })?;
    let size = root.get(bus_name::QUANTUM, at, LEDGER, "Size")?;
    let signed = nobody.get(bus_name::QUANTUM, at, LEDGER, "SignedSize")?;
    ensure(size == signed && size.as_u64() > Some(0), || {
        format!("{size} entries, {signed} of them signed")
    })
}

fn entropy(root: Bus<'_>, nobody: Bus<'_>) -> Outcome {
    for bus in [root, nobody] {
        let at = path::QUANTUM;
        bus.call(bus_name::QUANTUM, at, ENTROPY, "Draw", &["u", "32"])?;
        let why = bus.refusal(bus_name::QUANTUM, at, ENTROPY, "Draw", &["u", "0"])?;
        ensure(why.contains("bytes"), || why)?;
        let sources = bus.get(bus_name::QUANTUM, at, ENTROPY, "Sources")?;
        let sources = sources.as_array().cloned().unwrap_or_default();
        let state = |name: &str| {
            let found = sources.iter().find(|source| source[0] == name);
            found.map(|source| source[1].as_str().unwrap_or_default().to_owned())
        };
        // The processor's own generator is not in every machine; what is there passes its health test.
        let healthy = ["getrandom", "tpm"]
            .iter()
            .all(|name| state(name).as_deref() == Some("ok"))
            && state("rdseed").is_some_and(|state| state == "ok" || state == "absent");
        ensure(healthy, || format!("{sources:?}"))?;
    }
    Ok(())
}

/// How a method with descriptors is called; those who have no right get nothing.
const DESCRIPTORS: &str = r#"
    set -ex
    mkdir -p /tmp/walk; chmod 755 /tmp/walk; cd /tmp/walk
    printf '\007' >message; : >sealed; : >opened; : >none
    # Descriptors from 3 on are what was passed.
    call() { # user, how many, key, method, words
        LISTEN_FDS=$2 runuser -u $1 -- sh -c 'export LISTEN_PID=$$; exec busctl "$@"' sh \
            --allow-interactive-authorization=no call org.quantumos.Quantum1 $3 org.quantumos.Key1 "${@:4}" 2>&1
    }
    signature=$(call root 1 $SIGNS SignDescriptor 'ha{sv}' 3 0 3<message)
    signature=${signature#ay }
    test ${signature%% *} = 4627
    call nobody 1 $SIGNS SignDescriptor 'ha{sv}' 3 0 3<message | grep -q org.quantumos.keys.use
    for user in root nobody; do
        call $user 1 $SIGNS VerifyDescriptor 'haya{sv}' 3 $signature 0 3<message | grep -qx 'b true'
        call $user 1 $SIGNS VerifyDescriptor 'haya{sv}' 3 $signature 0 3<none | grep -qx 'b false'
    done
    call root 2 $SEALS Encrypt 'hha{sv}' 3 4 0 3<message 4>sealed
    call nobody 2 $SEALS Encrypt 'hha{sv}' 3 4 0 3<message 4>none | grep -q org.quantumos.keys.use
    call root 2 $SEALS Decrypt 'hha{sv}' 3 4 0 3<sealed 4>opened
    call nobody 2 $SEALS Decrypt 'hha{sv}' 3 4 0 3<sealed 4>none | grep -q org.quantumos.keys.use
    cmp message opened
    if cmp message sealed || test -s none; then exit 4; fi
    cd /; rm -r /tmp/walk
"#;

#[test]
fn each_method_of_a_key_for_root_and_for_nobody() {
    GUEST.scenario(|guest| {
        let root = Bus::of(guest);
        let nobody = root.user("nobody");
        let create = |algorithm: &str| -> Result<String, Box<dyn std::error::Error>> {
            let words = ["ssa{sv}", algorithm, "walked through", "0"];
            let made = root.call(bus_name::QUANTUM, path::KEYS, KEYS, "Create", &words)?;
            Ok(made[0].as_str().ok_or("no path")?.to_owned())
        };
        let (signs, agrees) = (create("ML-DSA-87")?, create("X25519+ML-KEM-1024")?);
        let seals = create("AES-256-GCM")?;
        let call = |bus: Bus<'_>, key: &str, method: &str, words: &[&str]| {
            bus.call(bus_name::QUANTUM, key, KEY, method, words)
        };
        let refused = |key: &str, method: &str, words: &[&str]| {
            let why = nobody.refusal(bus_name::QUANTUM, key, KEY, method, words)?;
            ensure(why.contains("org.quantumos.keys."), || {
                format!("{method}: {why}")
            })
        };

        // Everybody has what is public and what needs nothing else.
        let public = call(root, &signs, "PublicKeyOf", &["u", "1"])?;
        for bus in [root, nobody] {
            ensure(call(bus, &signs, "PublicKey", &[])? == public, || {
                "PublicKey and PublicKeyOf differ".into()
            })?;
            ensure(
                call(bus, &signs, "PublicKeyOf", &["u", "1"])? == public,
                || "PublicKeyOf differs".into(),
            )?;
        }
        let sign = ["aya{sv}", "1", "7", "0"];
        let signature = array(&call(root, &signs, "Sign", &sign)?[0]);
        refused(&signs, "Sign", &sign)?;
        for bus in [root, nobody] {
            for (message, valid) in [("7", true), ("8", false)] {
                let mut words = vec!["ayaya{sv}", "1", message];
                words.extend(signature.iter().map(String::as_str));
                words.push("0");
                let answer = call(bus, &signs, "Verify", &words)?;
                ensure(answer[0] == valid, || format!("{message}: {answer}"))?;
            }
            let agreed = array(&call(bus, &agrees, "Encapsulate", &["a{sv}", "0"])?[0]);
            let mut words = vec!["aya{sv}"];
            words.extend(agreed.iter().map(String::as_str));
            words.push("0");
            call(root, &agrees, "Decapsulate", &words)?;
            refused(&agrees, "Decapsulate", &words)?;
        }
        let script = format!("SIGNS={signs} SEALS={seals}\n{DESCRIPTORS}");
        let output = guest.run(&["/bin/bash", "-c", &script])?;
        ensure(output.code == 0, || {
            format!("{}: {}{}", output.code, output.text(), output.errors())
        })?;

        // Who may: given and taken.
        let grant = ["ssas", "user", "65534", "1", "sign"];
        refused(&signs, "Grant", &grant)?;
        call(root, &signs, "Grant", &grant)?;
        call(nobody, &signs, "Sign", &sign)?;
        let ungrant = ["ss", "user", "65534"];
        refused(&signs, "Ungrant", &ungrant)?;
        call(root, &signs, "Ungrant", &ungrant)?;
        refused(&signs, "Sign", &sign)?;

        refused(&signs, "Rotate", &[])?;
        let newest = call(root, &signs, "Rotate", &[])?;
        ensure(newest[0] == 2, || format!("version {newest}"))?;
        let newer = call(nobody, &signs, "PublicKey", &[])?;
        ensure(newer != public, || "the key is the same".into())?;
        refused(&signs, "Revoke", &["s", "spite"])?;
        call(root, &signs, "Revoke", &["s", "a test"])?;
        let why = root.refusal(bus_name::QUANTUM, &signs, KEY, "Sign", &sign)?;
        ensure(why.contains("revoked"), || why)
    });
}
