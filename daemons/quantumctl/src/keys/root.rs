//! `quantumctl keys unlock`, `reseal` and `approve`: what the TPM asks for before it gives the root
//! key. PINs go to the service by descriptor, never in a message.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, IsTerminal, Seek, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
};
use quantumos_dbus::{bus_name::QUANTUM, path::QUANTUM as ROOT};
use quantumos_ledger::hex;
use quantumos_pqc::boot_policy::{self, Digest};
use serde_json::{Value, json};

use super::encoding::base64;
use crate::{bus::Bus, error::Error, output::Output};

const ROOT_KEY: &str = "org.quantumos.RootKey1";

/// The PIN that opens the root key.
#[derive(Args, Debug)]
pub struct UnlockArgs {
    /// File with the PIN; without it the PIN is asked for, or read from standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pin_file: Option<PathBuf>,
    /// Ask twice, for the first PIN of a new store
    #[arg(long)]
    new: bool,
}

/// The PINs before and after.
#[derive(Args, Debug)]
pub struct ResealArgs {
    /// File with the PIN in force; without it none is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pin_file: Option<PathBuf>,
    /// File with the PIN from now on; without it none
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    new_pin_file: Option<PathBuf>,
    /// Ask for both PINs on the terminal
    #[arg(long, conflicts_with_all = ["pin_file", "new_pin_file"])]
    ask: bool,
}

/// Which state of the PCRs is approved by which key.
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// RSA private key of the authority (PKCS #8, PEM)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    private_key: PathBuf,
    /// PCRs that count, of the SHA-256 bank
    #[arg(long, value_name = "NUMBER", value_delimiter = ',', default_values_t = [7, 11])]
    pcr: Vec<u8>,
    /// Value that a PCR is going to have, instead of its present one
    #[arg(long, value_name = "NUMBER=HEX")]
    value: Vec<String>,
    /// File to add the approval to, in the form of systemd's tpm2-pcr-signature.json
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Directory with the present values
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "/sys/class/tpm/tpm0/pcr-sha256"
    )]
    values_from: PathBuf,
}

/// `keys unlock`.
pub async fn unlock(bus: &Bus, output: &Output, args: &UnlockArgs) -> Result<(), Error> {
    let pin = match &args.pin_file {
        Some(path) => open(path)?,
        None if args.new => asked_twice("PIN: ")?,
        None => asked("PIN: ")?,
    };
    let proxy = bus.proxy(QUANTUM, ROOT, ROOT_KEY).await?;
    bus.authorised::<_, ()>(&proxy, "Unlock", &(zbus::Fd::from(&pin),))
        .await?;
    output.document(&json!({ "open": true }), |_| {
        "the root key is open\n".into()
    })
}

/// `keys reseal`.
pub async fn reseal(bus: &Bus, output: &Output, args: &ResealArgs) -> Result<(), Error> {
    let file = |path: &Option<PathBuf>| path.as_deref().map_or_else(|| memory(b""), open);
    let (old, new) = if args.ask {
        (asked("PIN in force: ")?, asked_twice("new PIN: ")?)
    } else {
        (file(&args.pin_file)?, file(&args.new_pin_file)?)
    };
    let proxy = bus.proxy(QUANTUM, ROOT, ROOT_KEY).await?;
    let body = (zbus::Fd::from(&old), zbus::Fd::from(&new));
    bus.authorised::<_, ()>(&proxy, "Reseal", &body).await?;
    output.document(&json!({ "resealed": true }), |_| {
        "a new root key is sealed, all keys are wrapped anew\n".into()
    })
}

/// `keys approve`: needs neither bus nor TPM.
pub fn approve(output: &Output, args: &ApproveArgs) -> Result<(), Error> {
    let given = args
        .value
        .iter()
        .map(|text| given(text))
        .collect::<Result<BTreeMap<u8, Digest>, Error>>()?;
    let mut values = BTreeMap::new();
    for pcr in &args.pcr {
        let value = match given.get(pcr) {
            Some(value) => *value,
            None => present(&args.values_from, *pcr)?,
        };
        values.insert(*pcr, value);
    }
    if let Some(extra) = given.keys().find(|pcr| !values.contains_key(pcr)) {
        return Err(Error::Usage(format!("--value {extra}: not among --pcr")));
    }
    let usage = |error: quantumos_pqc::Error| Error::Usage(error.to_string());
    let policy = boot_policy::pcr_policy(&values).map_err(usage)?;
    let private = read(&args.private_key)?;
    let (authority, signature) = boot_policy::approve(&private, &policy).map_err(usage)?;
    let entry = json!({
        "pcrs": values.keys().collect::<Vec<_>>(),
        "pkfp": hex(&authority.fingerprint()),
        "pol": hex(&policy),
        "sig": base64(&signature),
    });
    let Some(path) = &args.output else {
        return output.document(&json!({ "sha256": [entry] }), pretty);
    };
    let before = match fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::file(path, source)),
    };
    let document = added(before.as_deref(), entry)
        .map_err(|why| Error::Usage(format!("{}: {why}", path.display())))?;
    let draft = path.with_added_extension("new");
    fs::write(&draft, pretty(&document))
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| Error::file(path, source))?;
    output.document(&json!({ "file": path }), |_| String::new())
}

/// A document of approvals with one more.
fn added(before: Option<&[u8]>, entry: Value) -> Result<Value, String> {
    let mut document: Value = match before {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|error| error.to_string())?,
        None => json!({}),
    };
    let bank = document
        .as_object_mut()
        .ok_or("not an object of banks")?
        .entry("sha256")
        .or_insert_with(|| json!([]));
    let bank = bank.as_array_mut().ok_or("sha256 is not an array")?;
    bank.retain(|old| old["pol"] != entry["pol"] || old["pkfp"] != entry["pkfp"]);
    bank.push(entry);
    Ok(document)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// `NUMBER=HEX`.
fn given(text: &str) -> Result<(u8, Digest), Error> {
    text.split_once('=')
        .and_then(|(pcr, value)| Some((pcr.parse().ok()?, digest(value)?)))
        .ok_or_else(|| {
            Error::Usage(format!(
                "--value {text}: NUMBER=HEX (64 digits) is expected"
            ))
        })
}

fn digest(text: &str) -> Option<Digest> {
    let text = text.trim();
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

fn present(directory: &Path, pcr: u8) -> Result<Digest, Error> {
    let path = directory.join(pcr.to_string());
    let text = String::from_utf8(read(&path)?).unwrap_or_default();
    digest(&text).ok_or_else(|| Error::Usage(format!("{}: not a SHA-256 PCR", path.display())))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::file(path, source))
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Error::file(path, source))
}

/// A descriptor of memory that holds these bytes.
fn memory(bytes: &[u8]) -> Result<File, Error> {
    let memory = memfd_create(c"quantumctl-pin", MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| Error::Terminal(errno.into()))?;
    let mut file = File::from(memory);
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .map_err(Error::Terminal)?;
    Ok(file)
}

fn asked(prompt: &str) -> Result<File, Error> {
    memory(line(prompt)?.as_bytes())
}

fn asked_twice(prompt: &str) -> Result<File, Error> {
    let first = line(prompt)?;
    if io::stdin().is_terminal() && line("again: ")? != first {
        return Err(Error::Usage("the two PINs differ".into()));
    }
    memory(first.as_bytes())
}

/// A line of standard input; from a terminal without showing it.
fn line(prompt: &str) -> Result<String, Error> {
    let input = io::stdin();
    let mut text = String::new();
    if !input.is_terminal() {
        input.lock().read_line(&mut text).map_err(Error::Terminal)?;
        return Ok(text);
    }
    let fail = |errno: nix::Error| Error::Terminal(errno.into());
    let shown = tcgetattr(&input).map_err(fail)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    eprint!("{prompt}");
    tcsetattr(&input, SetArg::TCSAFLUSH, &hidden).map_err(fail)?;
    let done = input.lock().read_line(&mut text);
    tcsetattr(&input, SetArg::TCSAFLUSH, &shown).map_err(fail)?;
    eprintln!();
    done.map_err(Error::Terminal)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals_are_added_and_replaced() {
        let entry =
            |pol: &str, sig: &str| json!({"pcrs": [7], "pkfp": "k", "pol": pol, "sig": sig});
        let one = added(None, entry("a", "1")).unwrap();
        let two = added(Some(pretty(&one).as_bytes()), entry("b", "2")).unwrap();
        let again = added(Some(pretty(&two).as_bytes()), entry("a", "3")).unwrap();
        let left: Vec<_> = again["sha256"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["sig"])
            .collect();
        assert_eq!(left, ["2", "3"]);
        for bad in ["x", "[]", r#"{"sha256": 1}"#] {
            assert!(
                added(Some(bad.as_bytes()), entry("a", "1")).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn values_are_strict() {
        let zeros = "0".repeat(64);
        assert_eq!(given(&format!("7={zeros}")).unwrap(), (7, [0; 32]));
        for bad in [
            "7",
            "7=",
            "x=00",
            "300=00",
            &format!("7={zeros}0"),
            &format!("7=+{}", &zeros[1..]),
        ] {
            assert!(given(bad).is_err(), "{bad}");
        }
    }
}
